package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"weir/egress"
	"weir/rules"
	"weir/transmux"
	"weir/wire"
)

// served is a name under which players find a stream over a protocol.
type served struct{ protocol, name string }

// cables are all the ways out of one live stream.
type cables struct {
	g       *Gateway
	live    *live
	closing context.Context // ends when the stream does: nothing new begins, nobody waits in line
	stop    context.CancelFunc
	ctx     context.Context // of the sinks, which see the end of the stream themselves and say goodbye
	cancel  context.CancelCauseFunc
	changed chan struct{} // has room for one: the stream's facts are others
	router  sync.WaitGroup
	sinks   sync.WaitGroup
	routed  atomic.Bool // the first route was made
	flush   atomic.Bool // the stream has ended by itself and is to arrive whole; set before closing ends

	mu          sync.Mutex
	names       map[served]name
	sends       map[rules.Cable]context.CancelFunc
	undelivered error
}

// name is a served name, or the wish for one.
type name struct {
	tracks transmux.Selection
	claim  *claim[served, *cables]
}

// newCables starts to route a stream: as soon as its tracks are known, and again whenever their codecs change.
func (g *Gateway) newCables(l *live) *cables {
	ctx, cancel := context.WithCancelCause(g.life)
	closing, stop := context.WithCancel(ctx)
	c := &cables{
		g: g, live: l, ctx: ctx, cancel: cancel, closing: closing, stop: stop, changed: make(chan struct{}, 1),
		names: make(map[served]name), sends: make(map[rules.Cable]context.CancelFunc),
	}
	c.router.Go(c.route)
	return c
}

// close ends all cables of a stream that was closed, and waits for their goodbyes. flush gives them time to deliver the
// rest of it; the error is why one could not.
func (c *cables) close(flush bool) error {
	c.flush.Store(flush)
	c.stop()
	c.router.Wait()
	c.mu.Lock()
	names := c.names
	c.names = nil
	c.mu.Unlock()
	for _, n := range names { // at once, for those who wait and for a publisher who comes back
		n.claim.leave()
	}
	c.g.hub.wakeUp()
	wait := goodbye
	if flush {
		wait = flushing
	}
	late := time.AfterFunc(wait, func() { c.cancel(wire.ErrSlow) })
	defer late.Stop()
	c.sinks.Wait()
	c.cancel(wire.ErrEnded)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.undelivered
}

// chosen returns the tracks that are served under a name.
func (c *cables) chosen(n served) transmux.Selection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[n].tracks
}

// reroute tells that the stream's facts changed.
func (c *cables) reroute() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *cables) route() {
	var last string
	for {
		over := c.closing.Err() != nil
		if over && !c.flush.Load() {
			return
		}
		tracks, changed := c.live.stream.TracksChanged()
		if len(tracks) > 0 { // a stream without tracks goes nowhere yet
			_, _, err := egress.Ready(c.closing, c.live.stream, nil, nil)
			tracks, changed = c.live.stream.TracksChanged()
			switch {
			case err == nil || over:
				facts := c.facts(tracks)
				if now := fmt.Sprint(facts); now != last {
					last = now
					c.apply(c.g.file().Route(facts))
				}
			case errors.Is(err, wire.ErrNoTrack):
				continue // none is configured; Ready has waited
			}
		}
		if over {
			return
		}
		select {
		case <-c.closing.Done():
		case <-changed:
		case <-c.changed:
		}
	}
}

func (c *cables) facts(tracks []*transmux.Track) rules.Stream {
	c.g.hub.mu.Lock()
	facts := c.live.facts
	c.g.hub.mu.Unlock()
	for _, t := range tracks {
		switch t.Kind() {
		case transmux.KindVideo:
			facts.Video = append(facts.Video, string(t.Codec))
		case transmux.KindAudio:
			facts.Audio = append(facts.Audio, string(t.Codec))
		}
	}
	return facts
}

// apply starts the cables that are new, stops those that are gone, and leaves equal ones alone. Only for the router.
func (c *cables) apply(r rules.Route) {
	stream := c.live.stream.Name()
	for _, p := range r.Problems {
		c.g.log.Warn("a rule cannot be followed", "stream", stream, "rule", p.Rule, "line", p.Line, "why", p.What)
	}
	c.applySends(r.Sends)
	names := make(map[served]transmux.Selection)
	for _, s := range r.Serves {
		choose, err := transmux.ParseSelection(s.Tracks)
		if err != nil {
			c.g.log.Error("cannot serve", "stream", stream, "rule", s.Rule, "error", err)
			continue
		}
		names[served{s.Protocol, s.As}] = choose
	}
	next := make(map[served]name)
	c.mu.Lock()
	before := c.names
	c.mu.Unlock()
	for n, choose := range names {
		had, ok := before[n]
		if !ok {
			var mine bool
			if had.claim, mine = c.g.serves.join(n, c, c.g.hub.wakeUp); !mine {
				c.g.log.Info("waits in line for a served name", "stream", stream, "protocol", n.protocol, "as", n.name)
			}
		}
		next[n] = name{choose, had.claim}
	}
	c.mu.Lock()
	c.names = next
	c.mu.Unlock()
	for n, had := range before {
		if _, keep := next[n]; !keep {
			had.claim.leave()
		}
	}
	c.routed.Store(true)
	c.g.hub.wakeUp()
}

func (c *cables) applySends(sends []rules.Send) {
	want := make(map[rules.Cable]rules.Send)
	for _, s := range sends {
		want[s.Cable] = s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, end := range c.sends {
		if _, keep := want[k]; !keep {
			end()
			delete(c.sends, k)
		}
	}
	for k, s := range want {
		if c.sends[k] == nil {
			ctx, end := context.WithCancel(c.ctx)
			c.sends[k] = end
			c.sinks.Go(func() { c.send(ctx, s) })
		}
	}
}
