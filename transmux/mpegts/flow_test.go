package mpegts

import (
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/clock"
	"weir/transmux/ring"
)

// Through a stream and its feed a transport stream stays what it was, but for a shift of all times that is the same for
// all tracks to one tick.
func TestThroughStream(t *testing.T) {
	t.Parallel()
	ts := readFile(t, makeFile(t, "a.ts", append(source(append(x264(), "-c:a", "mp2")...), "-f", "mpegts", "-output_ts_offset", "95441")...))
	want, _ := demux(t, ts, Options{}, 1316)

	s := transmux.NewStream("a", ring.Limits{})
	feed := s.Feed("ts", nil, func() transmux.Muxer { return NewMuxer(MuxOptions{}) })
	defer feed.Close()
	r := feed.Reader()
	k := &taken{}
	back := New(k, Options{})
	d := New(s.NewWriter(), Options{})
	for len(ts) > 0 {
		n := min(1316, len(ts))
		if err := d.Write(ts[:n], time.Now()); err != nil {
			t.Fatal(err)
		}
		ts = ts[n:]
		if len(ts) == 0 {
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		for c, ok := r.Try(); ok; c, ok = r.Try() {
			for _, b := range c.Bufs {
				if err := back.Write(b, c.Arrived); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := back.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := back.Counters(); n.CC+n.PES+n.Section+n.PCRJump != 0 {
		t.Errorf("got counters %+v; want no errors", n)
	}
	shift := k.of(256)[0].DTS - want.of(256)[0].DTS
	for _, id := range []int{256, 257} {
		got, want := k.of(id), want.of(id)
		// The reader begins at the first key frame.
		if len(got) < len(want)-12 || len(got) > len(want) {
			t.Fatalf("PID %d: got %d units; want about %d", id, len(got), len(want))
		}
		want = want[len(want)-len(got):]
		for i := range got {
			for _, v := range [][2]time.Duration{{got[i].DTS, want[i].DTS}, {got[i].PTS, want[i].PTS}} {
				if d := clock.ToTicks(v[0]-v[1]-shift, 90000); d < -1 || d > 1 {
					t.Fatalf("PID %d unit %d: got %v off by %d ticks; want at most 1", id, i, v[0], d)
				}
			}
			if hash(got[i].Data) != hash(want[i].Data) {
				t.Fatalf("PID %d unit %d: got another payload; want that of the origin", id, i)
			}
		}
		if got[0].Track.Codec != want[0].Track.Codec {
			t.Errorf("PID %d: got %s; want %s", id, got[0].Track.Codec, want[0].Track.Codec)
		}
	}
}
