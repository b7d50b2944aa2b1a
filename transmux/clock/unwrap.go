// Package clock turns the wrapping, jumping clocks of origins into one time line that never goes back.
package clock

import "time"

// An Unwrapper extends a counter of 32 or 33 bits to 64 bits. Steps of less than half the range in either direction are
// followed; so it survives reordering around a wrap. The zero value is not usable; see Unwrap32 and Unwrap33.
type Unwrapper struct {
	bits    uint
	last    int64
	started bool
}

// Unwrap32 is for RTP (RFC 3550 5.1) and RTMP timestamps.
func Unwrap32() Unwrapper { return Unwrapper{bits: 32} }

// Unwrap33 is for PTS, DTS and PCR bases (ISO 13818-1 2.4.3.7).
func Unwrap33() Unwrapper { return Unwrapper{bits: 33} }

// Unwrap returns the extended value of v, of which only the low bits count. The first value stands for itself; later
// ones are the nearest to their predecessor, so the result may be below zero.
func (u *Unwrapper) Unwrap(v uint64) int64 {
	size := int64(1) << u.bits
	low := int64(v) & (size - 1)
	if !u.started {
		u.started, u.last = true, low
		return low
	}
	d := (low - u.last) & (size - 1)
	if d >= size/2 {
		d -= size
	}
	u.last += d
	return u.last
}

// Ticks converts a count of ticks of a clock of rate Hz to a duration, rounded to the nearest nanosecond, without
// overflow for 292 years. Rates are from 1 to 1<<32 Hz; a rate below 1 gives zero.
func Ticks(n int64, rate int) time.Duration {
	if rate < 1 {
		return 0
	}
	r := int64(rate)
	sec, rest := n/r, n%r
	half := r / 2
	if rest < 0 {
		half = -half
	}
	return time.Duration(sec)*time.Second + time.Duration((rest*int64(time.Second)+half)/r)
}

// ToTicks is the inverse of Ticks, rounded to the nearest tick. It gives back what Ticks got for rates up to 500 MHz.
func ToTicks(d time.Duration, rate int) int64 {
	if rate < 1 {
		return 0
	}
	r := int64(rate)
	sec, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second) / 2
	if rest < 0 {
		half = -half
	}
	return sec*r + (rest*r+half)/int64(time.Second)
}
