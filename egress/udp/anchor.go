package udp

import "time"

const (
	minSlack  = 20 * time.Millisecond  // time left for a unit that came just in time
	maxShift  = 5 * time.Second        // by which one late unit may move the rest
	maxPause  = 300 * time.Millisecond // in a constant bit rate, for a late unit; beyond it the clock is set back
	maxBehind = 100 * time.Millisecond // of a constant bit rate, before slots are left out
	window    = 10 * time.Second       // over which the slack is watched
	tooFar    = 2 * time.Second        // slack that means that we have fallen behind for good
	slew      = 2 * time.Millisecond   // a window: 200 ppm, within what receivers follow
	deadband  = 60 * time.Millisecond
)

// An anchor ties the stream's time line to the clock on the wall. The origin's clock and ours differ, so it follows the
// least slack with which units come, slowly.
type anchor struct {
	zero  time.Time     // when position 0 is
	since time.Time     // begin of the window
	least time.Duration // slack in the window
	any   bool
}

// wall is when position at is.
func (a *anchor) wall(at time.Duration) time.Time { return a.zero.Add(at) }

// shift moves everything later, for a unit that would come too late otherwise.
func (a *anchor) shift(d time.Duration) {
	a.zero = a.zero.Add(d)
	a.any = false
}

// note takes the slack of one unit, and reports whether the backlog has become too long to be walked off.
func (a *anchor) note(slack time.Duration, now time.Time) (behind bool) {
	if !a.any || slack < a.least {
		a.least, a.any = slack, true
	}
	if now.Sub(a.since) < window {
		return false
	}
	off := a.least - delay
	a.since, a.any = now, false
	switch {
	case off > tooFar:
		return true
	case off > deadband:
		a.zero = a.zero.Add(-slew)
	case off < -delay+deadband:
		a.zero = a.zero.Add(slew)
	}
	return false
}
