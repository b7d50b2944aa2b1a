package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/transmux"
	"weir/wire"
)

// sinks notes what fake sinks do.
type sinks struct {
	mu    sync.Mutex
	log   []string
	fails map[string]error // what a dial returns
	stuck bool             // they do not end with their stream
}

func (k *sinks) say(words ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log = append(k.log, fmt.Sprint(words...))
}

func (k *sinks) fail(name string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fails[name] = err
}

// take returns what was noted since the last call, sorted.
func (k *sinks) take() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := k.log
	k.log = nil
	slices.Sort(out)
	return out
}

func (k *sinks) send(ctx context.Context, name string, s *transmux.Stream, m *wire.Meter) error {
	k.mu.Lock()
	err, stuck := k.fails[name], k.stuck
	k.mu.Unlock()
	if err != nil {
		return err
	}
	k.say("dial ", name, " for ", s.Name())
	r := s.Reader()
	for {
		au, err := r.Next(ctx)
		if errors.Is(err, io.EOF) && stuck {
			<-ctx.Done()
			err = context.Cause(ctx)
		}
		if err != nil {
			k.say("end ", name)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		m.Moved(len(au.Data), au.Arrived)
	}
}

func TestSends(t *testing.T) {
	t.Parallel()
	type step struct {
		do   func(w *world, k *sinks)
		want string
	}
	pubs := func(w *world, name, address string) *publisher { return w.publish(peer(address), name, 'a') }
	for _, c := range []struct {
		name  string
		rules string
		steps func() []step
		log   map[string]int
	}{
		{name: "it sends when the tracks are known, and says goodbye at the end",
			rules: "- {name: r, send: \"tcp://dest:1\"}",
			steps: func() []step {
				var a *publisher
				return []step{
					{func(w *world, _ *sinks) { a = pubs(w, "live/a", "10.0.0.1") }, "dial dest for live/a"},
					{func(*world, *sinks) { a.leave() }, "end dest"},
				}
			},
			log: map[string]int{"cable is up": 1, "cable has ended": 1, "cable is down": 0}},
		{name: "it keeps what a publisher sent whom another replaces",
			rules: "- {name: r, send: \"tcp://dest:1\"}",
			steps: func() []step {
				var b *publisher
				return []step{
					{func(w *world, _ *sinks) { pubs(w, "live/a", "10.0.0.1") }, "dial dest for live/a"},
					{func(w *world, _ *sinks) { b = pubs(w, "live/a", "10.0.0.1") }, ""},
					{func(*world, *sinks) { b.leave() }, "end dest"},
				}
			}},
		{name: "it routes again when the codecs change, and keeps equal cables",
			rules: "- {name: r, send: \"tcp://all:1\"}\n- {name: v, match: {video: vp8}, send: \"tcp://vp8:1\"}\n- {name: n, match: {video: vp9}, send: \"tcp://vp9:1\"}",
			steps: func() []step {
				var g *wire.Grant
				return []step{
					{func(w *world, _ *sinks) {
						g, _ = w.hub.Publish(w.t.Context(), peer("10.0.0.1"), "live/a")
						_ = g.Writer.Write(transmux.AccessUnit{Track: picture, Key: true, Data: []byte{1}})
					}, "dial all for live/a, dial vp8 for live/a"},
					{func(*world, *sinks) {
						_ = g.Writer.Write(transmux.AccessUnit{Track: &transmux.Track{ID: 1, Codec: transmux.VP9}, DTS: time.Second, Key: true, Data: []byte{1}})
					}, "dial vp9 for live/a, end vp8"},
					{func(*world, *sinks) { g.End(nil) }, "end all, end vp9"},
				}
			}},
		{name: "it routes again when another address replaces",
			rules: "- {name: r, match: {address: 10.0.0.1}, send: \"tcp://one:1\"}\n- {name: s, match: {address: 10.0.0.2}, send: \"tcp://two:1\"}",
			steps: func() []step {
				var b *publisher
				return []step{
					{func(w *world, _ *sinks) { w.publish(as(peer("10.0.0.1"), "ann", "s3cr3t-ann"), "live/a", 'a') }, "dial one for live/a"},
					{func(w *world, _ *sinks) { b = w.publish(as(peer("10.0.0.2"), "ann", "s3cr3t-ann"), "live/a", 'a') }, "dial two for live/a, end one"},
					{func(*world, *sinks) { b.leave() }, "end two"},
				}
			}},
		{name: "it lets the second stream wait in line and take over",
			rules: "- {name: r, send: \"tcp://dest:1\"}",
			steps: func() []step {
				var a, b *publisher
				return []step{
					{func(w *world, _ *sinks) { a = pubs(w, "live/a", "10.0.0.1") }, "dial dest for live/a"},
					{func(w *world, _ *sinks) { b = pubs(w, "live/b", "10.0.0.1") }, ""},
					{func(*world, *sinks) { a.leave() }, "dial dest for live/b, end dest"},
					{func(*world, *sinks) { b.leave() }, "end dest"},
				}
			},
			log: map[string]int{"waits in line for a destination": 1}},
		{name: "it gives one destination to one cable of a stream",
			rules: "- {name: v, tracks: [video], send: \"tcp://dest:1\"}\n- {name: a, tracks: [audio], send: \"tcp://dest:1\"}",
			steps: func() []step {
				var a *publisher
				return []step{
					{func(w *world, _ *sinks) { a = pubs(w, "live/a", "10.0.0.1") }, "dial dest for live/a"},
					{func(*world, *sinks) { a.leave() }, "end dest"},
				}
			},
			log: map[string]int{"waits in line for a destination": 1}},
		{name: "it says once what cannot be carried, and tries when the tracks change",
			rules: "- {name: r, send: \"tcp://dest:1\"}",
			steps: func() []step {
				var g *wire.Grant
				return []step{
					{func(w *world, k *sinks) {
						k.fail("dest", fmt.Errorf("%w: track 1 (vp8) is left out", wire.ErrNoTrack))
						g, _ = w.hub.Publish(w.t.Context(), peer("10.0.0.1"), "live/a")
						_ = g.Writer.Write(transmux.AccessUnit{Track: picture, Key: true, Data: []byte{1}})
						_ = pass(w.t.Context(), time.Hour)
					}, ""},
					{func(w *world, k *sinks) {
						k.fail("dest", nil)
						_ = g.Writer.Write(transmux.AccessUnit{Track: &transmux.Track{ID: 1, Codec: transmux.VP9}, DTS: time.Second, Key: true, Data: []byte{1}})
					}, "dial dest for live/a"},
					{func(*world, *sinks) { g.End(nil) }, "end dest"},
				}
			},
			log: map[string]int{"cable is incompatible": 1, "cable is down": 0}},
		{name: "it dials a slow receiver again",
			rules: "- {name: r, send: \"tcp://dest:1\"}",
			steps: func() []step {
				var a *publisher
				return []step{
					{func(w *world, k *sinks) {
						k.fail("dest", wire.ErrSlow)
						a = pubs(w, "live/a", "10.0.0.1")
					}, ""},
					{func(w *world, k *sinks) { k.fail("dest", nil); _ = pass(w.t.Context(), 10*time.Second) }, "dial dest for live/a"},
					{func(*world, *sinks) { a.leave() }, "end dest"},
				}
			},
			log: map[string]int{"cable is down": 1}},
		{name: "it leaves behind who does not end",
			rules: "- {name: r, send: \"tcp://dest:1\"}",
			steps: func() []step {
				var a *publisher
				return []step{
					{func(w *world, k *sinks) { k.stuck = true; a = pubs(w, "live/a", "10.0.0.1") }, "dial dest for live/a"},
					{func(*world, *sinks) { a.leave() }, "end dest"},
				}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := "listen: {rtmp: \"127.0.0.1:26100\"}\nusers: {ann: \"${env:ANN}\"}\naccess: [{allow: publish}]\nrules:\n" + c.rules + "\n"
			inWorld(t, file, Options{}, func(t *testing.T, w *world) {
				k := &sinks{fails: make(map[string]error)}
				w.send = k.send
				w.begin()
				for i, step := range c.steps() {
					step.do(w, k)
					_ = pass(t.Context(), 3*time.Second)
					if got := strings.Join(k.take(), ", "); got != step.want {
						t.Fatalf("step %d: got %q; want %q\n%s", i, got, step.want, w.log)
					}
				}
				for line, n := range c.log {
					w.logged(n, line)
				}
				if n := w.sends.waiters() + len(w.sends.waiting); n != 0 {
					t.Errorf("got %d claims left; want none", n)
				}
			})
		})
	}
}

func TestServedNames(t *testing.T) {
	t.Parallel()
	const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
rules: [{name: r, match: {name: in/*}, serve: rtmp, as: out, tracks: [video]}]
`
	inWorld(t, file, Options{}, func(t *testing.T, w *world) {
		w.begin()
		a := w.publish(peer("10.0.0.1"), "in/a", 'a')
		_ = pass(t.Context(), time.Second)
		b := w.publish(peer("10.0.0.1"), "in/b", 'b')
		_ = pass(t.Context(), time.Second)
		mark := func() byte {
			t.Helper()
			g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "out")
			if err != nil {
				t.Fatal(err)
			}
			defer g.End(nil)
			if got := g.Tracks.String(); got != "video" {
				t.Errorf("got tracks %q; want those of the rule", got)
			}
			au, err := g.Stream.Reader().Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return au.Data[0]
		}
		if got := mark(); got != 'a' {
			t.Errorf("got stream %q under the name; want the first, a", got)
		}
		w.logged(1, "waits in line for a served name", "as=out")
		a.leave()
		if got := mark(); got != 'b' {
			t.Errorf("got stream %q when the first has left; want b", got)
		}
		b.leave()
		_, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "in/a")
		wantErr(t, err, wire.ErrNotFound)
	})
}

// A stream from stdin that is shorter than a moment arrives whole before Run returns.
func TestOneShot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fetch func(ctx context.Context, w *transmux.Writer) error
		fails error
		slow  time.Duration
		err   string
		got   int
	}{
		{name: "it delivers a short stream", got: 50,
			fetch: func(ctx context.Context, w *transmux.Writer) error { return shoot(ctx, w, 25, 's') }},
		{name: "it delivers a stream that is there at once", got: 3, fetch: func(_ context.Context, w *transmux.Writer) error {
			for i := range 3 {
				_ = w.Write(transmux.AccessUnit{Track: picture, DTS: time.Duration(i) * 40 * time.Millisecond, Key: i == 0, Data: []byte{1}})
			}
			return nil
		}},
		{name: "it waits for slow destinations", got: 3, slow: 5 * time.Second, fetch: func(_ context.Context, w *transmux.Writer) error {
			for i := range 3 {
				_ = w.Write(transmux.AccessUnit{Track: picture, DTS: time.Duration(i) * 40 * time.Millisecond, Key: i == 0, Data: []byte{1}})
			}
			return nil
		}},
		{name: "it says what was wrong with the stream", err: "not a stream", fetch: func(context.Context, *transmux.Writer) error { return errors.New("not a stream") }},
		{name: "it says that a destination did not get it", err: "connection refused", fails: errors.New("connection refused"),
			fetch: func(ctx context.Context, w *transmux.Writer) error { return shoot(ctx, w, 25, 's') }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := "sources: {in: \"stdin:\"}\naccess: [{allow: publish}]\nrules: [{name: r, send: \"tcp://dest:1\"}]\n"
			inWorld(t, file, Options{Stdin: new(bytes.Buffer)}, func(t *testing.T, w *world) {
				w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error { return c.fetch(ctx, out) }
				w.sources["in"].origin = fakeSource{w, "in"}
				got := 0
				w.send = func(ctx context.Context, _ string, s *transmux.Stream, _ *wire.Meter) error {
					if c.fails != nil {
						return c.fails
					}
					if err := pass(ctx, c.slow); err != nil {
						return err
					}
					for r := s.Reader(); ; got++ {
						if _, err := r.Next(ctx); errors.Is(err, io.EOF) {
							return nil
						} else if err != nil {
							return err
						}
					}
				}
				w.begin()
				<-w.over
				if (w.err != nil) != (c.err != "") || w.err != nil && !strings.Contains(w.err.Error(), c.err) {
					t.Errorf("got %v; want %q", w.err, c.err)
				}
				if got != c.got {
					t.Errorf("got %d units; want %d", got, c.got)
				}
			})
		})
	}
}
