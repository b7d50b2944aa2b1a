package http

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

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

// ask opens an in-memory connection and reads the answer's header.
func (p *pipes) ask(t *testing.T, request string) (net.Conn, *http.Response) {
	t.Helper()
	here, there := net.Pipe()
	p.conns <- there
	_, _ = io.WriteString(here, request)
	resp, err := http.ReadResponse(bufio.NewReader(here), nil)
	if err != nil {
		t.Fatal(err)
	}
	return here, resp
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const request = "GET /it.flv HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		it string
		do func(t *testing.T, d *door, p *pipes, w *transmux.Writer)
	}{
		{"closes a player that takes nothing for ten seconds", func(t *testing.T, d *door, p *pipes, w *transmux.Writer) {
			c, _ := p.ask(t, request)
			defer func() { _ = c.Close() }()
			begin := time.Now()
			if err := <-d.ended; !errors.Is(err, wire.ErrSlow) || time.Since(begin) != 10*time.Second {
				t.Errorf("got %v after %s; want %v after 10s", err, time.Since(begin), wire.ErrSlow)
			}
		}},
		{"goes on at a key picture when a player was overtaken, without a second header", func(t *testing.T, d *door, p *pipes, w *transmux.Writer) {
			c, resp := p.ask(t, request)
			defer func() { _ = c.Close() }()
			synctest.Wait()
			write(w, flvTracks, 25, 200, 3000)
			go func() {
				time.Sleep(time.Second)
				d.stream.Close(io.EOF)
			}()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			f := demux(t, ".flv", body)
			if n := bytes.Count(body, []byte("FLV\x01")); n != 1 {
				t.Errorf("got %d headers; want 1", n)
			}
			for i, n := range f.pictures {
				if i > 0 && n != f.pictures[i-1]+1 && !f.keys[i] {
					t.Errorf("got picture %d after %d; want a key picture after a jump", n, f.pictures[i-1])
				}
			}
			if last := f.pictures[len(f.pictures)-1]; last != 199 {
				t.Errorf("got %d as the last picture; want 199", last)
			}
			_, _, m := d.last()
			if _, _, skips := m.Totals(); skips != 1 {
				t.Errorf("got %d skips; want 1", skips)
			}
		}},
		{"notices at once that a player is gone", func(t *testing.T, d *door, p *pipes, w *transmux.Writer) {
			c, resp := p.ask(t, request)
			_, _ = resp.Body.Read(make([]byte, 64<<10))
			begin := time.Now()
			_ = c.Close()
			if err := <-d.ended; err == nil || time.Since(begin) != 0 {
				t.Errorf("got %v after %s; want the reason at once", err, time.Since(begin))
			}
		}},
		{"closes a player that talks", func(t *testing.T, d *door, p *pipes, w *transmux.Writer) {
			c, resp := p.ask(t, request)
			defer func() { _ = c.Close() }()
			go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
			_, _ = c.Write(make([]byte, 1<<20))
			if err := <-d.ended; err == nil || !strings.Contains(err.Error(), "talks instead of listening") {
				t.Errorf("got %v; want a word about it", err)
			}
		}},
		{"says goodbye when the gateway drains", func(t *testing.T, d *door, p *pipes, w *transmux.Writer) {
			c, resp := p.ask(t, request)
			defer func() { _ = c.Close() }()
			go func() {
				time.Sleep(time.Second)
				d.revoke(wire.ErrDrain)
			}()
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Errorf("got %v; want a complete body", err)
			}
			if err := <-d.ended; !errors.Is(err, wire.ErrDrain) {
				t.Errorf("got %v; want %v", err, wire.ErrDrain)
			}
		}},
		{"waits ten seconds for a request", func(t *testing.T, d *door, p *pipes, w *transmux.Writer) {
			here, there := net.Pipe()
			p.conns <- there
			begin := time.Now()
			done := make(chan struct{})
			defer func() { <-done }()
			go func() {
				defer close(done)
				for _, b := range []byte("GET / HTTP/1.1\r\nHo") {
					_, _ = here.Write([]byte{b})
					time.Sleep(time.Second)
				}
			}()
			_, _ = io.ReadAll(here)
			if got := time.Since(begin); got != 10*time.Second {
				t.Errorf("got closed after %s; want 10s", got)
			}
			_ = here.Close()
		}},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(ring.Limits{Bytes: 100_000})
				w := d.stream.NewWriter()
				w.SetTracks(flvTracks)
				write(w, flvTracks, 0, 25, 1000)
				p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
				serveOn(t, d, p)
				tt.do(t, d, p, w)
				d.stream.Close(io.EOF)
				_ = p.Close()
				synctest.Wait()
			})
		})
	}
}
