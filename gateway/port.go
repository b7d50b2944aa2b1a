package gateway

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// maxConns bounds the connections of one port; more are closed at once.
const maxConns = 20000

// A ListenError tells which listener of the file could not be bound.
type ListenError struct {
	Listener string // the key in `listen`
	Address  string
	Err      error
}

// Error says what to do about it.
func (e *ListenError) Error() string {
	why := ""
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		why = fmt.Sprintf("%s is taken by another program; stop it or choose another address", e.Address)
	case errors.Is(e.Err, syscall.EACCES):
		why = fmt.Sprintf("%s may not be used by this user; choose a port above 1023 or grant CAP_NET_BIND_SERVICE", e.Address)
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		why = fmt.Sprintf("%s is no address of this machine; leave the host out to listen on all", e.Address)
	default:
		why = e.Err.Error()
	}
	return "listen: " + e.Listener + ": " + why
}

// Unwrap returns Err.
func (e *ListenError) Unwrap() error { return e.Err }

// A port is a TCP socket that bounds its connections, and that can be shut while what it accepted goes on.
type port struct {
	*net.TCPListener
	refused func()        // called for each connection above the bound
	slots   chan struct{} // nil counts nothing

	once   sync.Once
	shut   chan struct{}
	ended  sync.Once
	closed chan struct{}
}

var _ net.Listener = (*port)(nil)

// bind opens the port of a listener.
func bind(name, address string, refused func()) (*port, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &ListenError{Listener: name, Address: address, Err: err}
	}
	return &port{
		TCPListener: ln.(*net.TCPListener), refused: refused, slots: make(chan struct{}, maxConns),
		shut: make(chan struct{}), closed: make(chan struct{}),
	}, nil
}

// stop refuses connections from now on. Accept does not return before Close, so that servers go on.
func (p *port) stop() {
	p.once.Do(func() {
		close(p.shut)
		_ = p.TCPListener.Close()
	})
}

// Close implements net.Listener.
func (p *port) Close() error {
	p.ended.Do(func() { close(p.closed) })
	p.stop()
	return nil
}

// Accept implements net.Listener.
func (p *port) Accept() (net.Conn, error) {
	for {
		c, err := p.AcceptTCP()
		if err != nil {
			select {
			case <-p.shut:
				<-p.closed
				return nil, net.ErrClosed
			default:
				return nil, err
			}
		}
		if p.slots == nil {
			return c, nil
		}
		select {
		case p.slots <- struct{}{}:
			return &counted{TCPConn: c, done: sync.OnceFunc(func() { <-p.slots })}, nil
		default:
			p.refused()
			_ = c.Close()
		}
	}
}

// counted is a connection that gives its slot back. It embeds the socket so that all its abilities stay.
type counted struct {
	*net.TCPConn
	done func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.done()
	return c.TCPConn.Close()
}
