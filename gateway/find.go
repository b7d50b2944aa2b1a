package gateway

import (
	"context"
	"time"

	"weir/egress"
	"weir/wire"
)

// startTimeout is how long a player waits for a stream that is being fetched.
const startTimeout = 10 * time.Second

// Refusals of players.
var (
	errSilent   = &wire.Refusal{Err: wire.ErrNotFound, Reason: "it has sent no picture and no sound yet"}
	errMissing  = &wire.Refusal{Err: wire.ErrNotFound}
	errUnserved = &wire.Refusal{Err: wire.ErrNotFound, Reason: "its origin does not give it"}
	errDraining = &wire.Refusal{Err: wire.ErrLimit, Reason: "the gateway is shutting down"}
)

func permanent(err error) bool { return err != nil && egress.Permanent(err) }

// find returns the stream that is served as name over protocol, and waits while one is being fetched. release ends the
// demand for it. The error is a *wire.Refusal or ctx's cause.
func (h *hub) find(ctx context.Context, protocol, name string) (l *live, release func(), err error) {
	src, release, err := h.demandFor(protocol, name)
	if err != nil {
		return nil, nil, err
	}
	var no *wire.Refusal
	err = h.wait(ctx, func() bool {
		var pending bool
		switch l, pending = h.served(protocol, name); {
		case l != nil:
		case h.draining:
			no = errDraining
		case src != nil && h.hopeless(src):
			no = errUnserved
		case src == nil && !pending:
			no = errMissing
		default:
			return false
		}
		return true
	})
	if err == nil && no != nil {
		err = no
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return l, release, nil
}

// demandFor asks for the source that gives what is served as name, unless a publisher gives it. The source is nil if
// there is none; release is never nil without an error.
func (h *hub) demandFor(protocol, name string) (*source, func(), error) {
	h.mu.Lock()
	l, _ := h.served(protocol, name)
	if l == nil {
		l = h.live[name]
	}
	h.mu.Unlock()
	switch origin, known := h.g.aliases[served{protocol, name}]; {
	case l != nil && l.source == nil:
		return nil, func() {}, nil
	case l != nil:
		name = l.stream.Name()
	case known:
		name = origin
	}
	return h.g.demand(name)
}

// served returns the stream that owns a served name. pending tells that one may, as soon as its tracks are known or
// the name is given up by a stream that has ended. The caller holds mu.
func (h *hub) served(protocol, name string) (l *live, pending bool) {
	c, owned := h.g.serves.owner(served{protocol, name})
	if owned && c.live.up {
		return c.live, false
	}
	l = h.live[name]
	return nil, owned && c.live.gone || l != nil && !l.cables.routed.Load()
}

// hopeless reports whether a source has said that it will not give its stream. The caller holds mu.
func (h *hub) hopeless(s *source) bool {
	l := h.live[s.name]
	return l != nil && l.source == s && l.failed != nil
}

// await returns the live stream of a name once media flow in it, for followers.
func (h *hub) await(ctx context.Context, name string) (l *live, release func(), err error) {
	release = func() {}
	h.mu.Lock()
	published := h.live[name] != nil && h.live[name].source == nil
	h.mu.Unlock()
	if !published {
		if _, release, err = h.g.demand(name); err != nil {
			return nil, nil, err
		}
	}
	err = h.wait(ctx, func() bool {
		l = h.live[name]
		return l != nil && l.up
	})
	if err != nil {
		release()
		return nil, nil, err
	}
	return l, release, nil
}

// wait returns nil when done reports true, and ctx's cause when that ends before. done is called with mu held, whenever
// streams, routes or sessions change.
func (h *hub) wait(ctx context.Context, done func() bool) error {
	for {
		h.mu.Lock()
		ready, changed := done(), h.changed
		h.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wake tells everybody who waits that something changed. The caller holds mu.
func (h *hub) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// wakeUp is wake for callers that do not hold mu.
func (h *hub) wakeUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake()
}
