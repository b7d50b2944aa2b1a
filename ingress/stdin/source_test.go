package stdin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/ingress/container"
	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/ring"
	"weir/wire"
)

func remote(t testing.TB, text string) wire.Remote {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Remote{URL: u, Log: slog.New(slog.DiscardHandler)}
}

// movie makes FLV of n pictures.
func movie(n int) []byte {
	track := &transmux.Track{ID: 1, Codec: transmux.SorensonH263}
	m := flv.NewMuxer(flv.Options{})
	m.Tracks([]*transmux.Track{track})
	b := bytes.NewBuffer(flv.Header(false, true))
	for i := range n {
		at := time.Duration(i) * 40 * time.Millisecond
		m.Mux(&transmux.AccessUnit{Track: track, DTS: at, PTS: at, Key: i == 0, Data: []byte{1, 2, 3}}, func(c *transmux.Chunk) {
			for _, p := range slices.Concat(c.Init, c.Bufs) {
				b.Write(p)
			}
		})
	}
	return b.Bytes()
}

func TestSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, url string
		in      []byte
		units   uint64
		err     error
	}{
		{"finds the format out", "stdin:", movie(50), 50, nil},
		{"believes the format it is told", "stdin:?format=flv", movie(50), 50, nil},
		{"is told a wrong one", "stdin:?format=flv", []byte("hello, this is no FLV"), 0, flv.ErrNotFLV},
		{"says what it does not know", "stdin:", []byte("hello"), 0, container.ErrUnknown},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			s, err := New(remote(t, tt.url), bytes.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			stream := transmux.NewStream("it", ring.Limits{})
			err = s.Run(t.Context(), stream.NewWriter(), new(wire.Meter))
			if units, _, _ := stream.Stats(); units != tt.units || !errors.Is(err, tt.err) {
				t.Errorf("got %d units, %v; want %d, %v", units, err, tt.units, tt.err)
			}
		})
	}
	t.Run("knows formats", func(t *testing.T) {
		t.Parallel()
		if _, err := New(remote(t, "stdin:?format=mp4"), nil); err == nil || !strings.Contains(err.Error(), "not flv or ts") {
			t.Errorf("got %v; want a word about the format", err)
		}
	})
}

func TestSourceIsStopped(t *testing.T) {
	t.Parallel()
	file, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(file.Close(), pipe.Close()) }()
	reader, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	for it, in := range map[string]io.Reader{"by a deadline": file, "by closing": reader} {
		t.Run(it, func(t *testing.T) {
			s, err := New(remote(t, "stdin:"), in)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx, transmux.NewStream("it", ring.Limits{}).NewWriter(), new(wire.Meter)) }()
			cancel(wire.ErrDrain)
			if err := <-done; !errors.Is(err, wire.ErrDrain) {
				t.Errorf("got %v; want %v", err, wire.ErrDrain)
			}
		})
	}
}
