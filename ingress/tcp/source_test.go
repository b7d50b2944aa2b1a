package tcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
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

func TestDial(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, address, query string
		say                []byte
		units              uint64
		err                error
	}{
		{"takes what a server sends", "127.0.0.1:0", "", movie(50), 50, nil},
		{"takes it by IPv6, told what it is", "[::1]:0", "?format=flv", movie(50), 50, nil},
		{"says what it does not know", "127.0.0.1:0", "", []byte("220 mail ready\r\n"), 0, container.ErrUnknown},
		{"says that nothing came", "127.0.0.1:0", "", nil, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", tt.address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			go func() {
				if c, err := l.Accept(); err == nil {
					_, _ = c.Write(tt.say)
					_ = c.Close()
				}
			}()
			s, err := New(remote(t, fmt.Sprintf("tcp://%s%s", l.Addr(), tt.query)))
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
}

// pipes is a listener of in-memory connections.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestListen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(remote(t, "tcp://:5000?listen=1"))
		if err != nil {
			t.Fatal(err)
		}
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		stream := transmux.NewStream("it", ring.Limits{})
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.serve(ctx, l, stream.NewWriter(), new(wire.Meter)) }()
		connect := func() net.Conn {
			here, there := net.Pipe()
			l.conns <- there
			return here
		}
		units := func(want uint64) {
			t.Helper()
			synctest.Wait()
			if got, _, _ := stream.Stats(); got != want {
				t.Errorf("got %d units; want %d", got, want)
			}
		}
		first := connect()
		_, _ = first.Write(movie(10))
		units(10)
		second := connect()
		if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v; want the second sender refused", err)
		}
		_ = first.Close()
		synctest.Wait()
		third := connect()
		_, _ = third.Write(movie(10))
		units(20)
		begin := time.Now()
		if _, err := third.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(begin) != 10*time.Second {
			t.Errorf("got %v after %s; want a silent sender closed after 10s", err, time.Since(begin))
		}
		synctest.Wait()
		fourth := connect()
		_, _ = fourth.Write(movie(5))
		units(25)
		cancel(wire.ErrDrain)
		if err := <-done; !errors.Is(err, wire.ErrDrain) {
			t.Errorf("got %v; want %v", err, wire.ErrDrain)
		}
	})
}

func TestListenEndsWhenReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(remote(t, "tcp://:5000?listen=1"))
		if err != nil {
			t.Fatal(err)
		}
		l := &pipes{make(chan net.Conn), make(chan struct{})}
		stream := transmux.NewStream("it", ring.Limits{})
		w := stream.NewWriter()
		stream.NewWriter()
		done := make(chan error, 1)
		go func() { done <- s.serve(t.Context(), l, w, new(wire.Meter)) }()
		here, there := net.Pipe()
		l.conns <- there
		_, _ = here.Write(movie(10))
		if err := <-done; !errors.Is(err, transmux.ErrReplaced) {
			t.Errorf("got %v; want %v", err, transmux.ErrReplaced)
		}
	})
}

func TestRealSender(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal("ffmpeg is needed for this test; install the Debian package ffmpeg")
	}
	for _, format := range []string{"flv", "mpegts"} {
		t.Run("takes what ffmpeg sends as "+format, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(remote(t, "tcp://:5000?listen=1"))
			if err != nil {
				t.Fatal(err)
			}
			stream := transmux.NewStream("it", ring.Limits{})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.serve(ctx, l, stream.NewWriter(), new(wire.Meter)) }()
			out, err := exec.CommandContext(t.Context(), path, "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25",
				"-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-f", format, "tcp://"+l.Addr().String()).CombinedOutput()
			if err != nil {
				t.Errorf("got %v, %s; want ffmpeg content", err, out)
			}
			r := stream.Reader()
			wait, stop := context.WithTimeout(t.Context(), 10*time.Second)
			defer stop()
			for n := range 50 {
				if _, err := r.Next(wait); err != nil {
					t.Fatalf("got %v after %d units; want 50", err, n)
				}
			}
			cancel()
			<-done
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
