package stdin

import (
	"context"
	"time"

	"weir/transmux"
)

// Bounds of pacing.
const (
	lead = time.Second      // how far units may run ahead of their time, so that receivers start quickly
	leap = 10 * time.Second // a greater step of the origin's clock is a jump, not a wait
)

// paced holds units back until their time, so that a file that is piped in at full speed does not overrun the receivers.
// What comes in real time is never held back. It stops holding back when ctx ends.
type paced struct {
	transmux.Out
	ctx   context.Context // of one Run, which owns the paced
	began bool
	start time.Time     // when a unit with DTS base was due
	base  time.Duration // on the origin's clock
}

// Write implements transmux.Out.
func (p *paced) Write(au transmux.AccessUnit) error {
	now := time.Now()
	early := au.DTS - p.base - now.Sub(p.start)
	if !p.began || early > leap || early < -leap {
		p.began, p.start, p.base, early = true, now, au.DTS, 0
	}
	if early < 0 { // late: what follows is due that much later
		p.start, p.base = now, au.DTS
	}
	if wait := early - lead; wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
		au.Arrived = time.Now()
	}
	return p.Out.Write(au)
}
