package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"weir/ingress"
	"weir/rules"
	"weir/transmux"
	"weir/wire"
)

// linger is how long a source on demand goes on after its last player left.
const linger = 10 * time.Second

// maxSources bounds what wildcards can be made to fetch by players who ask for many names.
const maxSources = 4096

// source is one stream that this gateway fetches, kept alive or on demand.
type source struct {
	g    *Gateway
	name string
	rule *rules.Source
	urls []rules.Text // expanded
	veil veil
	log  *slog.Logger

	origin  ingress.Source
	patient bool // it may wait for ever for its first unit
	single  bool // it cannot run twice

	// Guarded by g.mu.
	users int
	stop  context.CancelCauseFunc // of the present run; nil if none is wanted
	done  chan struct{}           // closed when the latest run has said its goodbyes
	idle  *time.Timer             // stops it; nil while it has users
	rests int                     // how often that timer was set
}

// prepareSources makes the sources that have a name of their own, and tries what they are sent to, so that a mistake in a
// URL is found before anything runs.
func (g *Gateway) prepareSources() error {
	for i := range g.rules.Sources {
		r := &g.rules.Sources[i]
		if r.Wild {
			continue
		}
		s, err := g.newSource(r.Name, r)
		if err != nil {
			return fmt.Errorf("source %q (line %d): %w", r.Name, r.Line, err)
		}
		g.sources[r.Name] = s
		route := g.rules.Route(s.facts()) // as far as codecs do not matter
		for _, way := range route.Sends {
			if _, err := g.sink(way); err != nil {
				return fmt.Errorf("rule %s (line %d): send %s: %w", way.Rule, way.Line, way.URL, veilOf(way.Settings, way.URL).err(err))
			}
		}
		for _, way := range route.Serves {
			if r.OnDemand && way.As != r.Name {
				g.aliases[served{way.Protocol, way.As}] = r.Name
			}
		}
	}
	return nil
}

// startSources starts those that are kept alive.
func (g *Gateway) startSources() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sources {
		if !s.rule.OnDemand {
			s.start()
		}
	}
}

func (g *Gateway) newSource(name string, r *rules.Source) (*source, error) {
	s := &source{g: g, name: name, rule: r, urls: r.Expand(name)}
	s.veil = veilOf(r.Settings, s.urls...)
	s.log = s.veil.log(g.log).With("line", r.Line)
	var legs []ingress.Source
	var shown []string
	var patient []bool
	for _, u := range s.urls {
		remote, err := g.remote(u, r.Settings, r.Tracks)
		if err != nil {
			return nil, fmt.Errorf("url %s: %w", u, s.veil.err(err))
		}
		leg, err := g.newIngress(remote)
		if err != nil {
			return nil, fmt.Errorf("url %s: %w", u, s.veil.err(err))
		}
		legs = append(legs, leg)
		shown = append(shown, u.String())
		s.single = s.single || remote.URL.Scheme == "stdin"
		patient = append(patient, patientURL(remote))
	}
	s.origin, s.patient = legs[0], patient[0]
	if len(legs) > 1 {
		s.patient = true // it watches its legs itself
		s.origin = &failover{
			g: g, name: name, urls: shown, legs: legs, patient: patient, log: s.log, limits: g.limits,
			after: r.Failover.After, back: r.Failover.Return,
		}
	}
	return s, nil
}

// patientURL reports whether it is normal that nothing comes: others begin when they like.
func patientURL(r wire.Remote) bool {
	switch r.URL.Scheme {
	case "stdin", "stream":
		return true
	}
	listen := r.URL.Query().Get("listen")
	return listen == "1" || listen == "true"
}

func (s *source) facts() rules.Stream {
	return rules.Stream{Name: s.name, Protocol: s.urls[0].Protocol()}
}

// demand counts one player or follower of the named stream until release is called, and starts the source that gives
// it, if one does. A wildcard's source is made when it is first asked for, and forgotten when it rests. The source is
// nil if nothing gives the stream; the error wraps wire.ErrLimit.
func (g *Gateway) demand(name string) (s *source, release func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s = g.sources[name]; s == nil {
		rule, ok := g.rules.Source(name)
		if !ok {
			return nil, func() {}, nil
		}
		if len(g.sources) >= maxSources {
			return nil, nil, &wire.Refusal{Err: wire.ErrLimit, Reason: "too many streams are being fetched"}
		}
		if s, err = g.newSource(name, rule); err != nil {
			g.log.Error("source cannot run", "name", name, "line", rule.Line, "error", err)
			return nil, nil, &wire.Refusal{Err: wire.ErrNotFound, Reason: "it cannot be fetched"}
		}
		g.sources[name] = s
	}
	if !s.rule.OnDemand {
		return s, func() {}, nil
	}
	s.users++
	if s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
	if s.stop == nil {
		s.start()
	}
	return s, sync.OnceFunc(s.release), nil
}

// release is the end of one demand.
func (s *source) release() {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	if s.stop == nil {
		s.forget()
		return
	}
	s.rests++
	nth := s.rests
	s.idle = time.AfterFunc(linger, func() { s.rest(nth) })
}

// rest ends a source that nobody asked for while it lingered.
func (s *source) rest(nth int) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if s.idle == nil || s.rests != nth || s.stop == nil {
		return
	}
	s.idle = nil
	s.log.Info("source rests", "name", s.name)
	s.stop(wire.ErrIdle)
	s.stop = nil
}

// start runs the source until it is stopped, after the run before has said its goodbyes. The caller holds g.mu.
func (s *source) start() {
	ctx, cancel := context.WithCancelCause(s.g.feeding)
	before, done := s.done, make(chan struct{})
	s.stop, s.done = cancel, done
	s.g.ends.Go(func() {
		defer close(done)
		defer cancel(nil)
		if before != nil {
			<-before
		}
		s.run(ctx)
		s.g.mu.Lock()
		defer s.g.mu.Unlock()
		if s.done == done { // nobody wants it again
			s.stop = nil
			s.forget()
		}
	})
}

// forget drops what a wildcard made and nobody wants, so that the names players ask for do not pile up. The caller holds
// g.mu, and nothing runs.
func (s *source) forget() {
	if s.rule.Wild && s.users == 0 {
		delete(s.g.sources, s.name)
	}
}

// run fetches the stream until ctx ends, and then ends the stream.
func (s *source) run(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	h := s.g.hub
	l := &live{stream: transmux.NewStream(s.name, s.g.limits), source: s, facts: s.facts()}
	if !h.add(l) {
		s.log.Warn("source cannot run", "name", s.name, "error", "a publisher has this name; give one of them another")
		return
	}
	meter := new(wire.Meter)
	leave := s.g.metrics.joinIn(l.facts.Protocol, meter)
	err := s.g.supervise(ctx, supervised{
		kind: "source", name: s.name, log: s.log.With("url", s.urls[0].String()),
		last: func(error) bool { return s.single },
		run: func(ctx context.Context, up func()) error {
			return s.g.tryOnce(ctx, s.origin, l.stream, s.patient, meter, up)
		},
		state: func(up bool, err error) { h.turn(l, up, err) },
	})
	leave()
	h.remove(l)
	l.stream.Close(io.EOF)
	ended := ctx.Err() == nil
	undelivered := l.cables.close(ended)
	if ended {
		if err == nil {
			err = undelivered
		}
		s.g.oneShotEnded(s.veil.err(err))
	}
}
