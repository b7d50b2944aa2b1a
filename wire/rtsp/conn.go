package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"weir/wire"
)

const (
	// greeting is how long a peer may take to say its first word, and to finish the TLS handshake.
	greeting = 10 * time.Second
	// Patience is how long one write may take before the receiver counts as stuck.
	Patience = 10 * time.Second
	// recordTLS is the first byte of a TLS record that holds a handshake (RFC 8446 5.1).
	recordTLS = 0x16
)

// A Conn lets RTSP messages and batches of media share one connection: each write is whole. Layers below may still be
// chosen with the first byte that comes in. It is safe for concurrent use as a [net.Conn] is.
type Conn struct {
	net.Conn // the socket
	hello    *hello

	upper atomic.Pointer[net.Conn] // what is read and written once the layers stand

	interrupted atomic.Bool // WriteAll is over

	mu     sync.Mutex // held for one write
	join   []byte     // for layers that cannot gather
	after  func()     // called after the next plain Write, without mu
	broken error      // of a batch that was cut, after which nothing makes sense
}

// hello is what a server decides with the first byte.
type hello struct {
	config *tls.Config // nil: no TLS
	must   bool
	once   sync.Once
	err    error
}

// NewConn wraps a connection whose layers stand.
func NewConn(c net.Conn) *Conn {
	w := &Conn{Conn: c}
	w.upper.Store(&c)
	return w
}

// Secure reports whether TLS is spoken; known after the first read.
func (c *Conn) Secure() bool {
	if u := c.upper.Load(); u != nil {
		_, ok := (*u).(*tls.Conn)
		return ok
	}
	return false
}

// Read implements [net.Conn]. The first call sees which layers there are.
func (c *Conn) Read(p []byte) (int, error) {
	if c.hello != nil {
		c.hello.once.Do(func() { c.hello.err = c.greet() })
		if c.hello.err != nil {
			return 0, c.hello.err
		}
	}
	return (*c.upper.Load()).Read(p)
}

// greet reads the first byte and does the TLS handshake.
func (c *Conn) greet() error {
	c.Conn.SetReadDeadline(time.Now().Add(greeting))
	first := make([]byte, 1)
	if _, err := io.ReadFull(c.Conn, first); err != nil {
		return err
	}
	var upper net.Conn = &again{Conn: c.Conn, first: first}
	switch {
	case first[0] == recordTLS && c.hello.config == nil:
		return errors.New("the peer speaks TLS to a listener without certificate")
	case first[0] == recordTLS:
		t := tls.Server(upper, c.hello.config)
		ctx, cancel := context.WithTimeout(context.Background(), greeting)
		defer cancel()
		if err := t.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
		upper = t
	case c.hello.must:
		return errors.New("the peer speaks plain RTSP to a listener that requires TLS")
	}
	c.upper.Store(&upper)
	return nil
}

// again gives the first byte once more.
type again struct {
	net.Conn
	first []byte
}

func (a *again) Read(p []byte) (int, error) {
	if len(a.first) > 0 && len(p) > 0 {
		n := copy(p, a.first)
		a.first = a.first[n:]
		return n, nil
	}
	return a.Conn.Read(p)
}

// Write implements [net.Conn]. It has a deadline of its own: Patience.
func (c *Conn) Write(p []byte) (int, error) {
	u := c.upper.Load()
	if u == nil {
		return 0, errors.New("write before anything was read")
	}
	c.mu.Lock()
	if err := c.broken; err != nil {
		c.mu.Unlock()
		return 0, err
	}
	c.Conn.SetWriteDeadline(time.Now().Add(Patience))
	n, err := (*u).Write(p)
	after := c.after
	c.after = nil
	c.mu.Unlock()
	if after != nil && err == nil {
		after()
	}
	return n, err
}

// SetWriteDeadline does nothing: writers would disturb each other, and each write has its deadline.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// Then calls f after the next Write.
func (c *Conn) Then(f func()) {
	c.mu.Lock()
	c.after = f
	c.mu.Unlock()
}

// maxJoin bounds what is copied together for layers that cannot gather.
const maxJoin = 256 << 10

// WriteAll writes all pieces as one, with one system call where the layers allow it. It consumes list, not the pieces.
// The error wraps wire.ErrSlow if the peer took nothing for Patience.
func (c *Conn) WriteAll(list net.Buffers) error {
	u := c.upper.Load()
	if u == nil {
		return errors.New("write before anything was read")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.broken
	if tcp := c.socket(*u); tcp != nil {
		// A deadline for each call to the system, so that a peer that takes little is not one that takes nothing.
		for len(list) > 0 && err == nil {
			if err = c.patient(); err != nil {
				break
			}
			part := list[:min(len(list), 1024)]
			list = list[len(part):]
			_, err = part.WriteTo(tcp)
		}
	} else {
		for len(list) > 0 && err == nil {
			c.join = c.join[:0]
			for len(list) > 0 && (len(c.join) == 0 || len(c.join)+len(list[0]) <= maxJoin) {
				c.join = append(c.join, list[0]...)
				list = list[1:]
			}
			if err = c.patient(); err == nil {
				_, err = (*u).Write(c.join)
			}
		}
	}
	if err != errInterrupted {
		c.broken = err
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() && !c.interrupted.Load() {
		return fmt.Errorf("%w: %w", wire.ErrSlow, err)
	}
	return err
}

// Interrupt makes WriteAll fail from now on, one that is under way too.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	c.Conn.SetWriteDeadline(time.Unix(1, 0))
}

func (c *Conn) patient() error {
	c.Conn.SetWriteDeadline(time.Now().Add(Patience))
	if c.interrupted.Load() {
		return errInterrupted
	}
	return nil
}

var errInterrupted = errors.New("writing was interrupted")

// socket returns the TCP socket if nothing stands above it.
func (c *Conn) socket(upper net.Conn) *net.TCPConn {
	if a, ok := upper.(*again); ok {
		upper = a.Conn
	}
	tcp, _ := upper.(*net.TCPConn)
	return tcp
}

// listener hands out connections as Conns. A closed socket is not the end of the server: sessions go on until ctx ends.
type listener struct {
	net.Listener
	ctx    context.Context
	config *tls.Config
	must   bool
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			return &Conn{Conn: c, hello: &hello{config: l.config, must: l.must}}, nil
		}
		pause := time.NewTimer(50 * time.Millisecond) // no file descriptors, for example
		if errors.Is(err, net.ErrClosed) {
			pause.Stop()
		}
		select {
		case <-pause.C:
		case <-l.ctx.Done():
			pause.Stop()
			return nil, err
		}
	}
}
