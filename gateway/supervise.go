package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"weir/egress"
	"weir/wire"
)

// Retry times: 0.5 s doubling to 30 s with full jitter, from the start again after a minute of health.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	healthy    = time.Minute
)

// backoff is the waiting time before the next try. The zero value is ready.
type backoff struct{ ceiling time.Duration }

// next returns how long to wait after a try that ended with err and had media for up.
func (b *backoff) next(err error, up time.Duration) time.Duration {
	if up >= healthy {
		b.ceiling = 0
	}
	switch {
	case egress.Permanent(err):
		b.ceiling = lastRetry
		return lastRetry/2 + rand.N(lastRetry/2)
	case b.ceiling == 0:
		b.ceiling = firstRetry
	default:
		b.ceiling = min(2*b.ceiling, lastRetry)
	}
	return rand.N(b.ceiling) + time.Millisecond
}

// errPanic is what a session that panicked ends with; the stack is in the log.
var errPanic = errors.New("internal error, see the log")

// guard runs one session and turns a panic into its end, so that the process never ends by one.
func (g *Gateway) guard(what string, run func() error) error {
	err := func() (err error) {
		defer wire.Recover(&err)
		return run()
	}()
	return g.notePanic(what, err)
}

// notePanic counts and logs the panic that err is, if it is one, and returns errPanic in its place, so that it is noted
// once.
func (g *Gateway) notePanic(what string, err error) error {
	var p *wire.Panic
	if !errors.As(err, &p) {
		return err
	}
	g.metrics.panics.Inc()
	g.log.Error("a session panicked", "session", what, "panic", fmt.Sprint(p.Value), "stack", string(p.Stack))
	return errPanic
}

// A supervised run is repeated until its context ends. Every change of state is one log line.
type supervised struct {
	kind, name string // for log and metrics: "source cam/gate"
	log        *slog.Logger
	last       func(error) bool // whether a run that ended so is the last; nil: none is
	over       <-chan struct{}  // nothing is tried again after it is closed; may be nil

	// run does the work and calls up when media flows for the first time.
	run func(ctx context.Context, up func()) error
	// state, if not nil, learns of changes: up with a nil error, down with the reason (nil if it just ended).
	state func(up bool, err error)
}

// supervise runs s until ctx ends, and returns its cause, or what the last run returned.
func (g *Gateway) supervise(ctx context.Context, s supervised) error {
	var wait backoff
	var lastSaid string
	for {
		var since time.Time
		err := g.guard(s.kind+" "+s.name, func() error {
			return s.run(ctx, func() {
				if since.IsZero() {
					since = time.Now()
					lastSaid = ""
					s.log.Info(s.kind+" is up", "name", s.name)
					if s.state != nil {
						s.state(true, nil)
					}
				}
			})
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.last != nil && s.last(err) || ended(s.over) {
			if err != nil {
				s.log.Warn(s.kind+" has failed", "name", s.name, "error", err)
			} else {
				s.log.Info(s.kind+" has ended", "name", s.name)
			}
			return err
		}
		var up time.Duration
		if !since.IsZero() {
			up = time.Since(since)
		}
		pause := wait.next(err, up)
		said := "it ended"
		if err != nil {
			said = err.Error()
		}
		if said != lastSaid { // an error that repeats is said once
			s.log.Warn(s.kind+" is down", "name", s.name, "error", said, "retry_in", pause.Round(100*time.Millisecond))
			lastSaid = said
		}
		if s.state != nil {
			s.state(false, err)
		}
		g.metrics.retries.WithLabelValues(s.kind).Inc()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.over:
			timer.Stop()
			return err
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// ended reports whether c, which may be nil, is closed.
func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
