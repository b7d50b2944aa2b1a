package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"weir/transmux"
	"weir/wire"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	fault := errors.New("connection refused")
	for _, c := range []struct {
		name string
		err  error
		up   []time.Duration
		min  time.Duration
		max  []time.Duration
	}{
		{name: "it doubles up to 30 s", err: fault, up: make([]time.Duration, 8),
			max: []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second}},
		{name: "it begins again after a minute of media", err: fault, up: []time.Duration{0, 0, 0, time.Minute, 0},
			max: []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 500 * time.Millisecond, time.Second}},
		{name: "it goes on after less", err: nil, up: []time.Duration{0, 59 * time.Second, 0},
			max: []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}},
		{name: "it is slow where trying soon does not help", err: fmt.Errorf("dial: %w", wire.ErrWrongUser), up: make([]time.Duration, 2), min: 15 * time.Second,
			max: []time.Duration{30 * time.Second, 30 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			highest := make([]time.Duration, len(c.up))
			for range 200 {
				var b backoff
				for i, up := range c.up {
					d := b.next(c.err, up)
					if d <= 0 || d < c.min || d > c.max[i]+time.Millisecond {
						t.Fatalf("got pause %d of %v; want %v to %v", i, d, c.min, c.max[i])
					}
					highest[i] = max(highest[i], d)
				}
			}
			for i, d := range highest { // full jitter: all of the range is used
				if d < c.max[i]*3/4 {
					t.Errorf("got at most %v as pause %d of 200 tries; want nearly %v", d, i, c.max[i])
				}
			}
		})
	}
}

const keptFile = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
sources:
  kept: "tcp://viewer:hunter2@kept:1"
`

func TestSourceReconnects(t *testing.T) {
	t.Parallel()
	inWorld(t, keptFile, Options{}, func(t *testing.T, w *world) {
		runs := 0
		w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error {
			runs++
			if runs%4 != 1 {
				return errors.New("connection refused")
			}
			return shoot(ctx, out, 100, byte('0'+runs/4)) // and ends
		}
		w.begin()
		g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "kept")
		if err != nil {
			t.Fatal(err)
		}
		r := g.Stream.Reader()
		var last time.Duration
		for seen := byte('0'); seen < '3'; {
			au, err := r.Next(t.Context())
			if err != nil {
				t.Fatalf("got %v; want a stream that outlives its connections", err)
			}
			if au.Track.Kind() == transmux.KindVideo {
				if au.DTS <= last {
					t.Fatalf("got DTS %v after %v; want a line that goes on", au.DTS, last)
				}
				last = au.DTS
				seen = au.Data[0]
			}
		}
		_ = pass(t.Context(), 100*time.Millisecond)
		g.End(nil)
		// One line for each change of state: up, ended, refused (three times, said once).
		w.logged(4, "source is up")
		w.logged(3, "source is down", "it ended")
		w.logged(3, "source is down", "connection refused")
		w.logged(0, "hunter2")
		w.logged(6, "url=tcp://viewer:•••@kept:1", "is down")
	})
}

func TestSourceWatchdog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		url   string
		media bool // a second of it before the silence
		downs int
	}{
		{name: "it ends a dial that brings nothing in 10 s", url: "tcp://kept:1", downs: 1},
		{name: "it ends a source that falls silent for 10 s", url: "tcp://kept:1", media: true, downs: 1},
		{name: "it lets a listener wait for ever", url: "tcp://127.0.0.1:1?listen=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, "listen: {rtmp: \"127.0.0.1:26100\"}\nsources: {kept: \""+c.url+"\"}\n", Options{}, func(t *testing.T, w *world) {
				w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error {
					if c.media {
						if err := shoot(ctx, out, 25, 'k'); err != nil {
							return err
						}
					}
					return pass(ctx, time.Hour)
				}
				w.begin()
				_ = pass(t.Context(), 9*time.Second)
				w.logged(0, "source is down")
				_ = pass(t.Context(), 2600*time.Millisecond)
				w.logged(c.downs, "source is down", "no picture and no sound for 10s")
			})
		})
	}
}

func TestSourceOnDemand(t *testing.T) {
	t.Parallel()
	const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
sources:
  cam: {url: "tcp://cam:1", on_demand: true}
  "far/**": {url: "tcp://far:1", on_demand: true}
`
	for _, name := range []string{"cam", "far/away"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, file, Options{}, func(t *testing.T, w *world) {
				var runs, running atomic.Int32
				w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error {
					runs.Add(1)
					running.Add(1)
					defer running.Add(-1)
					return shoot(ctx, out, 1<<20, 'c')
				}
				w.begin()
				want := func(when string, wantRuns, wantRunning int32) {
					t.Helper()
					if runs, running := runs.Load(), running.Load(); runs != wantRuns || running != wantRunning {
						t.Errorf("got %d runs, %d running %s; want %d, %d", runs, running, when, wantRuns, wantRunning)
					}
				}
				play := func() *wire.Grant {
					t.Helper()
					g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), name)
					if err != nil {
						t.Fatal(err)
					}
					return g
				}
				want("before anybody asks", 0, 0)
				a, b := play(), play()
				want("with two players", 1, 1)
				a.End(nil)
				_ = pass(t.Context(), time.Minute)
				want("with one player", 1, 1)
				b.End(nil)
				_ = pass(t.Context(), linger-time.Second)
				want("while it lingers", 1, 1)
				c := play()
				_ = pass(t.Context(), time.Minute)
				want("with a player who came while it lingered", 1, 1)
				c.End(nil)
				_ = pass(t.Context(), linger+3*time.Second)
				want("after it lingered", 1, 0)
				w.logged(1, "source rests")
				d := play()
				want("when it is asked for again", 2, 1)
				d.End(nil)
				_ = pass(t.Context(), linger+3*time.Second)
				want("at the end", 2, 0)
				w.mu.Lock()
				defer w.mu.Unlock()
				if _, kept := w.sources[name]; kept != (name == "cam") {
					t.Errorf("got %s kept %v; want names of players forgotten", name, kept)
				}
			})
		})
	}
}

func TestWildcardsAreBounded(t *testing.T) {
	t.Parallel()
	const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
sources: {"**": {url: "tcp://far:1", on_demand: true}}
`
	inWorld(t, file, Options{}, func(t *testing.T, w *world) {
		w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error { return pass(ctx, time.Hour) }
		w.begin()
		answers := make(chan error)
		for i := range maxSources + 100 {
			go func() {
				_, err := w.hub.Play(t.Context(), peer("10.0.0.9"), fmt.Sprint("name/", i))
				answers <- err
			}()
		}
		limited := 0
		for range maxSources + 100 {
			err := <-answers
			if errors.Is(err, wire.ErrLimit) {
				limited++
			} else {
				wantErr(t, err, wire.ErrNotFound)
			}
		}
		if limited != 100 {
			t.Errorf("got %d names refused; want what is above %d", limited, maxSources)
		}
		_ = pass(t.Context(), linger+3*time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hub.mu.Lock()
		defer w.hub.mu.Unlock()
		if len(w.sources) != 0 || len(w.hub.live) != 0 {
			t.Errorf("got %d sources and %d streams left; want none", len(w.sources), len(w.hub.live))
		}
	})
}

// A publisher on an edge is played, and nothing is fetched for its players.
func TestPublisherBeforeWildcard(t *testing.T) {
	t.Parallel()
	const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
sources: {"**": {url: "tcp://far:1", on_demand: true}}
`
	inWorld(t, file, Options{}, func(t *testing.T, w *world) {
		w.fetch = func(context.Context, string, *transmux.Writer) error { t.Error("got a fetch; want none"); return nil }
		w.begin()
		pub := w.publish(peer("10.0.0.1"), "live/a", 'a')
		g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "live/a")
		if err != nil {
			t.Fatal(err)
		}
		g.End(nil)
		pub.leave()
		w.logged(0, "source")
	})
}

func TestSourceThatPanics(t *testing.T) {
	t.Parallel()
	inWorld(t, keptFile, Options{}, func(t *testing.T, w *world) {
		runs := 0
		w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error {
			if runs++; runs == 1 {
				panic("boom")
			}
			return shoot(ctx, out, 1<<20, 'k')
		}
		w.begin()
		_ = pass(t.Context(), 3*time.Second)
		w.logged(1, "a session panicked", "boom")
		w.logged(1, "source is up")
	})
}

func TestFollower(t *testing.T) {
	t.Parallel()
	const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
sources:
  copy: {url: "stream:live/a", tracks: video}
  lazy: {url: "stream:cam", on_demand: true}
  cam: {url: "tcp://cam:1", on_demand: true}
`
	t.Run("it waits for the other, follows it, and waits again", func(t *testing.T) {
		t.Parallel()
		inWorld(t, file, Options{}, func(t *testing.T, w *world) {
			w.begin()
			_ = pass(t.Context(), time.Hour)
			w.logged(0, "source is down")
			for _, mark := range []byte("ab") {
				pub := w.publish(peer("10.0.0.1"), "live/a", mark)
				g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "copy")
				if err != nil {
					t.Fatal(err)
				}
				r := g.Stream.Reader()
				for n := 0; n < 50; {
					au, err := r.Next(t.Context())
					if err != nil || au.Track.Kind() != transmux.KindVideo {
						t.Fatalf("got %v, %v; want pictures only", au, err)
					}
					if au.Data[0] == mark {
						n++
					}
				}
				g.End(nil)
				pub.leave()
				_ = pass(t.Context(), time.Minute)
			}
		})
	})
	t.Run("it is demand for the other", func(t *testing.T) {
		t.Parallel()
		inWorld(t, file, Options{}, func(t *testing.T, w *world) {
			var running atomic.Int32
			w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error {
				running.Add(1)
				defer running.Add(-1)
				return shoot(ctx, out, 1<<20, 'c')
			}
			w.begin()
			g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "lazy")
			if err != nil {
				t.Fatal(err)
			}
			_ = pass(t.Context(), time.Minute)
			if n := running.Load(); n != 1 {
				t.Errorf("got %d running while it is followed; want 1", n)
			}
			g.End(nil)
			_ = pass(t.Context(), 2*linger+5*time.Second)
			if n := running.Load(); n != 0 {
				t.Errorf("got %d running when nobody follows; want 0", n)
			}
		})
	})
}
