package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/wire"
)

func TestPlay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		live   string // a publisher's name
		peer   wire.Peer
		stream string
		err    error
		reason string
		after  time.Duration
	}{
		{name: "it plays what is published", live: "live/a", peer: peer("10.0.0.9"), stream: "live/a"},
		{name: "it refuses at once what nobody gives", live: "live/a", peer: peer("10.0.0.9"), stream: "live/b", err: wire.ErrNotFound},
		{name: "it refuses at once what is not served", live: "live/hidden", peer: peer("10.0.0.9"), stream: "live/hidden", err: wire.ErrNotFound},
		{name: "it refuses at once what is not served over the protocol", live: "live/a", stream: "live/a", err: wire.ErrNotFound,
			peer: func() wire.Peer { p := peer("10.0.0.9"); p.Protocol, p.Listener = "rtsp", "rtsp"; return p }()},
		{name: "it refuses whom the list denies", live: "live/a", peer: peer("203.0.113.1"), stream: "live/a", err: wire.ErrNotAllowed},
		{name: "it starts a source on demand", peer: peer("10.0.0.9"), stream: "own/camera"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, people, Options{}, func(t *testing.T, w *world) {
				w.begin()
				var pub *publisher
				if c.live != "" {
					pub = w.publish(peer("10.0.0.1"), c.live, 'a')
					_ = pass(t.Context(), time.Second)
				}
				start := time.Now()
				g, err := w.hub.Play(t.Context(), c.peer, c.stream)
				wantErr(t, err, c.err)
				if took := time.Since(start); took > time.Second {
					t.Errorf("got an answer after %v; want it within a second", took)
				}
				if err == nil {
					r := g.Stream.Reader()
					if au, err := r.Next(t.Context()); err != nil || !au.Key {
						t.Errorf("got %v, %v; want a key frame first", au, err)
					}
					g.End(context.Canceled)
					w.logged(1, "msg=played", `cause="the peer left"`)
				}
				if pub != nil {
					pub.leave()
				}
			})
		})
	}
}

func TestPlayWaits(t *testing.T) {
	t.Parallel()
	const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play]}]
sources:
  cam: {url: "tcp://cam:1", on_demand: true}
  "far/**": {url: "tcp://far:1", on_demand: true}
  kept: "tcp://kept:1"
rules:
  - {name: cam, match: {name: cam}, serve: rtmp, as: public/cam}
  - {name: rest, serve: rtmp}
`
	for _, c := range []struct {
		name   string
		stream string
		fetch  func(ctx context.Context, w *transmux.Writer) error
		after  time.Duration // of the answer, to a second
		jitter time.Duration
		err    error
		reason string
	}{
		{name: "it waits for a source that starts", stream: "cam", after: 3 * time.Second,
			fetch: func(ctx context.Context, w *transmux.Writer) error {
				if err := pass(ctx, 3*time.Second); err != nil {
					return err
				}
				return shoot(ctx, w, 1<<20, 'c')
			}},
		{name: "it starts a source by the name it is served under", stream: "public/cam",
			fetch: func(ctx context.Context, w *transmux.Writer) error { return shoot(ctx, w, 1<<20, 'c') }},
		{name: "it starts what a wildcard describes", stream: "far/away",
			fetch: func(ctx context.Context, w *transmux.Writer) error { return shoot(ctx, w, 1<<20, 'c') }},
		{name: "it waits for a source that is down", stream: "kept", after: time.Second, jitter: 3 * time.Second,
			fetch: func() func(ctx context.Context, w *transmux.Writer) error {
				start := time.Time{}
				return func(ctx context.Context, w *transmux.Writer) error {
					if start.IsZero() {
						start = time.Now()
					}
					if time.Since(start) < time.Second {
						return errors.New("connection refused")
					}
					return shoot(ctx, w, 1<<20, 'c')
				}
			}()},
		{name: "it gives up after 10 s without a key frame", stream: "cam", after: startTimeout, err: wire.ErrNotFound, reason: "no picture",
			fetch: func(ctx context.Context, _ *transmux.Writer) error { return pass(ctx, time.Hour) }},
		{name: "it gives up at once when the origin does not have it", stream: "far/away", err: wire.ErrNotFound, reason: "origin",
			fetch: func(context.Context, *transmux.Writer) error { return fmt.Errorf("play: %w", wire.ErrNotFound) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, file, Options{}, func(t *testing.T, w *world) {
				w.fetch = func(ctx context.Context, _ string, out *transmux.Writer) error { return c.fetch(ctx, out) }
				w.begin()
				start := time.Now()
				g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), c.stream)
				wantErr(t, err, c.err)
				if took := time.Since(start).Round(100 * time.Millisecond); took < c.after || took > c.after+time.Second+c.jitter {
					t.Errorf("got an answer after %v; want %v", took, c.after)
				}
				if err != nil && !strings.Contains(err.Error(), c.reason) {
					t.Errorf("got %q; want %q in it", err, c.reason)
				}
				if g != nil {
					g.End(nil)
				}
			})
		})
	}
}

func TestPlayerWhoLeavesWhileWaiting(t *testing.T) {
	t.Parallel()
	inWorld(t, people, Options{}, func(t *testing.T, w *world) {
		w.begin()
		g, err := w.hub.Publish(t.Context(), peer("10.0.0.1"), "live/silent")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = w.hub.Play(ctx, peer("10.0.0.9"), "live/silent")
		wantErr(t, err, context.DeadlineExceeded)
		w.logged(0, "refused")
		g.End(nil)
	})
}
