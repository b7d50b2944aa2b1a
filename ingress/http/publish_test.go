package http

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/sniff"
	"weir/wire/web"
)

// door lets everybody publish its stream, unless err is set.
type door struct {
	stream *transmux.Stream
	err    error
	revoke context.CancelCauseFunc
	ctx    context.Context
	ended  chan error

	mu   sync.Mutex
	peer wire.Peer
	name string
}

var _ wire.Door = (*door)(nil)

func newDoor() *door {
	d := &door{stream: transmux.NewStream("it", ring.Limits{}), ended: make(chan error, 10)}
	d.ctx, d.revoke = context.WithCancelCause(context.Background())
	return d
}

func (d *door) Play(context.Context, wire.Peer, string) (*wire.Grant, error) {
	return nil, &wire.Refusal{Err: wire.ErrNotAllowed}
}

func (d *door) Password(string) (string, bool) { return "", false }

func (d *door) Publish(_ context.Context, p wire.Peer, name string) (*wire.Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peer, d.name = p, name
	if d.err != nil {
		return nil, d.err
	}
	g := wire.NewGrant(d.ctx, func(err error) { d.ended <- err })
	g.Writer = d.stream.NewWriter()
	return g, nil
}

// movie makes FLV of pictures, 25 a second.
func movie(from, n int) []byte {
	track := &transmux.Track{ID: 1, Codec: transmux.SorensonH263}
	m := flv.NewMuxer(flv.Options{})
	m.Tracks([]*transmux.Track{track})
	b := flv.Header(false, true)
	for i := range n {
		at := time.Duration(from+i) * 40 * time.Millisecond
		m.Mux(&transmux.AccessUnit{Track: track, DTS: at, PTS: at, Key: i == 0, Data: []byte{byte(from + i), 1, 2, 3}}, func(c *transmux.Chunk) {
			if from+i == 0 || i == 0 {
				for _, p := range c.Init {
					b = append(b, p...)
				}
			}
			for _, p := range c.Bufs {
				b = append(b, p...)
			}
		})
	}
	return b
}

// pictures counts what a stream holds.
func pictures(s *transmux.Stream) int {
	units, _, _ := s.Stats()
	return int(units)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, method, path, contentType string
		body                          io.Reader
		err                           error
		status, units                 int
		text                          string
		cause                         error
	}{
		{"takes FLV by PUT", "PUT", "/live/it.flv", "", strings.NewReader(string(movie(0, 50))), nil, 200, 50, "", io.EOF},
		{"takes FLV by POST, told by its type", "POST", "/live/it", "video/x-flv", strings.NewReader(string(movie(0, 50))), nil, 200, 50, "", io.EOF},
		{"takes FLV that is called something else", "POST", "/live/it.ts", "", strings.NewReader(string(movie(0, 50))), nil, 200, 50, "", io.EOF},
		{"wants to know what it is", "POST", "/live/it", "application/json", strings.NewReader("{}"), nil, 415, 0, "publish to /name.flv", nil},
		{"wants a name", "POST", "/.flv", "", strings.NewReader(""), nil, 415, 0, "publish to /name.flv", nil},
		{"does not take anything", "POST", "/live/it.flv", "", strings.NewReader(strings.Repeat("hello", 1000)), nil, 415, 0, "neither FLV nor MPEG-TS", nil},
		{"says that nothing came", "POST", "/live/it.flv", "", strings.NewReader(""), nil, 503, 0, "", nil},
		{"passes a refusal on", "POST", "/live/it.flv", "", strings.NewReader(""), &wire.Refusal{Err: wire.ErrBusy, Reason: "another publisher"}, 409, 0, "already live: another publisher", nil},
		{"asks for a user", "PUT", "/live/it.flv", "", strings.NewReader(""), &wire.Refusal{Err: wire.ErrNeedUser}, 401, 0, "", nil},
		{"takes nothing by GET", "GET", "/live/it.flv", "", nil, nil, 405, 0, "POST or PUT", nil},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			d := newDoor()
			d.err = tt.err
			s := httptest.NewServer(NewHandler(Options{Door: d, Log: slog.New(slog.DiscardHandler)}))
			defer s.Close()
			req, err := http.NewRequestWithContext(t.Context(), tt.method, s.URL+tt.path, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", tt.contentType)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != tt.status || !strings.Contains(string(text), tt.text) {
				t.Errorf("got %d, %q; want %d, %q", resp.StatusCode, text, tt.status, tt.text)
			}
			if n := pictures(d.stream); n != tt.units {
				t.Errorf("got %d units; want %d", n, tt.units)
			}
			if tt.cause != nil {
				if err := <-d.ended; !errors.Is(err, tt.cause) {
					t.Errorf("got %v; want %v", err, tt.cause)
				}
				if d.name != "live/it" {
					t.Errorf("got %q; want live/it", d.name)
				}
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

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestPublishFaults(t *testing.T) {
	t.Parallel()
	const head = "POST /it.flv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := func(b []byte) string { return fmt.Sprintf("%x\r\n%s\r\n", len(b), b) }
	for _, tt := range []struct {
		it     string
		do     func(d *door, c net.Conn) // after the head and a second of pictures
		want   error
		after  time.Duration
		status int
	}{
		{"closes a publisher that is silent for ten seconds", func(*door, net.Conn) {}, wire.ErrIdle, 10 * time.Second, 408},
		{"closes a publisher that stops in mid message", func(_ *door, c net.Conn) {
			time.Sleep(5 * time.Second)
			_, _ = io.WriteString(c, chunk(movie(25, 1)[13:20]))
		}, wire.ErrIdle, 15 * time.Second, 408},
		{"keeps a slow one that goes on", func(_ *door, c net.Conn) {
			for i := range 5 {
				time.Sleep(9 * time.Second)
				_, _ = io.WriteString(c, chunk(movie(25+i, 1)[13:]))
			}
			_, _ = io.WriteString(c, "0\r\n\r\n")
		}, io.EOF, 45 * time.Second, 200},
		{"tells a publisher that its right was taken away", func(d *door, _ net.Conn) {
			time.Sleep(time.Second)
			d.revoke(wire.ErrDenied)
		}, wire.ErrDenied, time.Second, 503},
		{"tells a publisher that it was replaced", func(d *door, c net.Conn) {
			d.stream.NewWriter()
			_, _ = io.WriteString(c, chunk(movie(25, 1)[13:]))
		}, transmux.ErrReplaced, 0, 503},
		{"notices a publisher that is gone", func(_ *door, c net.Conn) { _ = c.Close() }, io.ErrUnexpectedEOF, 0, 0},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor()
				l := &pipes{make(chan net.Conn), make(chan struct{})}
				s := web.NewServer(NewHandler(Options{Door: d, Log: slog.New(slog.DiscardHandler)}), slog.New(slog.DiscardHandler))
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = s.Serve(l)
				}()
				here, there := net.Pipe()
				l.conns <- sniff.NewConn(there, sniff.Options{})
				_, _ = io.WriteString(here, head+chunk(movie(0, 25)))
				synctest.Wait()
				begin := time.Now()
				answer := make(chan int, 1)
				go func() {
					resp, err := http.ReadResponse(bufio.NewReader(here), nil)
					if err != nil {
						answer <- 0
						return
					}
					answer <- resp.StatusCode
				}()
				tt.do(d, here)
				err := <-d.ended
				if got := time.Since(begin); !errors.Is(err, tt.want) || got != tt.after {
					t.Errorf("got %v after %s; want %v after %s", err, got, tt.want, tt.after)
				}
				if got := <-answer; got != tt.status {
					t.Errorf("got status %d; want %d", got, tt.status)
				}
				_ = here.Close()
				close(l.done)
				_ = s.Close()
				<-done
				d.revoke(nil)
				synctest.Wait()
			})
		})
	}
}

func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed for this test; install the Debian package %s", name, pkg)
	}
	return path
}

func TestRealPublishers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, path string
		args     []string
	}{
		{"takes FLV that ffmpeg posts", "/live/it.flv", []string{"-f", "flv"}},
		{"takes FLV that ffmpeg puts", "/live/it.flv", []string{"-method", "PUT", "-f", "flv"}},
		{"takes MPEG-TS that ffmpeg posts", "/live/it.ts", []string{"-f", "mpegts"}},
		{"takes MPEG-TS that ffmpeg puts with authentication", "/live/it.ts", []string{"-method", "PUT", "-f", "mpegts"}},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			d := newDoor()
			s := httptest.NewServer(NewHandler(Options{Door: d, Log: slog.New(slog.DiscardHandler)}))
			defer s.Close()
			args := append([]string{"-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
				"-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-c:a", "aac"}, tt.args...)
			out, err := exec.CommandContext(t.Context(), program(t, "ffmpeg", "ffmpeg"), append(args, strings.Replace(s.URL, "http://", "http://u:p@", 1)+tt.path)...).CombinedOutput()
			if err != nil {
				t.Fatalf("got %v, %s; want ffmpeg content", err, out)
			}
			if err := <-d.ended; !errors.Is(err, io.EOF) {
				t.Errorf("got %v; want %v", err, io.EOF)
			}
			kinds := make(map[transmux.Codec]int)
			for r := d.stream.Reader(); ; {
				au, ok := r.Try()
				if !ok {
					break
				}
				kinds[au.Track.Codec]++
			}
			if kinds[transmux.H264] != 50 || kinds[transmux.AAC] < 90 {
				t.Errorf("got %v; want 50 pictures and 94 sounds", kinds)
			}
		})
	}
}
