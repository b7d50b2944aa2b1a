package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/egress"
	"weir/ingress"
	"weir/rules"
	"weir/transmux"
	"weir/wire"
)

// world is a gateway without sockets, with a source and a sink that a test plays: fake:NAME.
type world struct {
	*Gateway
	t    *testing.T
	log  *logBook
	end  context.CancelFunc
	over chan struct{}
	err  error // of Run, after over

	fetch func(ctx context.Context, name string, w *transmux.Writer) error
	send  func(ctx context.Context, name string, s *transmux.Stream, m *wire.Meter) error
}

// inWorld runs a test on a fake clock beside a gateway of the file, which runs after w.begin. All that it started must
// have ended by itself soon after the test has.
func inWorld(t *testing.T, yaml string, opt Options, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, yaml, opt)
		defer w.stop()
		test(t, w)
	})
}

// begin starts the gateway.
func (w *world) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	w.end, w.over = cancel, make(chan struct{})
	go func() {
		defer close(w.over)
		w.err = w.Run(ctx, ctx.Done())
	}()
	synctest.Wait()
}

// stop ends the gateway without a drain, and checks that nothing is left.
func (w *world) stop() {
	w.t.Helper()
	if w.over == nil {
		w.begin()
	}
	start := time.Now()
	w.end()
	<-w.over
	if took := time.Since(start); took > 3*goodbye {
		w.t.Errorf("got an end that took %v; want less than %v", took, 3*goodbye)
	}
	w.clean()
	w.logged(0, "left behind")
}

func newWorld(t *testing.T, yaml string, opt Options) *world {
	t.Helper()
	w := &world{t: t, log: new(logBook)}
	opt.Log = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	table := slices.DeleteFunc(schemes(), func(s scheme) bool { return s.name == "tcp" })
	table = append(table, scheme{name: "tcp", layers: "fake",
		fetch: func(_ *Gateway, r wire.Remote) (ingress.Source, error) { return fakeSource{w, r.URL.Hostname()}, nil },
		send:  func(_ *Gateway, r wire.Remote) (egress.Sink, error) { return fakeSink{w, r.URL.Hostname()}, nil },
	})
	g, err := prepare(parse(t, yaml), opt, table)
	if err != nil {
		t.Fatal(err)
	}
	w.Gateway = g
	return w
}

func parse(t *testing.T, yaml string) *rules.File {
	t.Helper()
	env := func(name string) (string, bool) { return "s3cr3t-" + strings.ToLower(name), true }
	file, found := rules.Parse("weir.yaml", []byte(yaml), rules.Options{Env: env, Available: Available})
	if rules.Failed(found) {
		t.Fatalf("got findings %v; want a good file", found)
	}
	return file
}

type fakeSource struct {
	w    *world
	name string
}

func (f fakeSource) Run(ctx context.Context, w *transmux.Writer, _ *wire.Meter) error {
	return f.w.fetch(ctx, f.name, w)
}

type fakeSink struct {
	w    *world
	name string
}

func (f fakeSink) Run(ctx context.Context, s *transmux.Stream, m *wire.Meter) error {
	return f.w.send(ctx, f.name, s, m)
}

// logBook keeps what was logged.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// count is how many lines contain all words.
func (b *logBook) count(words ...string) int {
	n := 0
	for line := range strings.Lines(b.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

func (w *world) logged(n int, words ...string) {
	w.t.Helper()
	if got := w.log.count(words...); got != n {
		w.t.Errorf("got %d lines with %q; want %d in\n%s", got, words, n, w.log)
	}
}

func peer(address string) wire.Peer {
	return wire.Peer{Protocol: "rtmp", Listener: "rtmp", Addr: netip.AddrPortFrom(netip.MustParseAddr(address), 1000), Layers: "tcp → rtmp"}
}

func as(p wire.Peer, user, password string) wire.Peer {
	p.User, p.Password = user, password
	return p
}

var (
	picture = &transmux.Track{ID: 1, Codec: transmux.VP8}
	sound   = &transmux.Track{ID: 2, Codec: transmux.PCMA, Rate: 8000, Channels: 1}
)

// shoot writes n pictures, the first of them a key frame, 40 ms apart, in real time.
func shoot(ctx context.Context, w *transmux.Writer, n int, mark byte) error {
	w.SetTracks([]*transmux.Track{picture, sound})
	for i := range n {
		at := time.Duration(i) * 40 * time.Millisecond
		for _, t := range []*transmux.Track{picture, sound} {
			if err := w.Write(transmux.AccessUnit{Track: t, DTS: at, PTS: at, Key: i%25 == 0, Data: []byte{mark, byte(i)}, Arrived: time.Now()}); err != nil {
				return err
			}
		}
		if err := pass(ctx, 40*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// pass lets time go by on the test's clock.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// publisher is a peer that publishes until it leaves or its grant is taken back.
type publisher struct {
	*wire.Grant
	leave func() // and wait
	done  chan struct{}
	err   error // that ended it, after done
}

// publish lets a peer publish; mark is in all that it sends.
func (w *world) publish(p wire.Peer, name string, mark byte) *publisher {
	w.t.Helper()
	g, err := w.hub.Publish(w.t.Context(), p, name)
	if err != nil {
		w.t.Fatalf("got %v; want %s published", err, name)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := context.AfterFunc(ctxOf(g), func() { cancel(g.Cause()) })
	pub := &publisher{Grant: g, done: make(chan struct{})}
	pub.leave = func() { cancel(nil); <-pub.done }
	go func() {
		defer close(pub.done)
		pub.err = shoot(ctx, g.Writer, 1<<20, mark)
		stop()
		g.End(pub.err)
	}()
	return pub
}

// ctxOf is a context that ends with a grant.
func ctxOf(g *wire.Grant) context.Context { return grantContext{context.Background(), g} }

type grantContext struct {
	context.Context
	g *wire.Grant
}

func (c grantContext) Done() <-chan struct{} { return c.g.Done() }
func (c grantContext) Err() error            { return c.g.Cause() }

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

// clean checks that no session, source or claim is left behind.
func (w *world) clean() {
	w.t.Helper()
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	if len(w.hub.sessions) != 0 {
		w.t.Errorf("got %d sessions left; want none", len(w.hub.sessions))
	}
	for entry, a := range w.hub.admitted {
		if a.sessions != 0 || a.streams != 0 {
			w.t.Errorf("got %+v counted for entry %d; want nothing", *a, entry)
		}
	}
}
