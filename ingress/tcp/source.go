// Package tcp takes FLV or MPEG-TS that comes bare over TCP.
package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"weir/ingress"
	"weir/ingress/container"
	"weir/transmux"
	"weir/wire"
)

const (
	dialWait  = 10 * time.Second
	idleAfter = 10 * time.Second
)

// A Source reads from a server that it dials (tcp://HOST:PORT), or from senders that connect to it
// (tcp://ADDRESS:PORT?listen=1), one at a time. ?format=flv or ts tells what comes; otherwise it is found out.
type Source struct {
	remote wire.Remote
	format container.Format
	listen bool
}

var _ ingress.Source = (*Source)(nil)

// New checks r's URL.
func New(r wire.Remote) (*Source, error) {
	if r.URL.Port() == "" {
		return nil, fmt.Errorf("%s: a port is missing; write it like tcp://10.0.0.7:5000", r.Redacted())
	}
	q := r.URL.Query()
	s := &Source{remote: r}
	for k := range q {
		if k != "listen" && k != "format" {
			return nil, fmt.Errorf("%s: unknown setting %q; there are listen, format", r.Redacted(), k)
		}
	}
	switch v := q.Get("listen"); v {
	case "", "0", "false":
	case "1", "true":
		s.listen = true
	default:
		return nil, fmt.Errorf("%s: listen %q is not 1 or 0", r.Redacted(), v)
	}
	if !s.listen && r.URL.Hostname() == "" {
		return nil, fmt.Errorf("%s: a host is missing; to wait for a sender, add ?listen=1", r.Redacted())
	}
	var err error
	if s.format, err = container.Parse(q.Get("format")); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Redacted(), err)
	}
	return s, nil
}

// Run implements ingress.Source. When it listens, it goes on with the next sender when one ends.
func (s *Source) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	if !s.listen {
		d := net.Dialer{Timeout: dialWait}
		c, err := d.DialContext(ctx, "tcp", s.remote.URL.Host)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return cause
		}
		if err != nil {
			return fmt.Errorf("fetch %s: %w", s.remote.Redacted(), err)
		}
		if err := s.read(ctx, c, w, m); err != nil {
			return fmt.Errorf("fetch %s: %w", s.remote.Redacted(), err)
		}
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.remote.URL.Host)
	if err != nil {
		return fmt.Errorf("wait for a sender at %s: %w", s.remote.Redacted(), err)
	}
	return s.serve(ctx, l, w, m)
}

// serve reads from the senders that l accepts, one at a time; others are closed at once. It closes l.
func (s *Source) serve(ctx context.Context, l net.Listener, w *transmux.Writer, m *wire.Meter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var reading sync.WaitGroup
	defer func() {
		_ = l.Close()
		cancel(nil)
		reading.Wait()
	}()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	free := make(chan struct{}, 1)
	free <- struct{}{}
	for {
		c, err := l.Accept()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return fmt.Errorf("wait for a sender at %s: %w", s.remote.Redacted(), err)
		}
		select {
		case <-free:
		default:
			s.remote.Log.Warn("a second sender is refused", "source", s.remote.Redacted(), "address", c.RemoteAddr().String())
			_ = c.Close()
			continue
		}
		reading.Go(func() {
			defer func() { free <- struct{}{} }()
			err := s.read(ctx, c, w, m)
			switch {
			case errors.Is(err, transmux.ErrReplaced) || errors.Is(err, wire.ErrEnded):
				cancel(err) // nobody wants more
			case err != nil && ctx.Err() == nil:
				s.remote.Log.Warn("a sender ended", "source", s.remote.Redacted(), "address", c.RemoteAddr().String(), "error", err)
			}
		})
	}
}

// read takes apart what c brings until it ends, and closes it.
func (s *Source) read(ctx context.Context, c net.Conn, w *transmux.Writer, m *wire.Meter) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer func() {
		stop()
		_ = c.Close()
	}()
	err := container.Read(patient{c}, container.Options{Format: s.format, Program: s.remote.Program, Tracks: s.remote.Tracks}, w, m)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("nothing in %s: %w", idleAfter, wire.ErrIdle)
	}
	return err
}

// patient bounds each read of a connection.
type patient struct{ net.Conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(idleAfter)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}
