package sniff

import (
	"context"
	"net"
	"sync"
)

// A Listener puts a Conn on each connection that it accepts.
type Listener struct {
	net.Listener
	options Options
}

var _ net.Listener = (*Listener)(nil)

// NewListener wraps l. Closing the result closes l.
func NewListener(l net.Listener, o Options) *Listener { return &Listener{l, o} }

// Accept waits for the next connection and returns it as a *Conn; it does not wait for the first byte.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return NewConn(c, l.options), nil
}

// maxUndecided is how many connections of one port may be silent at a time; more are closed at once.
const maxUndecided = 1024

// A Splitter shares one port among protocols that their first byte tells apart. Call For for each protocol, then Run.
type Splitter struct {
	listener *Listener
	ways     map[Kind]*way
}

// NewSplitter splits what l accepts.
func NewSplitter(l net.Listener, o Options) *Splitter {
	return &Splitter{listener: NewListener(l, o), ways: make(map[Kind]*way)}
}

// For returns a listener that accepts the connections of the given kinds. Closing it closes connections of these kinds
// that come later; the port stays open until Run returns. Call it before Run.
func (s *Splitter) For(kinds ...Kind) net.Listener {
	w := &way{addr: s.listener.Addr(), conns: make(chan net.Conn), closed: make(chan struct{})}
	for _, k := range kinds {
		s.ways[k] = w
	}
	return w
}

// Run accepts connections until ctx ends or accepting fails; then it closes the port and all listeners, and returns when
// every connection is handed over or closed. Connections of a kind that nobody asked for are closed.
func (s *Splitter) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer func() {
		cancel(net.ErrClosed)
		for _, w := range s.ways {
			_ = w.Close()
		}
		work.Wait()
	}()
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	undecided := make(chan struct{}, maxUndecided)
	for {
		c, err := s.listener.Accept()
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			_ = s.listener.Close()
			return err
		}
		select {
		case undecided <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		work.Go(func() {
			defer func() { <-undecided }()
			s.hand(ctx, c.(*Conn))
		})
	}
}

// hand gives c to the listener of its kind.
func (s *Splitter) hand(ctx context.Context, c *Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	kind, err := c.Sniff()
	if !stop() || err != nil || s.ways[kind] == nil {
		_ = c.Close()
		return
	}
	w := s.ways[kind]
	select {
	case w.conns <- c:
	case <-w.closed:
		_ = c.Close()
	}
}

// way is one protocol's share of a port.
type way struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (w *way) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: w.addr, Err: net.ErrClosed}
	}
}

func (w *way) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *way) Addr() net.Addr { return w.addr }
