package egress_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weir/egress"
	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

func track(id int, c transmux.Codec, configured bool) *transmux.Track {
	t := &transmux.Track{ID: id, Codec: c}
	if configured {
		t.Config = []byte{1}
	}
	return t
}

// noOpus is a format that carries anything but Opus.
func noOpus(t *transmux.Track) error {
	if t.Codec == transmux.Opus {
		return errors.New("no Opus here")
	}
	return nil
}

func TestReady(t *testing.T) {
	t.Parallel()
	type set []*transmux.Track
	var (
		v, silent = track(1, transmux.H264, true), track(1, transmux.H264, false)
		a, mute   = track(2, transmux.AAC, true), track(2, transmux.AAC, false)
		opus      = track(3, transmux.Opus, false)
		mp3       = track(4, transmux.MP3, false)
		videoOnly = transmux.Selection{{Kind: transmux.KindVideo}}
		audioPref = transmux.Selection{{Kind: transmux.KindAudio}, {Kind: transmux.KindVideo}}
		stopped   = errors.New("stopped")
	)
	for _, c := range []struct {
		name    string
		choose  transmux.Selection
		carries func(*transmux.Track) error
		sets    []set // one after the other, every 100 ms, the first at once
		stop    time.Duration
		after   time.Duration
		want    set
		dropped int
		err     error
		text    string
	}{
		{name: "it returns at once what is configured", sets: []set{{v, a}}, want: set{v, a}},
		{name: "it returns a codec that needs no configuration", sets: []set{{v, mp3}}, want: set{v, mp3}},
		{name: "it holds back a single kind of a young stream", sets: []set{{mp3}}, after: egress.Settle, want: set{mp3}},
		{name: "it takes what comes while it holds back", sets: []set{{v}, {v, a}}, after: 100 * time.Millisecond, want: set{v, a}},
		{name: "it waits for tracks", sets: []set{nil, nil, {v}}, after: 200 * time.Millisecond, want: set{v}},
		{name: "it waits for a configuration", sets: []set{{silent, mute}, {v, mute}, {v, a}}, after: 200 * time.Millisecond, want: set{v, a}},
		{name: "it leaves out what is silent", sets: []set{{v, mute}}, after: egress.SilentAfter, want: set{v}},
		{name: "it does not wait for what is not chosen", choose: videoOnly, sets: []set{{v, mute}}, want: set{v}},
		{name: "it returns in order of preference", choose: audioPref, sets: []set{{v, a}}, want: set{a, v}},
		{name: "it does not wait for what cannot be carried", carries: noOpus, sets: []set{{v, opus}}, want: set{v}, dropped: 1},
		{name: "it waits for what can be carried", carries: noOpus, sets: []set{{opus}, {silent, opus}, {v, opus}}, after: 200 * time.Millisecond, want: set{v}, dropped: 1},
		{name: "it fails without tracks", sets: []set{nil}, after: egress.SilentAfter, err: wire.ErrNoTrack,
			text: "no track that this protocol can carry: the stream has no tracks yet"},
		{name: "it fails if none is chosen", choose: videoOnly, sets: []set{{a}}, after: egress.SilentAfter, err: wire.ErrNoTrack,
			text: "no track that this protocol can carry: none of the stream's tracks is chosen"},
		{name: "it fails if none can be carried", carries: noOpus, sets: []set{{opus}}, after: egress.SilentAfter, dropped: 1, err: wire.ErrNoTrack,
			text: "no track that this protocol can carry: track 3 (opus) is left out: no Opus here"},
		{name: "it fails if all are silent or cannot be carried", carries: noOpus, sets: []set{{silent, opus}}, after: egress.SilentAfter, dropped: 1, err: wire.ErrNoTrack,
			text: "no track that this protocol can carry: track 1 (h264) sent no configuration within 2s; track 3 (opus) is left out: no Opus here"},
		{name: "it ends with its context", sets: []set{{mute}}, stop: time.Second, after: time.Second, err: stopped, text: "stopped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if c.stop > 0 {
					defer time.AfterFunc(c.stop, func() { cancel(stopped) }).Stop()
				}
				s := transmux.NewStream("live/x", ring.Limits{})
				w := s.NewWriter()
				w.SetTracks(c.sets[0])
				for i, set := range c.sets[1:] {
					defer time.AfterFunc(time.Duration(i+1)*100*time.Millisecond, func() { w.SetTracks(set) }).Stop()
				}
				start := time.Now()
				tracks, dropped, err := egress.Ready(ctx, s, c.choose, c.carries)
				if got := time.Since(start); got != c.after {
					t.Errorf("got an answer after %v; want %v", got, c.after)
				}
				if !errors.Is(err, c.err) || err != nil && err.Error() != c.text {
					t.Errorf("got error %v; want %v", err, c.text)
				}
				if !slices.Equal(tracks, c.want) {
					t.Errorf("got tracks %v; want %v", tracks, c.want)
				}
				if len(dropped) != c.dropped {
					t.Errorf("got %v left out; want %d", dropped, c.dropped)
				}
			})
		})
	}
}

func TestPermanent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"it calls nothing permanent", nil, false},
		{"it calls a lost connection passing", errors.New("connection reset by peer"), false},
		{"it calls a slow receiver passing", wire.ErrSlow, false},
		{"it calls a wrong password permanent", fmt.Errorf("connect: %w", wire.ErrWrongUser), true},
		{"it calls a refusal permanent", &wire.Refusal{Err: wire.ErrNotFound, Reason: "no such camera"}, true},
		{"it calls a codec that cannot be carried permanent", wire.ErrNoTrack, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := egress.Permanent(c.err); got != c.want {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

// ready is something that waits for d.
type ready struct{ d time.Duration }

func (r ready) Wait(ctx context.Context) error {
	select {
	case <-time.After(r.d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestGather(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		wait, d  time.Duration
		stop     time.Duration
		want     time.Duration
		canceled bool
	}{
		{name: "it only waits for the reader", wait: time.Second, want: time.Second},
		{name: "it waits for more after that", wait: time.Second, d: 50 * time.Millisecond, want: 1050 * time.Millisecond},
		{name: "it ends with its context while it gathers", wait: time.Second, d: time.Second, stop: 1500 * time.Millisecond, want: 1500 * time.Millisecond, canceled: true},
		{name: "it ends with its context while it waits", wait: time.Hour, d: time.Second, stop: time.Second, want: time.Second, canceled: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.stop > 0 {
					defer time.AfterFunc(c.stop, cancel).Stop()
				}
				start := time.Now()
				err := egress.Gather(ctx, ready{c.wait}, c.d)
				if got := time.Since(start); got != c.want {
					t.Errorf("got an answer after %v; want %v", got, c.want)
				}
				if (err != nil) != c.canceled {
					t.Errorf("got error %v; want one: %v", err, c.canceled)
				}
			})
		})
	}
}
