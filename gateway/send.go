package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"weir/egress"
	"weir/rules"
	"weir/wire"
)

// send runs one sink for as long as the stream lives, as soon as no other stream has its destination.
func (c *cables) send(ctx context.Context, s rules.Send) {
	veil := veilOf(s.Settings, s.URL)
	log := veil.log(c.g.log).With("to", s.URL.String(), "rule", s.Rule)
	turn := make(chan struct{})
	claim, mine := c.g.sends.join(s.URL.Reveal(), c, func() { close(turn) })
	defer claim.leave()
	if !mine {
		log.Info("waits in line for a destination", "stream", c.live.stream.Name())
		select {
		case <-turn:
		case <-ctx.Done():
		case <-c.closing.Done():
		}
		if ctx.Err() != nil || c.over() {
			return
		}
	}
	sink, err := c.g.sink(s)
	if err != nil {
		log.Error("cannot send", "stream", c.live.stream.Name(), "error", err)
		c.miss(s, veil.err(err))
		return
	}
	meter := new(wire.Meter)
	meter.Observe(c.g.metrics.latencyOf(s.Cable.Protocol))
	defer c.g.metrics.join(s.Cable.Protocol, meter)()
	err = c.g.supervise(ctx, supervised{
		kind: "cable", name: c.live.stream.Name(), log: log,
		last: func(err error) bool { return err == nil },
		over: c.closing.Done(),
		run: func(ctx context.Context, up func()) error {
			return c.fill(ctx, sink, meter, log, up)
		},
	})
	if c.over() && err != nil {
		c.miss(s, veil.err(err))
	}
}

// over reports whether the stream has ended.
func (c *cables) over() bool {
	c.g.hub.mu.Lock()
	defer c.g.hub.mu.Unlock()
	return c.live.gone
}

// miss notes that a destination did not get the whole stream.
func (c *cables) miss(s rules.Send, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.undelivered == nil {
		c.undelivered = fmt.Errorf("send to %s: %w", s.URL, err)
	}
}

// sink makes what sends.
func (g *Gateway) sink(s rules.Send) (egress.Sink, error) {
	remote, err := g.remote(s.URL, s.Settings, s.Tracks)
	if err != nil {
		return nil, err
	}
	return g.newSink(remote)
}

// fill runs a sink once. One that can carry none of the stream's tracks waits until there are others.
func (c *cables) fill(ctx context.Context, sink egress.Sink, meter *wire.Meter, log *slog.Logger, up func()) error {
	for said := ""; ; {
		_, changed := c.live.stream.TracksChanged()
		err := c.fillOnce(ctx, sink, meter, up)
		if !errors.Is(err, wire.ErrNoTrack) {
			return err
		}
		if why := err.Error(); why != said {
			log.Warn("cable is incompatible", "name", c.live.stream.Name(), "error", why)
			said = why
		}
		select {
		case <-changed:
		case <-c.closing.Done():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *cables) fillOnce(ctx context.Context, sink egress.Sink, meter *wire.Meter, up func()) error {
	before, _, _ := meter.Totals()
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer stop()
	watcher.Go(func() { onFirst(watching, func() bool { b, _, _ := meter.Totals(); return b != before }, up) })
	return sink.Run(ctx, c.live.stream, meter)
}

// onFirst calls up once when done reports true, and returns then or when ctx ends.
func onFirst(ctx context.Context, done func() bool, up func()) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			if done() {
				up()
			}
			return
		case <-tick.C:
		}
	}
	up()
}
