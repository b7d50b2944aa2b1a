package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/egress/container"
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

var video = &transmux.Track{ID: 1, Codec: transmux.SorensonH263}

// write writes pictures from number n to number end, with a key picture each second.
func write(w *transmux.Writer, n, end, size int) {
	for ; n < end; n++ {
		at := time.Duration(n) * 40 * time.Millisecond
		_ = w.Write(transmux.AccessUnit{Track: video, DTS: at, PTS: at, Key: n%25 == 0, Data: make([]byte, size)})
	}
}

func open(size int) (*transmux.Stream, *transmux.Writer) {
	s := transmux.NewStream("it", ring.Limits{})
	w := s.NewWriter()
	w.SetTracks([]*transmux.Track{video})
	write(w, 0, 25, size)
	return s, w
}

func TestDial(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run("sends to "+address, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			stream, _ := open(100)
			stream.Close(io.EOF)
			s, err := New(remote(t, fmt.Sprintf("tcp://%s?format=flv", l.Addr())))
			if err != nil {
				t.Fatal(err)
			}
			m := new(wire.Meter)
			done := make(chan error, 1)
			go func() { done <- s.Run(t.Context(), stream, m) }()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(c)
			if err := errors.Join(err, <-done, c.Close()); err != nil {
				t.Error(err)
			}
			if n, _, _ := m.Totals(); !strings.HasPrefix(string(b), "FLV") || n != uint64(len(b)) {
				t.Errorf("got %d bytes, %d counted; want FLV", len(b), n)
			}
		})
	}
	t.Run("says that nobody listens", func(t *testing.T) {
		t.Parallel()
		stream, _ := open(100)
		s, err := New(remote(t, "tcp://127.0.0.1:1?format=flv"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), stream, new(wire.Meter)); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v; want a refusal", err)
		}
	})
	t.Run("says what cannot be carried", func(t *testing.T) {
		t.Parallel()
		stream, _ := open(100)
		s, err := New(remote(t, "tcp://127.0.0.1:1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), stream, new(wire.Meter)); !errors.Is(err, wire.ErrNoTrack) {
			t.Errorf("got %v; want %v", err, wire.ErrNoTrack)
		}
	})
}

func TestListen(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stream, w := open(100)
	s, err := New(remote(t, "tcp://:1?listen=1&format=flv"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.serve(t.Context(), l, stream, new(wire.Meter)) }()
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 13)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	_ = conns[0].Close() // one that leaves changes nothing for others
	write(w, 25, 50, 100)
	stream.Close(io.EOF)
	for _, c := range conns[1:] {
		b, err := io.ReadAll(c)
		if err != nil || len(b) < 50*100 {
			t.Errorf("got %d bytes, %v; want all of 50 pictures", len(b), err)
		}
		_ = c.Close()
	}
	if err := <-done; err != nil {
		t.Errorf("got %v; want the end of the stream", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it    string
		do    func(c net.Conn, cancel context.CancelCauseFunc)
		want  error
		after time.Duration
	}{
		{"is slow when nothing is taken", func(net.Conn, context.CancelCauseFunc) {}, wire.ErrSlow, 10 * time.Second},
		{"notices that the receiver leaves", func(c net.Conn, _ context.CancelCauseFunc) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			synctest.Wait()
			_ = c.Close()
		}, errLeft, 0},
		{"ends with its context", func(c net.Conn, cancel context.CancelCauseFunc) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			time.Sleep(time.Second)
			cancel(wire.ErrDrain)
		}, wire.ErrDrain, time.Second},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stream, _ := open(100)
				flow, _, err := container.Open(t.Context(), stream, container.FLV, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer flow.Close()
				here, there := net.Pipe()
				defer func() { _ = there.Close() }()
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				begin := time.Now()
				done := make(chan error, 1)
				go func() { done <- send(ctx, here, flow, new(wire.Meter)) }()
				tt.do(there, cancel)
				if err := <-done; !errors.Is(err, tt.want) || time.Since(begin) != tt.after {
					t.Errorf("got %v after %s; want %v after %s", err, time.Since(begin), tt.want, tt.after)
				}
			})
		})
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ it, url, want string }{
		{"dials", "tcp://host:5000?format=ts", ""},
		{"listens anywhere", "tcp://:5000?listen=1", ""},
		{"wants a port", "tcp://host", "a port is missing"},
		{"wants a host to dial", "tcp://:5000", "add ?listen=1"},
		{"knows formats", "tcp://host:5000?format=mp4", `format "mp4" is not flv or ts`},
		{"knows listen", "tcp://host:5000?listen=yes", `listen "yes" is not 1 or 0`},
		{"names what it does not know", "tcp://host:5000?lsten=1", `unknown setting "lsten"`},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			_, err := New(remote(t, tt.url))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
}
