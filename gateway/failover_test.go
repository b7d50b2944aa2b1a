package gateway

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/transmux"
)

// legs play two URLs by what the test switches on and off.
type legs struct {
	mu    sync.Mutex
	on    map[string]bool // media flow
	fails map[string]bool // dials fail at once
	takes time.Duration   // to begin
}

// is tells how a leg does.
func (l *legs) is(name string) (on, fails bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on[name], l.fails[name]
}

func (l *legs) fetch(ctx context.Context, name string, w *transmux.Writer) error {
	if _, fails := l.is(name); fails {
		return errors.New("connection refused")
	}
	if err := pass(ctx, l.takes); err != nil {
		return err
	}
	w.SetTracks([]*transmux.Track{picture})
	for i := 0; ; i++ {
		on, fails := l.is(name)
		if fails {
			return errors.New("connection reset")
		}
		if on {
			at := time.Duration(i) * 40 * time.Millisecond
			if err := w.Write(transmux.AccessUnit{Track: picture, DTS: at, PTS: at, Key: i%25 == 0, Data: []byte(name), Arrived: time.Now()}); err != nil {
				return err
			}
		}
		if err := pass(ctx, 40*time.Millisecond); err != nil {
			return err
		}
	}
}

func TestFailover(t *testing.T) {
	t.Parallel()
	type step struct {
		do   func(*legs)
		wait time.Duration
		want string // the leg at the end of the wait, all the pictures of its last second
	}
	on := func(name string, is bool) func(*legs) { return func(l *legs) { l.on[name] = is } }
	fail := func(name string, is bool) func(*legs) { return func(l *legs) { l.fails[name] = is } }
	nothing := func(*legs) {}
	for _, c := range []struct {
		name  string
		opt   string
		takes time.Duration
		steps []step
		log   map[string]int
	}{
		{name: "it begins with the first", opt: "after: 3s", steps: []step{{nothing, 2 * time.Second, "a"}}, log: map[string]int{"source switches over": 0}},
		{name: "it switches after silence", opt: "after: 3s, return: 0s",
			steps: []step{{nothing, 2 * time.Second, "a"}, {on("a", false), 2900 * time.Millisecond, ""}, {nothing, 1200 * time.Millisecond, "b"}}, log: map[string]int{"source switches over": 1}},
		{name: "it switches at once on an error", opt: "after: 3s, return: 0s",
			steps: []step{{nothing, 2 * time.Second, "a"}, {fail("a", true), 1200 * time.Millisecond, "b"}}, log: map[string]int{"source switches over": 1}},
		{name: "it never returns if return is 0", opt: "after: 1s, return: 0s",
			steps: []step{{nothing, 2 * time.Second, "a"}, {fail("a", true), 2 * time.Second, "b"}, {fail("a", false), 5 * time.Minute, "b"}}},
		{name: "it returns after health", opt: "after: 1s, return: 60s",
			steps: []step{{fail("a", true), 3 * time.Second, "b"}, {fail("a", false), 55 * time.Second, "b"}, {nothing, 45 * time.Second, "a"}}, log: map[string]int{"source returns": 1}},
		{name: "it does not return to who is unsteady", opt: "after: 1s, return: 60s",
			steps: []step{{fail("a", true), 3 * time.Second, "b"}, {fail("a", false), 40 * time.Second, "b"}, {on("a", false), 2 * time.Second, "b"}, {on("a", true), 50 * time.Second, "b"}, {nothing, 20 * time.Second, "a"}}},
		{name: "it stays where the other is no better", opt: "after: 1s, return: 0s",
			steps: []step{{nothing, 2 * time.Second, "a"}, {func(l *legs) { l.on["a"] = false; l.fails["b"] = true }, 30 * time.Second, ""}, {on("a", true), 1200 * time.Millisecond, "a"}}, log: map[string]int{"source switches over": 0}},
		{name: "it waits for legs that begin slower than they are given up", opt: "after: 500ms, return: 0s", takes: 4 * time.Second,
			steps: []step{{nothing, 6 * time.Second, "a"}, {on("a", false), 7 * time.Second, "b"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := "listen: {rtmp: \"127.0.0.1:26100\"}\nsources: {show: {url: [\"tcp://a:1\", \"tcp://b:1\"], failover: {" + c.opt + "}}}\n"
			inWorld(t, file, Options{}, func(t *testing.T, w *world) {
				l := &legs{on: map[string]bool{"a": true, "b": true}, fails: map[string]bool{}, takes: c.takes}
				w.fetch = l.fetch
				w.begin()
				w.hub.mu.Lock()
				s := w.hub.live["show"].stream
				w.hub.mu.Unlock()
				r := s.Reader()
				var last time.Duration
				for i, step := range c.steps {
					l.mu.Lock()
					step.do(l)
					l.mu.Unlock()
					_ = pass(t.Context(), step.wait-time.Second)
					drain := func() (seen string) {
						for {
							au, ok := r.Try()
							if !ok {
								return seen
							}
							if au.DTS <= last {
								t.Fatalf("step %d: got DTS %v after %v; want a line that goes on", i, au.DTS, last)
							}
							last = au.DTS
							if n := len(seen); (n == 0 || seen[n-1] != au.Data[0]) && i+n > 0 && !au.Key && seen != "" {
								t.Errorf("step %d: got a switch at a picture that is no key frame", i)
							}
							seen += string(au.Data)
						}
					}
					before := drain()
					_ = pass(t.Context(), time.Second)
					seen := drain()
					if strings.Trim(seen, step.want) != "" || step.want != "" && len(seen) < 10 {
						t.Fatalf("step %d: got pictures of %q, then %q; want %q\n%s", i, squeeze(before), squeeze(seen), step.want, w.log)
					}
				}
				for line, n := range c.log {
					w.logged(n, line)
				}
				if tracks := s.Tracks(); len(tracks) != 1 {
					t.Errorf("got tracks %v; want them to stay", tracks)
				}
			})
		})
	}
}

// squeeze shows runs of letters as one.
func squeeze(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if i == 0 || s[i] != s[i-1] {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func TestFailoverOfPublishers(t *testing.T) {
	t.Parallel()
	const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
sources: {show: {url: ["stream:live/a", "stream:live/b"], failover: {after: 2s, return: 10s}}}
`
	inWorld(t, file, Options{}, func(t *testing.T, w *world) {
		w.begin()
		b := w.publish(peer("10.0.0.2"), "live/b", 'b')
		_ = pass(t.Context(), 5*time.Second)
		mark := func() byte {
			t.Helper()
			g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "show")
			if err != nil {
				t.Fatal(err)
			}
			defer g.End(nil)
			_ = pass(t.Context(), 100*time.Millisecond)
			r := g.Stream.Reader()
			var last byte
			for {
				au, ok := r.Try()
				if !ok {
					return last
				}
				last = au.Data[0]
			}
		}
		if got := mark(); got != 'b' {
			t.Errorf("got %q while only the backup is live; want b", got)
		}
		a := w.publish(peer("10.0.0.1"), "live/a", 'a')
		_ = pass(t.Context(), 5*time.Second)
		if got := mark(); got != 'b' {
			t.Errorf("got %q when the primary is new; want b", got)
		}
		_ = pass(t.Context(), 8*time.Second)
		if got := mark(); got != 'a' {
			t.Errorf("got %q when the primary was healthy for 10 s; want a", got)
		}
		a.leave()
		_ = pass(t.Context(), time.Second)
		if got := mark(); got != 'b' {
			t.Errorf("got %q a second after the primary left; want b", got)
		}
		b.leave()
	})
}
