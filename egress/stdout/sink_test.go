package stdout

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir/transmux"
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

func filled(c transmux.Codec) *transmux.Stream {
	track := &transmux.Track{ID: 1, Codec: c}
	s := transmux.NewStream("it", ring.Limits{})
	w := s.NewWriter()
	w.SetTracks([]*transmux.Track{track})
	for n := range 25 {
		at := time.Duration(n) * 40 * time.Millisecond
		_ = w.Write(transmux.AccessUnit{Track: track, DTS: at, PTS: at, Key: n == 0, Data: make([]byte, 100)})
	}
	return s
}

func TestSink(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, url string
		codec   transmux.Codec
		want    string
		err     error
	}{
		{"writes MPEG-TS", "stdout:", transmux.MPEG2Video, "\x47\x40", nil},
		{"writes FLV", "stdout:?format=flv", transmux.SorensonH263, "FLV\x01\x01", nil},
		{"says what cannot be carried", "stdout:", transmux.SorensonH263, "", wire.ErrNoTrack},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			s, err := New(remote(t, tt.url), &out)
			if err != nil {
				t.Fatal(err)
			}
			stream := filled(tt.codec)
			stream.Close(io.EOF)
			m := new(wire.Meter)
			if err := s.Run(t.Context(), stream, m); !errors.Is(err, tt.err) {
				t.Errorf("got %v; want %v", err, tt.err)
			}
			if n, _, _ := m.Totals(); !strings.HasPrefix(out.String(), tt.want) || n != uint64(out.Len()) {
				t.Errorf("got %d bytes, %d counted; want them to begin with %q", out.Len(), n, tt.want)
			}
		})
	}
	t.Run("knows formats", func(t *testing.T) {
		t.Parallel()
		if _, err := New(remote(t, "stdout:?format=mp4"), nil); err == nil || !strings.Contains(err.Error(), "not flv or ts") {
			t.Errorf("got %v; want a word about the format", err)
		}
	})
}

func TestSinkIsStopped(t *testing.T) {
	t.Parallel()
	_, out := io.Pipe() // nobody reads
	s, err := New(remote(t, "stdout:?format=flv"), out)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, filled(transmux.SorensonH263), new(wire.Meter)) }()
	cancel(wire.ErrDrain)
	if err := <-done; !errors.Is(err, wire.ErrDrain) {
		t.Errorf("got %v; want %v", err, wire.ErrDrain)
	}
}
