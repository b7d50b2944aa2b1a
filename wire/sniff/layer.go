package sniff

import (
	"net"
	"strings"
	"sync/atomic"
)

// A Layer is one storey of a connection with the bytes that crossed it.
type Layer struct {
	Name    string // "tcp", "tls"
	In, Out uint64 // bytes read from and written to it by the storey above
}

// layer counts what crosses a net.Conn, and can give bytes back that were only looked at.
type layer struct {
	net.Conn
	name    string
	in, out atomic.Uint64
	pending []byte // seen by peek, not yet read; belongs to the reading goroutine
}

func (l *layer) Read(p []byte) (int, error) {
	if len(l.pending) > 0 && len(p) > 0 {
		n := copy(p, l.pending)
		l.pending = l.pending[n:]
		return n, nil
	}
	n, err := l.Conn.Read(p)
	l.in.Add(uint64(n))
	return n, err
}

func (l *layer) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	l.out.Add(uint64(n))
	return n, err
}

// peek waits for the next byte and leaves it to be read.
func (l *layer) peek() (byte, error) {
	if len(l.pending) > 0 {
		return l.pending[0], nil
	}
	first := make([]byte, 1)
	for {
		n, err := l.Conn.Read(first)
		if n == 1 {
			l.in.Add(1)
			l.pending = first
			return first[0], nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// Describe prints the layers of c from the wire upwards and what stands on them: "tcp → tls → http". For a connection
// that is not a *Conn it begins with the name of its network.
func Describe(c net.Conn, above ...string) string {
	var names []string
	switch c := c.(type) {
	case *Conn:
		for _, l := range c.Layers() {
			names = append(names, l.Name)
		}
	default:
		if a := c.LocalAddr(); a != nil {
			names = append(names, a.Network())
		}
	}
	return strings.Join(append(names, above...), " → ")
}
