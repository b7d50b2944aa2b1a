package rtp

import (
	"slices"
	"time"

	"github.com/pion/rtcp"

	"weir/transmux"
	"weir/transmux/clock"
)

// How the tracks of one session are kept together. RTP clocks begin anywhere, so each track has an offset that puts it on
// the session's line. Which offset is right is told, best first, by the RTCP sender reports of both tracks (RFC 3550
// 6.4.1), by the RTP-Info of the PLAY response (RFC 2326 12.33), or by the arrival of first packets. What becomes known
// before a track's first unit is used at once. Later the first audio track keeps its offset, so that nothing is heard,
// and the others follow: by at most slewRate, or, if they are off by more than maxSlew, in a step at a key frame.
const (
	maxSlew  = 200 * time.Millisecond
	slewRate = 200 // 5 ms in a second
	deadBand = 500 * time.Microsecond
	maxStep  = 2500 * time.Millisecond // larger ones would look like a jump of the clock to whoever reads on
	maxSkew  = 10 * time.Second        // between what is told and what arrival shows; more is not believed
	maxJump  = time.Second             // of an RTP clock, beyond the time that has passed
	reports  = 5                       // sender reports of which the median counts
)

// ntpUnix is 1970 on the scale of NTP, which begins in 1900; ntp2000 is the first time of day that is believed.
const (
	ntpUnix = 2208988800
	ntp2000 = ntpUnix + 946684800
)

// A ticker is one track's clock on the line.
type ticker struct {
	rate  int
	audio bool
	video bool

	unwrap  clock.Unwrapper
	ssrc    uint32
	last32  uint32
	started bool // a packet was seen: last and last32 hold

	last     time.Duration // on the track's own clock
	arrived  time.Time     // of last
	anchored bool          // offset holds, units were written
	offset   time.Duration
	guess    time.Duration // the offset that arrival shows
	gap      bool          // the next unit is marked

	reports []time.Duration // time of day minus own clock, newest last, of one NTP epoch
	waiting []*rtcp.SenderReport
	info    uint32 // rtptime of RTP-Info
	hasInfo bool
}

type timeline struct {
	tickers []*ticker
	first   time.Time // arrival of the first unit
}

// at returns the own time of an RTP time.
func (t *ticker) at(rtp uint32) time.Duration {
	if !t.started {
		t.started = true
		t.unwrap = clock.Unwrap32()
	}
	t.last32 = rtp
	return clock.Ticks(t.unwrap.Unwrap(uint64(rtp)), t.rate)
}

// near returns the own time of an RTP time that is not a unit's. The clock must have started.
func (t *ticker) near(rtp uint32) time.Duration {
	u := t.unwrap // a copy: what is asked for does not move it
	return clock.Ticks(u.Unwrap(uint64(rtp)), t.rate)
}

// report takes a sender report. Reports that cannot be true are ignored.
func (l *timeline) report(t *ticker, sr *rtcp.SenderReport) {
	if sr.NTPTime>>32 < ntp2000 {
		return
	}
	if !t.started {
		t.waiting = []*rtcp.SenderReport{sr}
		return
	}
	w := ntpTime(sr.NTPTime) - t.near(sr.RTPTime)
	if len(t.reports) > 0 {
		if d := w - median(t.reports); d > maxJump || d < -maxJump {
			// The origin has set its clock; the other tracks' reports speak of the old one.
			for _, o := range l.tickers {
				o.reports = nil
			}
		}
	}
	t.reports = append(t.reports, w)
	if len(t.reports) > reports {
		t.reports = t.reports[1:]
	}
}

// ntpTime returns the time since 1900.
func ntpTime(n uint64) time.Duration {
	return time.Duration(n>>32)*time.Second + time.Duration(((n&0xffffffff)*1e9+1<<31)>>32)
}

func median(d []time.Duration) time.Duration {
	s := slices.Clone(d)
	slices.Sort(s)
	return s[len(s)/2]
}

// place returns the shift that puts a unit of t with its own time x on the line. gap tells that the line was repaired
// or stepped before it.
func (l *timeline) place(t *ticker, ssrc uint32, x time.Duration, key bool, arrived time.Time) (shift time.Duration, gap bool) {
	for _, sr := range t.waiting {
		l.report(t, sr)
	}
	t.waiting = nil
	switch {
	case !t.anchored:
		l.anchor(t, x, arrived)
	case l.jumped(t, x, arrived):
		// The clock was set or another one is running. What reports said of the old one holds no more.
		t.offset += t.last + max(arrived.Sub(t.arrived), 0) - x
		t.guess = t.offset
		t.reports, t.hasInfo, t.gap = nil, false, true
	default:
		l.correct(t, x-t.last, key)
	}
	t.last, t.arrived, t.ssrc, t.anchored = x, arrived, ssrc, true
	gap, t.gap = t.gap, false
	return t.offset, gap
}

func (l *timeline) anchor(t *ticker, x time.Duration, arrived time.Time) {
	if l.first.IsZero() {
		l.first = arrived
	}
	t.guess = arrived.Sub(l.first) - x
	t.offset = t.guess
	if t.hasInfo {
		if d := x - t.near(t.info); d > maxSkew || d < -maxSkew {
			t.hasInfo = false
		}
	}
	if ref := l.reference(t); ref != nil {
		if o, ok := wanted(t, ref); ok {
			t.offset = o
		}
	}
}

// reference is the track that t is kept together with: the first audio track, else the first track; nil if that is t.
func (l *timeline) reference(t *ticker) *ticker {
	var ref *ticker
	for _, o := range l.tickers {
		if (o.anchored || o == t) && (ref == nil || o.audio && !ref.audio) {
			ref = o
		}
	}
	if ref != t {
		return ref
	}
	if !t.anchored { // it joins those that are there already
		for _, o := range l.tickers {
			if o.anchored {
				return o
			}
		}
	}
	return nil
}

// wanted is the offset of t that keeps it together with ref, if anything tells.
func wanted(t, ref *ticker) (time.Duration, bool) {
	var d time.Duration
	switch {
	case len(t.reports) > 0 && len(ref.reports) > 0:
		d = median(t.reports) - median(ref.reports)
	case t.hasInfo && ref.hasInfo:
		d = ref.near(ref.info) - t.near(t.info)
	default:
		return 0, false
	}
	o := ref.offset + d
	if off := o - t.guess - (ref.offset - ref.guess); off > maxSkew || off < -maxSkew {
		return 0, false
	}
	return o, true
}

func (l *timeline) correct(t *ticker, passed time.Duration, key bool) {
	ref := l.reference(t)
	if ref == nil {
		return
	}
	o, ok := wanted(t, ref)
	if !ok {
		return
	}
	d := o - t.offset
	switch {
	case d <= deadBand && d >= -deadBand:
	case d <= maxSlew && d >= -maxSlew:
		limit := max(passed, 0) / slewRate
		t.offset += min(max(d, -limit), limit)
	case t.video && !key:
	case d > 0:
		t.offset += min(d, maxStep)
		t.gap = true
	default:
		// Time does not go back: all others go forward.
		for _, other := range l.tickers {
			if other != t {
				other.offset += min(-d, maxStep)
				other.gap = other.anchored
			}
		}
	}
}

func (l *timeline) jumped(t *ticker, x time.Duration, arrived time.Time) bool {
	d := x - t.last
	if d <= maxJump && d >= -maxJump {
		return false
	}
	off := d - arrived.Sub(t.arrived)
	return off > maxJump || off < -maxJump
}

// timeOfDay is the capture time of a unit, zero if the origin does not tell.
func (t *ticker) timeOfDay(x time.Duration) time.Time {
	if len(t.reports) == 0 {
		return time.Time{}
	}
	return time.Unix(-ntpUnix, 0).Add(median(t.reports) + x)
}

func newTicker(track *transmux.Track, rate int) *ticker {
	return &ticker{rate: rate, audio: track.Kind() == transmux.KindAudio, video: track.Kind() == transmux.KindVideo}
}
