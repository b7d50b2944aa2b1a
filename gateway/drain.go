package gateway

import (
	"context"
	"sync"
	"time"

	"weir/wire"
)

// Times of an orderly end (see Run).
const (
	drainGrace = 5 * time.Second  // readyz says no before the listeners close, so that balancers turn away
	goodbye    = 2 * time.Second  // for sinks and sessions to end after their stream
	flushing   = 10 * time.Second // the same for what must not be lost: a stream from stdin
	patience   = 10 * time.Second // for what should have ended by then; beyond it is a bug, and is left behind
)

// drain ends sessions in order: publishers and sources when nobody plays or the time is up, then players.
func (g *Gateway) drain(hurry <-chan struct{}) {
	g.ready.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), g.rules.Drain)
	defer cancel()
	if g.inhabited() {
		g.pause(ctx, hurry, drainGrace)
	}
	for _, s := range g.servers {
		if s.name != "admin" {
			s.port.stop()
		}
	}
	g.pause(ctx, hurry, g.rules.Drain, "play")
	g.starve(wire.ErrDrain)
	g.hub.drain("publish")
	g.settle("publish")
	g.hub.drain("play")
	g.settle("play")
}

// inhabited reports whether a listener takes peers.
func (g *Gateway) inhabited() bool {
	for _, s := range g.servers {
		if s.name != "admin" {
			return true
		}
	}
	return false
}

// pause waits for a time; for as long as there are sessions of an action if one is given; no longer than ctx, nor after
// hurry is closed.
func (g *Gateway) pause(ctx context.Context, hurry <-chan struct{}, d time.Duration, action ...string) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	rushed := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-hurry:
			cancel()
		case <-rushed:
		}
	}()
	_ = g.hub.wait(ctx, func() bool { // either way the time is over
		return len(action) > 0 && !g.hub.has(action[0])
	})
	close(rushed)
	<-stopped
}

// settle waits a moment for the goodbyes of sessions.
func (g *Gateway) settle(action string) { g.pause(context.Background(), nil, goodbye, action) }

// settleAll waits for everything that runs. What hangs in spite of its context is left behind, and said.
func (g *Gateway) settleAll(serve *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve.Wait()
		g.ends.Wait()
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		g.log.Error("something did not end in time and is left behind", "after", patience)
	}
}
