package container

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

var video = &transmux.Track{ID: 1, Codec: transmux.SorensonH263}

func write(w *transmux.Writer, n, end int) {
	for ; n < end; n++ {
		at := time.Duration(n) * 40 * time.Millisecond
		_ = w.Write(transmux.AccessUnit{Track: video, DTS: at, PTS: at, Key: n%25 == 0, Data: make([]byte, 1000), Arrived: time.Now()})
	}
}

func open(t *testing.T) (*transmux.Stream, *transmux.Writer, *Flow) {
	t.Helper()
	s := transmux.NewStream("it", ring.Limits{Bytes: 60_000})
	w := s.NewWriter()
	w.SetTracks([]*transmux.Track{video})
	write(w, 0, 30)
	f, _, err := Open(t.Context(), s, FLV, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return s, w, f
}

func TestTake(t *testing.T) {
	t.Parallel()
	s, w, f := open(t)
	m := new(wire.Meter)
	var observed int
	m.Observe(func(time.Duration) { observed++ })
	take := func() (n int, flv bool) {
		t.Helper()
		bufs, err := f.Take(t.Context(), nil, m)
		if err != nil {
			t.Fatal(err)
		}
		f.Moved(m)
		for _, b := range bufs {
			n += len(b)
		}
		if n != f.Size() {
			t.Errorf("got %d bytes; want %d as told", n, f.Size())
		}
		return n, string(bufs[0][:3]) == "FLV"
	}
	if n, flv := take(); n < 5*1000 || n > 6*1000 || !flv {
		t.Errorf("got %d bytes, header %v; want 5 pictures after a header", n, flv)
	}
	if observed != 0 {
		t.Errorf("got %d latencies of the backlog; want none", observed)
	}
	write(w, 30, 200) // more than the ring holds
	if n, flv := take(); n < 25*1000 || n > 26*1000 || flv {
		t.Errorf("got %d bytes, header %v; want the newest 25 pictures without a header", n, flv)
	}
	bytes, _, skips := m.Totals()
	if skips != 1 || bytes < 30*1000 {
		t.Errorf("got %d skips, %d bytes; want 1 skip and all bytes", skips, bytes)
	}
	s.Close(io.EOF)
	if _, err := f.Take(t.Context(), nil, m); !errors.Is(err, io.EOF) {
		t.Errorf("got %v; want %v", err, io.EOF)
	}
	if observed != 0 {
		t.Errorf("got %d latencies; want none, as it never was up to date", observed)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	for _, tt := range []struct {
		it     string
		closed error // of the stream
		write  error
		want   error
	}{
		{"ends with the stream", io.EOF, nil, nil},
		{"ends when the gateway says that it ended", wire.ErrEnded, nil, nil},
		{"tells another end", wire.ErrDenied, nil, wire.ErrDenied},
		{"tells that the receiver is slow", io.EOF, os.ErrDeadlineExceeded, wire.ErrSlow},
		{"tells that a context was too short", io.EOF, context.DeadlineExceeded, wire.ErrSlow},
		{"tells what else went wrong", io.EOF, why, why},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			s, _, f := open(t)
			s.Close(tt.closed)
			if err := f.Write(t.Context(), new(wire.Meter), func(net.Buffers) error { return tt.write }); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Format{"a/b.flv": FLV, "a.ts": TS, "a.mp4": "", ".": ""} {
		if _, got, ok := OfName(name); ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, ok, want)
		}
	}
	for text, want := range map[string]Format{"": TS, "flv": FLV, "ts": TS, "mpegts": TS} {
		if got, err := Parse(text, TS); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	if _, err := Parse("mp4", TS); err == nil {
		t.Error("got no error for mp4; want one")
	}
}
