package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"weir/rules"
	"weir/transmux"
	"weir/wire"
)

// hub knows every live stream, who feeds it and who plays it. It is the Door of all protocol servers.
type hub struct {
	g   *Gateway
	log *slog.Logger

	// mu may be held while the locks of metrics, lines and streams are taken, never the other way round.
	mu       sync.Mutex
	live     map[string]*live
	sessions map[uint64]*session
	lastID   uint64
	admitted map[int]*admitted // by access entry
	changed  chan struct{}     // closed when a stream comes, goes or gets another route, and when a session ends
	draining bool
}

var _ wire.Door = (*hub)(nil)

// live is one stream and its present origin.
type live struct {
	stream *transmux.Stream
	cables *cables
	source *source // nil for a publisher

	// Guarded by hub.mu.
	facts  rules.Stream
	owner  *session // nil for a source
	up     bool     // media flow
	failed error    // why a source cannot give it, and will not soon; nil while it may
	gone   bool     // it has ended
}

func newHub(g *Gateway) *hub {
	return &hub{
		g: g, log: g.log, live: make(map[string]*live), sessions: make(map[uint64]*session),
		admitted: make(map[int]*admitted), changed: make(chan struct{}),
	}
}

// add makes a stream live and begins to route it. It returns false if the name is taken.
func (h *hub) add(l *live) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := l.stream.Name()
	if h.live[name] != nil {
		return false
	}
	h.live[name] = l
	l.cables = h.g.newCables(l)
	h.wake()
	return true
}

// remove is the end of a live stream.
func (h *hub) remove(l *live) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.end(l)
}

// end is remove for the holder of mu.
func (h *hub) end(l *live) {
	delete(h.live, l.stream.Name())
	l.up, l.gone, l.owner = false, true, nil
	_, _, gaps := l.stream.Stats()
	h.g.metrics.gaps += gaps
	h.wake()
}

// turn notes that media of a source flow, or no longer do.
func (h *hub) turn(l *live, up bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.up, l.failed = up, nil
	if !up && permanent(err) {
		l.failed = err
	}
	h.wake()
}

// Password returns a user's password, for protocols that prove it by a digest.
func (h *hub) Password(user string) (string, bool) { return h.g.file().Password(user) }

// Publish gives a peer the right to write the named stream. A name that is live is given to the same user (or the same
// address, if neither is authenticated); everybody else is refused.
func (h *hub) Publish(_ context.Context, p wire.Peer, name string) (*wire.Grant, error) {
	d, user, err := h.admit("publish", name, p)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, h.refuse("publish", d.As, p, errDraining)
	}
	old := h.live[d.As]
	if busy := h.busy(d.As, old, user, p.Addr.Addr()); busy != "" {
		return nil, h.refuse("publish", d.As, p, &wire.Refusal{Err: wire.ErrBusy, Reason: busy})
	}
	if old != nil {
		h.uncount(old.owner) // it goes at once, so its place is free
	}
	s, err := h.newSession("publish", d, user, p)
	if err != nil {
		if old != nil {
			h.recount(old.owner)
		}
		return nil, h.refuse("publish", d.As, p, err, "entry", d.Entry, "line", d.Line)
	}
	l := old
	if old == nil {
		l = &live{stream: transmux.NewStream(d.As, h.g.limits)}
	} else {
		old.owner.cancel(wire.ErrReplaced)
	}
	l.owner, l.up = s, true
	l.facts = rules.Stream{Name: d.As, Protocol: p.Protocol, Listener: p.Listener, Address: p.Addr.Addr().Unmap(), User: user}
	s.live = l
	writer := l.stream.NewWriter()
	grant := wire.NewGrant(s.ctx, func(cause error) { h.endPublish(s, cause) })
	grant.Name, grant.Writer, s.meter = d.As, writer, grant.Meter
	if old == nil {
		h.live[d.As] = l
		l.cables = h.g.newCables(l)
	} else {
		l.cables.reroute()
	}
	h.wake()
	h.log.Info("publishing", "name", d.As, "protocol", p.Protocol, "address", p.Addr, "user", user, "layers", p.Layers, "session", s.id)
	return grant, nil
}

// busy says why a publisher may not have a name; empty if it may.
func (h *hub) busy(name string, l *live, user string, addr netip.Addr) string {
	if l == nil {
		if src, ok := h.g.file().Source(name); ok && !src.Wild {
			return "the gateway fetches this stream itself"
		}
		return ""
	}
	switch {
	case l.owner == nil:
		return "the gateway fetches this stream itself"
	case user != "" || l.facts.User != "":
		if user == l.facts.User {
			return ""
		}
	case addr.Unmap() == l.facts.Address:
		return ""
	}
	return "somebody else publishes it"
}

func (h *hub) endPublish(s *session, cause error) {
	cause = h.g.notePanic("publish "+s.name, cause)
	said := s.end(cause)
	l := s.live
	h.mu.Lock()
	h.forget(s)
	last := l.owner == s
	if last {
		h.end(l)
	}
	h.mu.Unlock()
	h.log.Info("published", "name", s.name, "session", s.id, "for", time.Since(s.started).Round(time.Second), "cause", said)
	if last {
		end := io.EOF
		if errors.Is(said, wire.ErrDrain) {
			end = wire.ErrDrain
		}
		l.stream.Close(end)
		h.g.ends.Go(func() { _ = l.cables.close(false) }) // what could not be delivered is in the log
	}
}

// Play gives a peer the right to read the named stream. It waits for a stream that is being fetched.
func (h *hub) Play(ctx context.Context, p wire.Peer, name string) (*wire.Grant, error) {
	d, user, err := h.admit("play", name, p)
	if err != nil {
		return nil, err
	}
	// The session counts from here on, so that those who wait are bounded too.
	h.mu.Lock()
	s, err := h.newSession("play", d, user, p)
	if h.draining {
		err = errDraining
	}
	h.mu.Unlock()
	if err != nil {
		if s != nil {
			h.drop(s)
		}
		return nil, h.refuse("play", d.As, p, err, "entry", d.Entry, "line", d.Line)
	}
	grant, err := h.play(ctx, s, d.As)
	if err != nil {
		h.drop(s)
		var no *wire.Refusal
		if errors.As(err, &no) {
			return nil, h.refuse("play", d.As, p, err)
		}
		return nil, err // the peer left
	}
	h.log.Info("playing", "name", d.As, "protocol", p.Protocol, "address", p.Addr, "user", user, "layers", p.Layers, "session", s.id)
	return grant, nil
}

// play waits for the stream that is served under a name, and makes the grant.
func (h *hub) play(ctx context.Context, s *session, name string) (*wire.Grant, error) {
	ctx, stop := context.WithTimeoutCause(ctx, startTimeout, errSilent)
	defer stop()
	// A session that waits ends like any other.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(&wire.Refusal{Err: wire.ErrLimit, Reason: context.Cause(s.ctx).Error()}) })()
	l, release, err := h.find(ctx, s.peer.Protocol, name)
	if err != nil {
		return nil, err
	}
	if err := l.stream.Reader().Wait(ctx); err != nil {
		release()
		if errors.Is(err, io.EOF) || errors.Is(err, wire.ErrDrain) {
			err = &wire.Refusal{Err: wire.ErrNotFound, Reason: "it has just ended"}
		}
		return nil, err
	}
	grant := wire.NewGrant(s.ctx, func(cause error) {
		said := s.end(cause)
		h.mu.Lock()
		h.forget(s)
		if l.gone && errors.Is(said, errLeft) {
			said = wire.ErrEnded
		}
		h.mu.Unlock()
		release()
		h.log.Info("played", "name", s.name, "protocol", s.peer.Protocol, "session", s.id, "for", time.Since(s.started).Round(time.Second), "cause", said)
	})
	grant.Name, grant.Stream, grant.Tracks = l.stream.Name(), l.stream, l.cables.chosen(served{s.peer.Protocol, name})
	grant.Meter.Observe(h.g.metrics.latencyOf(s.peer.Protocol))
	h.mu.Lock()
	defer h.mu.Unlock()
	s.live, s.meter = l, grant.Meter
	return grant, nil
}
