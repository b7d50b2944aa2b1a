package udp

import "time"

const (
	reorderDepth = 64                     // datagrams that may wait for one before them
	reorderWait  = 50 * time.Millisecond  // how long they wait
	restartRun   = 4                      // datagrams in sequence behind the expected one that mean a restart
	seenBits     = 64                     // how far back duplicates are told from late ones
	maxJump      = 3000                   // forward step that is loss, not a restart (RFC 3550 A.1)
	restartQuiet = 500 * time.Millisecond // silence after which any sequence number is welcome
)

// RTPStats counts what happened to the datagrams of one RTP stream.
type RTPStats struct {
	Received   uint64 // RTP datagrams
	Lost       uint64 // never came, or too late
	Reordered  uint64 // came after a later one, in time
	Duplicates uint64 // came twice
	Late       uint64 // came after they were given up
	Restarts   uint64 // the sender began anew
	Foreign    uint64 // neither RTP nor TS
}

// A Reorderer puts RTP datagrams in the order of their sequence numbers. In order they pass without a copy; those that
// came early are kept, at most 64 of them for at most 50 ms. The zero value is ready; it belongs to one goroutine.
type Reorderer struct {
	stats   RTPStats
	started bool
	ssrc    uint32
	next    uint16 // expected sequence number
	seen    uint64 // bit i: next-1-i was received
	last    time.Time
	broken  bool // datagrams are missing before the next one handed on

	slots   [reorderDepth]slot // indexed by sequence number
	waiting int

	oldNext uint16 // sequence number that would continue a run of old ones
	oldRun  int
}

type slot struct {
	held    bool
	data    []byte // reused
	arrived time.Time
}

// Push takes one datagram; see Unwrapper.Push.
func (r *Reorderer) Push(h Header, payload []byte, now time.Time, emit func(packets []byte, lost bool)) {
	r.stats.Received++
	quiet := now.Sub(r.last) > restartQuiet
	r.last = now
	if !r.started || h.SSRC != r.ssrc {
		r.restart(h, emit)
	}
	ahead := int(int16(h.Sequence - r.next))
	if ahead < 0 || ahead > maxJump {
		if !quiet && !r.runs(h, ahead) {
			return
		}
		r.restart(h, emit)
		ahead = 0
	}
	r.oldRun = 0
	for ahead >= reorderDepth { // too far in front of those that wait: they have waited in vain
		if r.waiting == 0 {
			r.miss(ahead)
		} else {
			r.release(emit)
		}
		ahead = int(int16(h.Sequence - r.next))
	}
	if ahead == 0 {
		if r.waiting > 0 {
			r.stats.Reordered++
		}
		r.pass(payload, emit)
		r.drain(emit)
		return
	}
	s := &r.slots[h.Sequence%reorderDepth]
	if s.held {
		r.stats.Duplicates++
		return
	}
	*s = slot{held: true, data: append(s.data[:0], payload...), arrived: now}
	r.waiting++
}

// runs judges a datagram that is older than expected or far ahead: it counts it, and reports whether a run of such ones
// shows that the sender began anew.
func (r *Reorderer) runs(h Header, ahead int) bool {
	if r.oldRun > 0 && h.Sequence == r.oldNext {
		r.oldRun++
	} else {
		r.oldRun = 1
	}
	r.oldNext = h.Sequence + 1
	back := -ahead - 1
	recent := ahead < 0 && back < seenBits
	switch {
	case r.oldRun >= restartRun && !recent:
		return true
	case recent && r.seen&(1<<back) != 0:
		r.stats.Duplicates++
	default:
		if recent {
			r.seen |= 1 << back
		}
		r.stats.Late++
	}
	return false
}

// restart hands on what waits and begins anew at h.
func (r *Reorderer) restart(h Header, emit func([]byte, bool)) {
	if r.started {
		r.stats.Restarts++
		for r.waiting > 0 {
			r.release(emit)
		}
		r.broken = true
	}
	r.started, r.ssrc, r.next, r.seen, r.oldRun = true, h.SSRC, h.Sequence, 0, 0
}

// pass hands on the expected datagram.
func (r *Reorderer) pass(payload []byte, emit func([]byte, bool)) {
	r.next++
	r.seen = r.seen<<1 | 1
	lost := r.broken
	r.broken = false
	emit(payload, lost)
}

// miss gives up n expected datagrams.
func (r *Reorderer) miss(n int) {
	r.stats.Lost += uint64(n)
	r.next += uint16(n)
	r.seen <<= n
	r.broken = true
}

// drain hands on what waited for the datagram just passed.
func (r *Reorderer) drain(emit func([]byte, bool)) {
	for r.waiting > 0 {
		s := &r.slots[r.next%reorderDepth]
		if !s.held {
			return
		}
		s.held = false
		r.waiting--
		r.pass(s.data, emit)
	}
}

// release gives up what the oldest waiting datagram waits for, and hands on that one and those in sequence after it.
// Something must be waiting.
func (r *Reorderer) release(emit func([]byte, bool)) {
	n := 0
	for !r.slots[(r.next+uint16(n))%reorderDepth].held {
		n++
	}
	if n > 0 {
		r.miss(n)
	}
	r.drain(emit)
}

// Expire hands on datagrams that have waited too long; see Unwrapper.Expire.
func (r *Reorderer) Expire(now time.Time, emit func(packets []byte, lost bool)) time.Time {
	for r.waiting > 0 {
		due := r.oldest().Add(reorderWait)
		if now.Before(due) {
			return due
		}
		r.release(emit)
	}
	return time.Time{}
}

// oldest is when the datagram that waits longest came in.
func (r *Reorderer) oldest() time.Time {
	var t time.Time
	for i := range r.slots {
		if s := &r.slots[i]; s.held && (t.IsZero() || s.arrived.Before(t)) {
			t = s.arrived
		}
	}
	return t
}
