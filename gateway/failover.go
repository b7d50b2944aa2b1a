package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weir/ingress"
	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

// A failover is a source with several URLs in order of preference. Each leg that runs fills a stream of its own; the one
// in use is followed into the real stream, from a key frame on. So a switch never shows a broken picture, and a better
// leg can be probed without anybody seeing it.
type failover struct {
	g       *Gateway
	name    string
	urls    []string // redacted, for the log
	legs    []ingress.Source
	patient []bool        // legs that may wait for ever for their first unit
	after   time.Duration // switch after so long without a unit
	back    time.Duration // return to a better leg that was healthy for so long; 0 is never
	log     *slog.Logger
	limits  ring.Limits
}

var _ ingress.Source = (*failover)(nil)

// contest is one run of a failover. Its fields belong to the goroutine of Run.
//
// While no leg gives media, one after the other is started and none is given up, and the first that gives some is taken:
// legs that need longer to begin than the pause between them do not starve each other.
type contest struct {
	*failover
	legs  []*leg // nil where none runs
	work  sync.WaitGroup
	meter *wire.Meter
	out   *transmux.Stream
	news  chan struct{} // has room for one: a leg has failed

	active  int       // the leg in use; -1 while none is
	last    int       // the leg that was in use before; -1 at first
	newest  int       // the leg that was started last
	started time.Time // when that was; zero makes the next one start
	feed    *feed     // of the active leg
	coming  *feed     // of a better leg, which waits for its next key frame; nil if none does
}

// leg is one running URL.
type leg struct {
	stream *transmux.Stream
	stop   context.CancelFunc
	failed atomic.Bool // since it was looked at
	units  uint64
	moved  time.Time // when units last grew, or it was started
	good   time.Time // since when it has been healthy without a pause; zero if it is not
	broken bool      // it failed and has given nothing since
}

// Run keeps one leg in use until ctx ends.
func (f *failover) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	ctx, cancel := context.WithCancel(ctx)
	c := &contest{failover: f, legs: make([]*leg, len(f.legs)), meter: m, out: w.Stream(), news: make(chan struct{}, 1), active: -1, last: -1}
	defer c.work.Wait()
	defer cancel()
	c.start(ctx, 0)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var began <-chan struct{}
		if c.coming != nil {
			began = c.coming.began
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-began:
			c.returned()
		case <-c.news:
		case <-tick.C:
		}
		now := time.Now()
		for _, l := range c.legs {
			if l != nil {
				l.look(now, f.after)
			}
		}
		if c.active >= 0 && (c.legs[c.active].good.IsZero() || ended(c.feed.done)) {
			c.lose()
		}
		if c.active < 0 {
			c.search(ctx, now)
		} else if f.back > 0 {
			c.probe(ctx, now)
		}
	}
}

// look notes how the leg does.
func (l *leg) look(now time.Time, after time.Duration) {
	units, _, _ := l.stream.Stats()
	switch {
	case units != l.units:
		l.units, l.moved, l.broken = units, now, false
		if l.good.IsZero() {
			l.good = now
		}
	case now.Sub(l.moved) > after:
		l.good = time.Time{}
	}
	if l.failed.Swap(false) {
		l.good, l.broken = time.Time{}, true
	}
}

// start runs a leg if it does not.
func (c *contest) start(ctx context.Context, i int) {
	if c.legs[i] != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	l := &leg{stream: transmux.NewStream(c.name, c.limits), stop: stop, moved: time.Now()}
	c.legs[i], c.newest, c.started = l, i, time.Now()
	c.work.Go(func() { c.keep(ctx, i, l) })
}

// keep keeps one leg alive until ctx ends.
func (c *contest) keep(ctx context.Context, i int, l *leg) {
	defer l.stream.Close(io.EOF)
	_ = c.g.supervise(ctx, supervised{
		kind: "leg", name: fmt.Sprintf("%s %s", c.name, c.urls[i]), log: c.log,
		run: func(ctx context.Context, up func()) error {
			return c.g.tryOnce(ctx, c.failover.legs[i], l.stream, c.patient[i], c.meter, up)
		},
		state: func(up bool, _ error) {
			if up {
				return
			}
			l.failed.Store(true)
			select {
			case c.news <- struct{}{}:
			default:
			}
		},
	})
}

// halt ends the legs that are not wanted beside i.
func (c *contest) halt(i int) {
	for j, l := range c.legs {
		if l != nil && (j > i || j < i && c.back == 0) {
			l.stop()
			c.legs[j] = nil
		}
	}
}

// lose gives up the leg in use; it goes on trying.
func (c *contest) lose() {
	c.feed.end()
	c.unprobe()
	c.last, c.active, c.started = c.active, -1, time.Time{}
}

// search takes the best leg that gives media, or starts one more.
func (c *contest) search(ctx context.Context, now time.Time) {
	for i, l := range c.legs {
		if l == nil || l.good.IsZero() {
			continue
		}
		if c.last >= 0 && c.last != i || c.last < 0 && i > 0 {
			c.log.Warn("source switches over", "name", c.name, "from", c.urls[max(c.last, 0)], "to", c.urls[i])
		}
		c.active, c.feed = i, c.follow(ctx, i, false)
		c.halt(i)
		return
	}
	if n := c.legs[c.newest]; n != nil && !n.broken && now.Sub(c.started) < c.after {
		return
	}
	for k := range c.legs {
		if i := (max(c.last, 0) + k) % len(c.legs); c.legs[i] == nil {
			c.start(ctx, i)
			return
		}
	}
}

// probe runs the legs that are better than the one in use, and goes back to one that was healthy for long enough.
func (c *contest) probe(ctx context.Context, now time.Time) {
	if c.coming != nil && (c.legs[c.coming.leg].good.IsZero() || ended(c.coming.done)) {
		c.unprobe()
	}
	for i := range c.active {
		c.start(ctx, i)
		if l := c.legs[i]; c.coming == nil && !l.good.IsZero() && now.Sub(l.good) >= c.back {
			c.coming = c.follow(ctx, i, true)
		}
	}
}

func (c *contest) unprobe() {
	if c.coming != nil {
		c.coming.end()
		c.coming = nil
	}
}

// returned is called when the better leg has taken over.
func (c *contest) returned() {
	c.log.Info("source returns", "name", c.name, "from", c.urls[c.active], "to", c.urls[c.coming.leg])
	c.feed.end()
	c.last, c.active, c.feed, c.coming = c.active, c.coming.leg, c.coming, nil
	c.halt(c.active)
}

// feed follows a leg into the real stream.
type feed struct {
	leg   int
	stop  context.CancelFunc
	began chan struct{} // closed when it has the stream
	done  chan struct{}
}

// end returns when no unit of the leg comes any more.
func (f *feed) end() {
	f.stop()
	<-f.done
}

// follow gives the stream to a leg from its newest key frame on, or from its next one: who has nothing else is in a
// hurry; who comes back from another leg would repeat what was seen.
func (c *contest) follow(ctx context.Context, i int, next bool) *feed {
	ctx, stop := context.WithCancel(ctx)
	f := &feed{leg: i, stop: stop, began: make(chan struct{}), done: make(chan struct{})}
	s := c.legs[i].stream
	r := s.Reader()
	if next {
		for ok := true; ok; {
			_, ok = r.Try()
		}
	}
	c.work.Go(func() {
		defer close(f.done)
		// Whatever ends it, the contest sees that it has, and looks for a leg again.
		_ = c.g.guard("failover "+c.name, func() error {
			return follow(ctx, s, r, nil, new(wire.Meter), func() *transmux.Writer {
				close(f.began)
				return c.out.NewWriter()
			})
		})
	})
	return f
}
