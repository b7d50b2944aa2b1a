package clock

import "time"

// Bounds of what counts as a step of a healthy clock, and of how far tracks are believed to stand apart.
const (
	maxBack    = 500 * time.Millisecond // backwards within a track, as encoders that interleave badly do
	maxForward = 3 * time.Second        // beyond the newest of all tracks, unless as much time has really passed
	slack      = time.Second            // by which a forward step may exceed the time that has really passed
	maxSkew    = 5 * time.Second        // between a track that begins and those that run
	maxApart   = time.Second            // between where a track should go on after a jump and where another's shift puts it
	begin      = time.Second            // where the line begins: room for a track whose first unit is a little earlier
	frame      = 40 * time.Millisecond  // distance of two units when the track's own is not known
	maxStep    = time.Second            // longest distance of two units that is taken for a frame duration
	maxTime    = 3 << 60                // of an origin's times, about 109 years; beyond they are cut
	maxPeers   = 16                     // tracks whose shifts others may follow; bounds the work for one unit
)

// A Line maps the times of one origin after the other onto one line on which the DTS of a track never goes back, nor
// below zero.
//
// An origin's times are moved by a shift. When they jump (a camera sets its clock, a file loops, an encoder restarts),
// a new shift is made so that the line goes on one frame later; a track that jumped along takes the same shift, so that
// the tracks keep their offset to each other to the nanosecond. A track that jumped alone goes on one frame after its
// last unit, so that it stays beside the others. The zero value is ready; not safe for concurrent use.
type Line struct {
	tracks  map[int]*track
	peers   []*track // the first maxPeers of them
	epoch   *epoch   // the newest; nil before the first unit
	since   time.Duration
	newest  time.Duration // the latest DTS handed out, over all tracks
	arrived time.Time     // when that came
	floor   time.Duration // no track begins before it
	rebase  bool          // the next unit comes from another origin
	rebased bool          // the origin is not the first
	repairs uint64
}

// An epoch is the shift that tracks with one clock share. It grows when one of them would go back otherwise; then the
// others move on with it.
type epoch struct{ shift time.Duration }

type track struct {
	epoch   *epoch
	shift   time.Duration // of epoch, when the last unit was mapped
	in, out time.Duration // last DTS
	step    time.Duration // last healthy distance between two units
}

// Rebase tells that the next unit comes from another origin: the line goes on after what was handed out.
func (l *Line) Rebase() { l.rebase = l.epoch != nil }

// Repairs counts jumps that were repaired.
func (l *Line) Repairs() uint64 { return l.repairs }

// Now is the latest DTS handed out.
func (l *Line) Now() time.Duration { return l.newest }

// Map moves the times of one unit of track id onto the line. arrived may be zero if unknown. gap tells that the time
// line was repaired here. The result keeps pts-dts, unless dts had to be lifted: then pts is lifted to dts if it fell
// below.
func (l *Line) Map(id int, dts, pts time.Duration, arrived time.Time) (outDTS, outPTS time.Duration, gap bool) {
	dts = min(max(dts, -maxTime), maxTime)
	pts = min(max(pts, dts), maxTime)
	if l.rebase {
		l.rebase, l.rebased = false, true
		l.tracks, l.peers, l.epoch = nil, nil, nil
		l.floor = l.newest
	}
	t := l.tracks[id]
	if t == nil {
		t, gap = l.begin(id, dts)
	} else if e := l.moved(t, dts, arrived); e != nil {
		l.join(t, e, dts)
		l.repairs++
		gap = true
	} else {
		gap = t.shift != t.epoch.shift
		if d := dts - t.in; d > 0 && d <= maxStep {
			t.step = d
		}
	}
	t.shift = t.epoch.shift
	outDTS = max(dts+t.shift, t.out)
	outPTS = max(outDTS, pts+t.shift)
	t.in, t.out = dts, outDTS
	if outDTS > l.newest {
		l.newest, l.arrived = outDTS, arrived
	}
	return outDTS, outPTS, gap
}

// begin makes the track of a first unit. It shares a shift with another track if that puts it near the newest unit.
func (l *Line) begin(id int, dts time.Duration) (t *track, gap bool) {
	t = &track{out: l.floor}
	if l.epoch == nil {
		l.tracks = make(map[int]*track)
		l.epoch = &epoch{begin - dts}
		if l.rebased {
			l.epoch.shift = l.newest + frame - dts
		}
		l.since = l.newest
		t.epoch = l.epoch
	} else {
		best := time.Duration(maxSkew + 1)
		for _, p := range l.peers {
			if d := apart(dts+p.epoch.shift, l.newest); d < best {
				best, t.epoch = d, p.epoch
			}
		}
		if t.epoch == nil {
			t.epoch = &epoch{l.newest - dts}
			l.repairs++
			gap = true
		}
		if d := l.floor - (dts + t.epoch.shift); d > 0 {
			t.epoch.shift += d
		}
	}
	l.tracks[id] = t
	if len(l.peers) < maxPeers {
		l.peers = append(l.peers, t)
	}
	return t, gap || l.rebased
}

// moved returns the epoch to which a unit of t belongs if it does not go on from the units before it, else nil.
func (l *Line) moved(t *track, dts time.Duration, arrived time.Time) *epoch {
	if l.jumped(t, dts, arrived) {
		if e := l.peer(t, dts, maxApart+1); e != nil {
			return e
		}
		at := t.out + t.distance()
		if l.newest-at > maxApart {
			at = l.newest // it was silent while others went on
		}
		l.epoch, l.since = &epoch{at - dts}, l.newest
		return l.epoch
	}
	// A small step may be the jump that another track just made, or its end: so that tracks that jump by about maxBack
	// or maxForward do so together.
	if l.newest-l.since <= maxSkew {
		if e := l.peer(t, dts, l.off(t, dts+t.shift)); e != t.epoch {
			return e
		}
	}
	return nil
}

// jumped reports whether a unit of t is too far from where it should be. Others may have gone on meanwhile: a track that
// catches up with them has not jumped.
func (l *Line) jumped(t *track, dts time.Duration, arrived time.Time) bool {
	at := dts + t.shift
	if at < t.out-maxBack {
		return true
	}
	d := at - l.newest
	if d <= maxForward {
		return false
	}
	if arrived.IsZero() || l.arrived.IsZero() {
		return true
	}
	return d-arrived.Sub(l.arrived) > slack
}

// peer returns the epoch of the track that puts a unit of t nearest to where t should go on, or nearest to that track,
// but nearer than best; nil if there is none.
func (l *Line) peer(t *track, dts, best time.Duration) (found *epoch) {
	for _, p := range l.peers {
		if p == t || l.newest-p.out > maxSkew {
			continue // its clock may not be what it was
		}
		at := dts + p.epoch.shift
		if d := min(l.off(t, at), apart(at, p.out)); d < best {
			best, found = d, p.epoch
		}
	}
	return found
}

// off is how far at is from where t should go on: between its last unit and the newest of all.
func (l *Line) off(t *track, at time.Duration) time.Duration {
	return max(t.out-at, at-max(l.newest, t.out+t.distance()), 0)
}

// join makes t a member of e, and moves e on if t would not go on by at least half a frame: so the end of one round of
// a loop and the begin of the next do not overlap in any track.
func (l *Line) join(t *track, e *epoch, dts time.Duration) {
	t.epoch = e
	step := t.distance()
	if at := dts + e.shift; at < t.out+step/2 {
		e.shift += t.out + step - at
	}
}

func (t *track) distance() time.Duration {
	if t.step > 0 {
		return t.step
	}
	return frame
}

func apart(a, b time.Duration) time.Duration { return max(a-b, b-a) }
