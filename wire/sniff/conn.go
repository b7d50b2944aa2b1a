// Package sniff lets one port speak TLS and plain protocols, by looking at the first byte of each connection.
package sniff

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// DefaultWait is how long a peer has for its first byte and, with TLS, for the handshake.
const DefaultWait = 10 * time.Second

var (
	errNoTLS   = errors.New("the peer speaks TLS, but this listener has no certificate")
	errNeedTLS = errors.New("the peer does not speak TLS, but this listener requires it")
	errNoRaw   = errors.New("the connection has no plain socket to lend")
)

// Options say what a listener admits.
type Options struct {
	TLS     *tls.Config   // nil: connections that speak TLS end with an error
	Require bool          // plain connections end with an error
	Wait    time.Duration // zero is DefaultWait
}

// A Conn is an accepted connection. It finds out by itself, when it is first read or written, whether its peer speaks
// TLS; the handshake is done then. So nothing blocks the goroutine that accepts, and a silent peer costs its own session
// only, for Options.Wait. The peer must speak first, as those of HTTP and RTMP do.
//
// It is safe for concurrent use as far as net.Conn is; Sniff belongs to the goroutine that reads.
type Conn struct {
	socket  *layer
	options Options
	limit   time.Time // for the first byte and the handshake

	once     sync.Once
	startErr error
	top      atomic.Pointer[layer] // what the session reads: socket, or TLS on it; nil until once is done

	mu          sync.Mutex
	started     bool
	read, write time.Time // deadlines that the session asked for
}

var _ net.Conn = (*Conn)(nil)

// NewConn puts a Conn on an accepted connection. The time for the first byte begins now.
func NewConn(c net.Conn, o Options) *Conn {
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	name := "tcp"
	if a := c.LocalAddr(); a != nil {
		name = a.Network()
	}
	return &Conn{socket: &layer{Conn: c, name: name}, options: o, limit: time.Now().Add(o.Wait)}
}

// Start waits for the first byte and does the TLS handshake if there is one. Read and Write call it; call it to learn
// the layers before.
func (c *Conn) Start() error {
	c.once.Do(func() {
		c.applyDeadlines(false)
		top, err := c.open()
		if err != nil {
			c.startErr = err
			return
		}
		c.applyDeadlines(true)
		c.top.Store(top)
	})
	return c.startErr
}

func (c *Conn) open() (*layer, error) {
	first, err := c.socket.peek()
	if err != nil {
		return nil, fmt.Errorf("wait for the first byte: %w", err)
	}
	if Classify(first) != TLS {
		if !c.options.Require {
			return c.socket, nil
		}
		if Classify(first) == HTTP {
			_, _ = c.socket.Write([]byte("HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nTLS is required on this port.\n"))
		}
		return nil, errNeedTLS
	}
	if c.options.TLS == nil {
		return nil, errNoTLS
	}
	t := tls.Server(c.socket, c.options.TLS)
	if err := t.Handshake(); err != nil {
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	return &layer{Conn: t, name: "tls"}, nil
}

// Sniff tells what the peer speaks (inside TLS, if there is any) and leaves its bytes to be read.
func (c *Conn) Sniff() (Kind, error) {
	if err := c.Start(); err != nil {
		return Unknown, err
	}
	// The first byte inside TLS is waited for as long as the one outside.
	top := c.top.Load()
	if top != c.socket {
		c.applyDeadlines(false)
		defer c.applyDeadlines(true)
	}
	first, err := top.peek()
	if err != nil {
		return Unknown, fmt.Errorf("wait for the first byte: %w", err)
	}
	return Classify(first), nil
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.Start(); err != nil {
		return 0, err
	}
	return c.top.Load().Read(p)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.Start(); err != nil {
		return 0, err
	}
	return c.top.Load().Write(p)
}

// WriteBuffers writes all of b, with one writev where the connection is plain and in one piece where it is not. It
// consumes *b as net.Buffers.WriteTo does.
func (c *Conn) WriteBuffers(b *net.Buffers) (int64, error) {
	if err := c.Start(); err != nil {
		return 0, err
	}
	if top := c.top.Load(); top != c.socket {
		n, err := top.Write(slices.Concat(*b...)) // one TLS record each 16 KiB, not one a slice
		*b = nil
		return int64(n), err
	}
	n, err := b.WriteTo(c.socket.Conn)
	c.socket.out.Add(uint64(n))
	return n, err
}

// SyscallConn lends the socket of a plain connection, for writing without blocking. It fails where TLS stands between.
// Bytes that are moved through it are not counted.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if c.top.Load() == c.socket {
		if s, ok := c.socket.Conn.(syscall.Conn); ok {
			return s.SyscallConn()
		}
	}
	return nil, errNoRaw
}

// Close implements net.Conn. It says goodbye where TLS stands between, for at most 5 s.
func (c *Conn) Close() error {
	if top := c.top.Load(); top != nil {
		return top.Close()
	}
	return c.socket.Close()
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.socket.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.socket.RemoteAddr() }

// SetDeadline implements net.Conn. Until the connection has started, it can only shorten Options.Wait.
func (c *Conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.read, c.write = t, t
	c.mu.Unlock()
	return c.setDeadlines()
}

// SetReadDeadline implements net.Conn, as SetDeadline does.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.socket.SetReadDeadline(c.effective(t))
}

// SetWriteDeadline implements net.Conn, as SetDeadline does.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.socket.SetWriteDeadline(c.effective(t))
}

// Layers returns the layers from the wire upwards, as far as they are known.
func (c *Conn) Layers() []Layer {
	out := []Layer{{c.socket.name, c.socket.in.Load(), c.socket.out.Load()}}
	if top := c.top.Load(); top != nil && top != c.socket {
		out = append(out, Layer{top.name, top.in.Load(), top.out.Load()})
	}
	return out
}

// Bytes returns what was read from and written to the socket.
func (c *Conn) Bytes() (in, out uint64) { return c.socket.in.Load(), c.socket.out.Load() }

func (c *Conn) applyDeadlines(started bool) {
	c.mu.Lock()
	c.started = started
	c.mu.Unlock()
	_ = c.setDeadlines() // fails on a closed socket only, which the next read tells better
}

func (c *Conn) setDeadlines() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.socket.SetReadDeadline(c.effective(c.read)); err != nil {
		return err
	}
	return c.socket.SetWriteDeadline(c.effective(c.write))
}

// effective is the session's deadline, bounded by limit before the start.
func (c *Conn) effective(t time.Time) time.Time {
	if c.started || !t.IsZero() && t.Before(c.limit) {
		return t
	}
	return c.limit
}
