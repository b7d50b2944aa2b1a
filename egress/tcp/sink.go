// Package tcp sends streams bare over TCP, as FLV or MPEG-TS.
package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"weir/egress"
	"weir/egress/container"
	"weir/transmux"
	"weir/wire"
)

const (
	dialWait = 10 * time.Second

	// maxReceivers is how many may be connected to a sink that listens.
	maxReceivers = 1024
)

// A Sink sends to a server that it dials (tcp://HOST:PORT), or to all receivers that connect to it
// (tcp://ADDRESS:PORT?listen=1). ?format=ts or flv tells the format; ts if it is not told.
type Sink struct {
	remote wire.Remote
	format container.Format
	listen bool
}

var _ egress.Sink = (*Sink)(nil)

// New checks r's URL.
func New(r wire.Remote) (*Sink, error) {
	if r.URL.Port() == "" {
		return nil, fmt.Errorf("%s: a port is missing; write it like tcp://10.0.0.7:5000", r.Redacted())
	}
	q := r.URL.Query()
	s := &Sink{remote: r}
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
		return nil, fmt.Errorf("%s: a host is missing; to wait for receivers, add ?listen=1", r.Redacted())
	}
	var err error
	if s.format, err = container.Parse(q.Get("format"), container.TS); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Redacted(), err)
	}
	return s, nil
}

// Run implements egress.Sink. When it listens, it ends with the stream, not with a receiver.
func (s *Sink) Run(ctx context.Context, stream *transmux.Stream, m *wire.Meter) error {
	if s.listen {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", s.remote.URL.Host)
		if err != nil {
			return fmt.Errorf("wait for receivers at %s: %w", s.remote.Redacted(), err)
		}
		return s.serve(ctx, l, stream, m)
	}
	flow, err := s.open(ctx, stream)
	if err != nil {
		return err
	}
	defer flow.Close()
	d := net.Dialer{Timeout: dialWait}
	c, err := d.DialContext(ctx, "tcp", s.remote.URL.Host)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("send to %s: %w", s.remote.Redacted(), err)
	}
	if err := send(ctx, c, flow, m); err != nil {
		return fmt.Errorf("send to %s: %w", s.remote.Redacted(), err)
	}
	return nil
}

func (s *Sink) open(ctx context.Context, stream *transmux.Stream) (*container.Flow, error) {
	flow, dropped, err := container.Open(ctx, stream, s.format, s.remote.Tracks)
	for _, d := range dropped {
		s.remote.Log.Warn("a track is left out", "sink", s.remote.Redacted(), "reason", d)
	}
	return flow, err
}

// errLeft ends a receiver that closed its connection.
var errLeft = errors.New("the receiver has left")

// send writes the flow to c until the stream ends or the receiver leaves, and closes c.
func send(ctx context.Context, c net.Conn, flow *container.Flow, m *wire.Meter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	read := make(chan struct{})
	go func() { // a receiver that leaves is noticed by what it sends: the end
		defer close(read)
		_, err := io.Copy(io.Discard, c)
		if err == nil {
			err = errLeft
		}
		cancel(err)
	}()
	defer func() {
		cancel(nil)
		_ = c.Close()
		<-read
	}()
	return flow.Write(ctx, m, container.WriteConn(c))
}

// serve sends to everybody that l accepts. It closes l.
func (s *Sink) serve(ctx context.Context, l net.Listener, stream *transmux.Stream, m *wire.Meter) error {
	// This cursor notices the end of the stream, and fails early if there is no track that can be sent.
	watch, err := s.open(ctx, stream)
	if err != nil {
		_ = l.Close()
		return err
	}
	defer watch.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var receivers sync.WaitGroup
	receivers.Go(func() {
		err := watch.Write(ctx, new(wire.Meter), func(net.Buffers) error { return nil })
		if err == nil {
			err = wire.ErrEnded
		}
		_ = l.Close()
		if !errors.Is(err, wire.ErrEnded) {
			cancel(err)
		}
	})
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer receivers.Wait()
	places := make(chan struct{}, maxReceivers)
	for {
		c, err := l.Accept()
		if err != nil {
			switch cause := context.Cause(ctx); {
			case cause != nil:
				return cause
			case errors.Is(err, net.ErrClosed):
				return nil // the stream ended; receivers get the rest
			}
			cancel(err)
			return fmt.Errorf("wait for receivers at %s: %w", s.remote.Redacted(), err)
		}
		select {
		case places <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		receivers.Go(func() {
			defer func() { <-places }()
			flow, err := s.open(ctx, stream)
			if err != nil {
				_ = c.Close()
				return
			}
			defer flow.Close()
			if err := send(ctx, c, flow, m); err != nil && !errors.Is(err, errLeft) && ctx.Err() == nil {
				s.remote.Log.Debug("a receiver ended", "sink", s.remote.Redacted(), "address", c.RemoteAddr().String(), "error", err)
			}
		})
	}
}
