package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/wire"
)

const people = `
listen: {rtmp: "127.0.0.1:26100", rtsp: "127.0.0.1:26101"}
users: {ann: "${env:ANN}", bob: "${env:BOB}"}
access:
  - {deny: [publish, play], address: 203.0.113.0/24, because: abuse report 4711}
  - {allow: publish, name: private/*, user: ann}
  - {allow: publish, name: door, address: 10.0.0.3, as: cam/door}
  - {allow: publish, name: few/*, limit: {streams: 1}}
  - {allow: publish, name: live/*}
  - {allow: play, name: live/few, limit: {sessions: 1}}
  - {allow: play}
sources:
  own/camera: {url: "demo:", on_demand: true}
rules:
  - {name: all, match: {not: {name: live/hidden}}, serve: rtmp}
`

func TestPublish(t *testing.T) {
	t.Parallel()
	ann, bob := "s3cr3t-ann", "s3cr3t-bob"
	for _, c := range []struct {
		name   string
		before wire.Peer // publishes already, if it has an address
		peer   wire.Peer
		stream string
		as     string // the granted name, if it is not stream
		err    error
		reason string
		log    []string
	}{
		{name: "it admits by address", peer: peer("10.0.0.1"), stream: "live/a", log: []string{"msg=publishing", "name=live/a"}},
		{name: "it gives the name of the entry", peer: peer("10.0.0.3"), stream: "door", as: "cam/door"},
		{name: "it refuses a bad name", peer: peer("10.0.0.1"), stream: "live/../a", err: wire.ErrBadName},
		{name: "it refuses with the reason of the entry", peer: peer("203.0.113.7"), stream: "live/a", err: wire.ErrNotAllowed, reason: "abuse report 4711", log: []string{"entry=1", "line=5"}},
		{name: "it refuses where no entry matches", peer: peer("10.0.0.1"), stream: "other", err: wire.ErrNotAllowed, reason: "no entry allows publish"},
		{name: "it asks for a user", peer: peer("10.0.0.1"), stream: "private/a", err: wire.ErrNeedUser},
		{name: "it admits the user", peer: as(peer("10.0.0.1"), "ann", ann), stream: "private/a", log: []string{"user=ann"}},
		{name: "it admits who was verified by digest", peer: func() wire.Peer { p := as(peer("10.0.0.1"), "ann", ""); p.Verified = true; return p }(), stream: "private/a"},
		{name: "it refuses another user", peer: as(peer("10.0.0.1"), "bob", bob), stream: "private/a", err: wire.ErrNotAllowed},
		{name: "it refuses a wrong password", peer: as(peer("10.0.0.1"), "ann", bob), stream: "private/a", err: wire.ErrWrongUser},
		{name: "it refuses an unknown user", peer: as(peer("10.0.0.1"), "eve", "x"), stream: "private/a", err: wire.ErrWrongUser},
		{name: "it ignores what only looks like credentials", peer: as(peer("10.0.0.1"), "key", "with:colon"), stream: "live/a", log: []string{`user=""`}},
		{name: "it replaces the same address", before: peer("10.0.0.1"), peer: peer("10.0.0.1"), stream: "live/a"},
		{name: "it replaces the same address as IPv6", before: peer("10.0.0.1"), peer: peer("::ffff:10.0.0.1"), stream: "live/a"},
		{name: "it refuses another address", before: peer("10.0.0.1"), peer: peer("10.0.0.2"), stream: "live/a", err: wire.ErrBusy},
		{name: "it replaces the same user elsewhere", before: as(peer("10.0.0.1"), "ann", ann), peer: as(peer("10.0.0.2"), "ann", ann), stream: "live/a"},
		{name: "it refuses another user at the same address", before: as(peer("10.0.0.1"), "ann", ann), peer: as(peer("10.0.0.1"), "bob", bob), stream: "live/a", err: wire.ErrBusy},
		{name: "it refuses nobody where a user publishes", before: as(peer("10.0.0.1"), "ann", ann), peer: peer("10.0.0.1"), stream: "live/a", err: wire.ErrBusy},
		{name: "it replaces in spite of a full limit", before: peer("10.0.0.1"), peer: peer("10.0.0.1"), stream: "few/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, people, Options{}, func(t *testing.T, w *world) {
				w.begin()
				var before *publisher
				if c.before.Addr.IsValid() {
					before = w.publish(c.before, c.stream, 'a')
				}
				g, err := w.hub.Publish(t.Context(), c.peer, c.stream)
				wantErr(t, err, c.err)
				if err != nil {
					if !strings.Contains(err.Error(), c.reason) {
						t.Errorf("got %q; want %q in it", err, c.reason)
					}
					if g != nil {
						t.Error("got a grant with the error; want none")
					}
				} else {
					if want := c.as; want != "" && g.Name != want || want == "" && g.Name != c.stream {
						t.Errorf("got name %q; want %q, or %q", g.Name, want, c.stream)
					}
					if before != nil {
						<-before.done
						wantErr(t, before.Cause(), wire.ErrReplaced)
						w.logged(1, "msg=published", "another publisher took over")
					}
					g.End(nil)
					g.End(errors.New("twice"))
				}
				if before != nil {
					before.leave()
				}
				if c.log != nil {
					w.logged(1, c.log...)
				}
				if strings.Contains(w.log.String(), "s3cr3t") || strings.Contains(w.log.String(), "with:colon") {
					t.Errorf("got a secret in the log; want none:\n%s", w.log)
				}
			})
		})
	}
}

func TestPublishOverOwnSource(t *testing.T) {
	t.Parallel()
	file := strings.Replace(people, "own/camera", "live/camera", 1)
	inWorld(t, file, Options{}, func(t *testing.T, w *world) {
		w.begin()
		for _, playing := range []bool{false, true} {
			var g *wire.Grant
			if playing {
				var err error
				if g, err = w.hub.Play(t.Context(), peer("10.0.0.9"), "live/camera"); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.hub.Publish(t.Context(), peer("10.0.0.1"), "live/camera")
			wantErr(t, err, wire.ErrBusy)
			if g != nil {
				g.End(nil)
			}
		}
	})
}

// A publisher's place is free at once for who replaces it, however long its session takes to end.
func TestReplaceManyTimes(t *testing.T) {
	t.Parallel()
	inWorld(t, people, Options{}, func(t *testing.T, w *world) {
		w.begin()
		var grants []*wire.Grant
		for range 5 {
			g, err := w.hub.Publish(t.Context(), peer("10.0.0.1"), "few/a")
			if err != nil {
				t.Fatal(err)
			}
			grants = append(grants, g)
		}
		_, err := w.hub.Publish(t.Context(), peer("10.0.0.1"), "few/b")
		wantErr(t, err, wire.ErrLimit)
		for i, g := range grants {
			if taken := g.Cause() != nil; taken != (i < 4) {
				t.Errorf("got grant %d taken %v; want all but the last", i, taken)
			}
			g.End(nil)
		}
		g, err := w.hub.Publish(t.Context(), peer("10.0.0.1"), "few/b")
		if err != nil {
			t.Fatalf("got %v after all have left; want a place", err)
		}
		g.End(nil)
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("it bounds sessions, those that wait too", func(t *testing.T) {
		t.Parallel()
		inWorld(t, people, Options{}, func(t *testing.T, w *world) {
			w.begin()
			g, err := w.hub.Publish(t.Context(), peer("10.0.0.1"), "live/few")
			if err != nil {
				t.Fatal(err)
			}
			waits := make(chan error)
			go func() {
				_, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "live/few")
				waits <- err
			}()
			synctest.Wait()
			_, err = w.hub.Play(t.Context(), peer("10.0.0.9"), "live/few")
			wantErr(t, err, wire.ErrLimit)
			wantErr(t, <-waits, wire.ErrNotFound) // after 10 s
			g.End(nil)
		})
	})
	t.Run("it closes who sends more than is allowed for 5 s", func(t *testing.T) {
		t.Parallel()
		const file = `
listen: {rtmp: "127.0.0.1:26100"}
access: [{allow: [publish, play], limit: {bitrate: 100k}}]
`
		for _, size := range []int{400, 600} { // at 25/s: 80 and 120 kbit/s
			inWorld(t, file, Options{}, func(t *testing.T, w *world) {
				w.begin()
				g, err := w.hub.Publish(t.Context(), peer("10.0.0.1"), "a")
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				for i := time.Duration(0); i < 250 && g.Cause() == nil; i++ {
					_ = g.Writer.Write(transmux.AccessUnit{Track: picture, DTS: i * 40 * time.Millisecond, Key: true, Data: make([]byte, size)})
					_ = pass(t.Context(), 40*time.Millisecond)
				}
				took := time.Since(start)
				switch {
				case size == 400 && g.Cause() != nil:
					t.Errorf("got %v for 80 kbit/s; want none", g.Cause())
				case size == 600 && (!errors.Is(g.Cause(), wire.ErrLimit) || took < 4*time.Second || took > 7*time.Second):
					t.Errorf("got %v after %v for 120 kbit/s; want %v after about 5 s", g.Cause(), took, wire.ErrLimit)
				}
				g.End(g.Cause())
			})
		}
	})
}

func TestEndOfPublisher(t *testing.T) {
	t.Parallel()
	inWorld(t, people, Options{}, func(t *testing.T, w *world) {
		w.begin()
		pub := w.publish(peer("10.0.0.1"), "live/a", 'a')
		g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "live/a")
		if err != nil {
			t.Fatal(err)
		}
		r := g.Stream.Reader()
		pub.leave()
		for err == nil {
			_, err = r.Next(t.Context())
		}
		wantErr(t, err, io.EOF)
		g.End(nil)
		w.logged(1, "msg=published", `cause="the peer left"`)
		w.logged(1, "msg=played", `cause="the stream ended"`)

		// Who comes back is playable at once, though the old stream's sinks still say goodbye.
		again := w.publish(peer("10.0.0.1"), "live/a", 'b')
		start := time.Now()
		g, err = w.hub.Play(t.Context(), peer("10.0.0.9"), "live/a")
		if err != nil || time.Since(start) > 500*time.Millisecond {
			t.Fatalf("got %v after %v; want it to play at once", err, time.Since(start))
		}
		g.End(nil)
		again.leave()
	})
}

func TestReplaceKeepsPlayers(t *testing.T) {
	t.Parallel()
	inWorld(t, people, Options{}, func(t *testing.T, w *world) {
		w.begin()
		first := w.publish(peer("10.0.0.1"), "live/a", 'a')
		g, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "live/a")
		if err != nil {
			t.Fatal(err)
		}
		r := g.Stream.Reader()
		_ = pass(t.Context(), time.Second)
		second := w.publish(peer("10.0.0.1"), "live/a", 'b')
		var last time.Duration
		for marks := ""; !strings.HasSuffix(marks, "bbbb"); {
			au, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if au.Track.Kind() != transmux.KindVideo {
				continue
			}
			if au.DTS < last {
				t.Errorf("got DTS %v after %v; want a line that goes on", au.DTS, last)
			}
			if strings.Contains(marks, "b") && au.Data[0] == 'a' {
				t.Error("got a unit of the old publisher after one of the new; want none")
			}
			last, marks = au.DTS, marks+string(au.Data[:1])
		}
		<-first.done
		g.End(nil)
		second.leave()
	})
}

func TestDrainOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, people+"drain: 20s\n", Options{})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error)
		go func() { over <- w.Run(ctx, nil) }()
		synctest.Wait()
		pub := w.publish(peer("10.0.0.1"), "live/a", 'a')
		play, err := w.hub.Play(t.Context(), peer("10.0.0.9"), "live/a")
		if err != nil {
			t.Fatal(err)
		}
		var ends []string
		var causes []error
		go func() {
			<-pub.done
			ends = append(ends, "publisher")
			causes = append(causes, pub.Cause())
			r := play.Stream.Reader()
			var err error
			for err == nil {
				_, err = r.Next(ctxOf(play))
			}
			ends = append(ends, "player")
			play.End(err)
		}()
		if !w.Ready() {
			t.Error("got not ready; want ready")
		}
		start := time.Now()
		cancel()
		synctest.Wait()
		if w.Ready() {
			t.Error("got ready while it drains; want not")
		}
		if err := <-over; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("got an end after %v; want the drain time while somebody plays", took)
		}
		if got := fmt.Sprint(ends, causes); got != fmt.Sprint([]string{"publisher", "player"}, []error{wire.ErrDrain}) {
			t.Errorf("got %s; want the publisher told of the drain first, then the player", got)
		}
		_, err = w.hub.Publish(t.Context(), peer("10.0.0.1"), "live/b")
		wantErr(t, err, wire.ErrLimit)
		w.clean()
	})
}

func TestPanicEndsOnlyItsSession(t *testing.T) {
	t.Parallel()
	inWorld(t, people, Options{}, func(t *testing.T, w *world) {
		err := w.guard("test", func() error { panic("boom") })
		wantErr(t, err, errPanic)
		w.logged(1, "level=ERROR", "panic=boom", "stack=")
	})
}
