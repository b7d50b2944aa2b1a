package demo

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/transmux/codec"
	"weir/transmux/ring"
	"weir/wire"
)

func camera(t *testing.T, tracks ...string) *Camera {
	t.Helper()
	choose, err := transmux.ParseSelection(tracks)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(wire.Remote{URL: &url.URL{Scheme: "demo"}, Tracks: choose})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClip(t *testing.T) {
	t.Parallel()
	c := camera(t)
	count := map[transmux.Codec]int{}
	keys, reordered := 0, 0
	for i, u := range c.units {
		count[u.Track.Codec]++
		if u.DTS < 0 || u.DTS >= loop {
			t.Errorf("it stays on the loop: unit %d: got DTS %v; want 0 to %v", i, u.DTS, loop)
		}
		if i > 0 && u.DTS < c.units[i-1].DTS {
			t.Errorf("it is ordered by DTS: unit %d: got %v after %v", i, u.DTS, c.units[i-1].DTS)
		}
		if u.PTS < u.DTS {
			t.Errorf("it shows nothing before it is decoded: unit %d: got PTS %v, DTS %v", i, u.PTS, u.DTS)
		}
		if u.Track.Kind() != transmux.KindVideo {
			continue
		}
		if u.Key {
			if u.DTS%time.Second != 0 {
				t.Errorf("it has a key frame each second: got one at %v", u.DTS)
			}
			keys++
		}
		if u.PTS > u.DTS+40*time.Millisecond {
			reordered++
		}
	}
	if got, want := count[transmux.H264], 200; got != want {
		t.Errorf("it has 25 pictures a second: got %d; want %d", got, want)
	}
	if got, want := count[transmux.AAC], 375; got != want {
		t.Errorf("it has whole audio frames: got %d; want %d", got, want)
	}
	if got, want := keys, 8; got != want {
		t.Errorf("it has a key frame each second: got %d; want %d", got, want)
	}
	if reordered == 0 {
		t.Error("it has B-frames: got none; want some")
	}
	for _, track := range c.tracks {
		if !track.Configured() {
			t.Errorf("it knows its codecs: got %s without configuration", track.Codec)
		}
	}
	if got := codec.Describe(c.tracks[0]); got.Width != 640 || got.Height != 360 {
		t.Errorf("it is 640x360: got %dx%d", got.Width, got.Height)
	}
}

// seen is one unit with the moment at which it came.
type seen struct {
	at time.Duration
	au *transmux.AccessUnit
}

// watch runs the camera for d of fake time and returns what a reader got.
func watch(t *testing.T, c *Camera, d time.Duration) []seen {
	t.Helper()
	var got []seen
	synctest.Test(t, func(t *testing.T) {
		stream := transmux.NewStream("demo", ring.Limits{})
		ctx, cancel := context.WithTimeoutCause(t.Context(), d, errors.New("enough"))
		defer cancel()
		begin := time.Now()
		done := make(chan struct{})
		r := stream.Reader()
		go func() {
			defer close(done)
			for {
				au, err := r.Next(context.Background())
				if err != nil {
					return
				}
				got = append(got, seen{time.Since(begin), au})
			}
		}()
		meter := new(wire.Meter)
		if err := c.Run(ctx, stream.NewWriter(), meter); err == nil || err.Error() != "enough" {
			t.Errorf("it ends with the context's cause: got %v; want enough", err)
		}
		stream.Close(errors.New("over"))
		<-done
		if bytes, units, _ := meter.Totals(); int(units) != len(got) || bytes == 0 {
			t.Errorf("it counts what it wrote: got %d units, %d bytes; want %d units", units, bytes, len(got))
		}
	})
	return got
}

func TestRunKeepsTime(t *testing.T) {
	t.Parallel()
	const rounds = 3
	got := watch(t, camera(t), rounds*loop)
	type line struct {
		first, last time.Duration
		n           int
	}
	lines := map[transmux.Codec]*line{}
	for i, s := range got {
		if want := s.au.DTS - got[0].au.DTS; s.at != want {
			t.Fatalf("it writes each unit when it is due: unit %d: got %v; want %v", i, s.at, want)
		}
		if s.au.Gap {
			t.Errorf("it never jumps: got a gap at unit %d", i)
		}
		l := lines[s.au.Track.Codec]
		if l == nil {
			l = &line{first: s.au.DTS}
			lines[s.au.Track.Codec] = l
		}
		step := map[transmux.Codec]time.Duration{transmux.H264: loop / 200, transmux.AAC: loop / 375}[s.au.Track.Codec]
		if due := l.first + time.Duration(l.n)*step; l.n > 0 && (s.au.DTS-due).Abs() > time.Microsecond {
			t.Fatalf("it has no seam: %s unit %d: got DTS %v; want %v", s.au.Track.Codec, l.n, s.au.DTS, due)
		}
		l.last = s.au.DTS
		l.n++
	}
	for c, want := range map[transmux.Codec]int{transmux.H264: rounds * 200, transmux.AAC: rounds * 375} {
		if n := lines[c].n; n < want-1 || n > want+1 {
			t.Errorf("it runs in real time: %s: got %d units; want %d", c, n, want)
		}
	}
}

func TestRunChoosesTracks(t *testing.T) {
	t.Parallel()
	for _, s := range watch(t, camera(t, "audio"), time.Second) {
		if s.au.Track.Codec != transmux.AAC {
			t.Fatalf("it leaves out what is not chosen: got %s; want aac", s.au.Track.Codec)
		}
	}
	choose, _ := transmux.ParseSelection([]string{"data"})
	if _, err := New(wire.Remote{Tracks: choose}); !errors.Is(err, wire.ErrNoTrack) {
		t.Errorf("it refuses a choice that leaves nothing: got %v; want %v", err, wire.ErrNoTrack)
	}
}

func TestRunEndsWhenReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stream := transmux.NewStream("demo", ring.Limits{})
		w := stream.NewWriter()
		done := make(chan error, 1)
		go func() { done <- camera(t).Run(t.Context(), w, new(wire.Meter)) }()
		synctest.Wait()
		stream.NewWriter()
		if err := <-done; !errors.Is(err, wire.ErrReplaced) {
			t.Errorf("it ends when another takes over: got %v; want %v", err, wire.ErrReplaced)
		}
	})
}
