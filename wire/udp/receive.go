// Package udp sends and receives datagrams in batches, by unicast and multicast.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	// MaxDatagram is the longest datagram that is received whole: 64 packets of 204 bytes after an RTP header.
	MaxDatagram = 16 << 10

	// DefaultBuffer is the socket buffer that is asked for: 0.8 s of an 80 Mbit/s multiplex.
	DefaultBuffer = 8 << 20

	batch   = 32 // datagrams a system call
	oobSize = 64 // room for the control messages of one datagram
)

// An Address is where datagrams are received.
type Address struct {
	// Local is the group that is joined or the local address that is bound; its port must not be 0 for groups. An
	// unspecified address is any local one; "::" takes IPv4 as well. Sockets may share a group, but not an address.
	Local netip.AddrPort

	// Sources, if any, are the only senders that the network shall deliver (RFC 4607); for groups only.
	Sources []netip.Addr

	// Interface is the name or an address of the interface to join on; empty leaves it to the routing table.
	Interface string
}

// String names the address in logs: "239.1.1.7:5000 from 10.0.0.1 on eth1".
func (a Address) String() string {
	s := a.Local.String()
	for i, src := range a.Sources {
		if i == 0 {
			s += " from " + src.String()
			continue
		}
		s += ", " + src.String()
	}
	if a.Interface != "" {
		s += " on " + a.Interface
	}
	return s
}

// Equal reports whether both describe the same socket.
func (a Address) Equal(b Address) bool {
	return a.Local == b.Local && a.Interface == b.Interface && slices.Equal(a.Sources, b.Sources)
}

// A Datagram is one received datagram.
type Datagram struct {
	Data []byte // valid until the next Read
	From netip.AddrPort
}

// A Receiver is a socket that receives. Read belongs to one goroutine; Close and Drops may be called from any.
type Receiver struct {
	address        Address
	conn           net.PacketConn
	readBatch      func([]ipv4.Message, int) (int, error) // ipv6.Message is the same type
	messages       []ipv4.Message
	out            []Datagram
	asked, granted int
	drops          atomic.Uint64
	lastDrops      uint32
}

// Listen opens a socket and joins its group, if it is one. Other groups on the same port do not reach it.
// bufferSize is asked of the kernel; 0 is DefaultBuffer.
func Listen(ctx context.Context, a Address, bufferSize int) (*Receiver, error) {
	if bufferSize <= 0 {
		bufferSize = DefaultBuffer
	}
	a.Local = netip.AddrPortFrom(a.Local.Addr().Unmap(), a.Local.Port())
	ip := a.Local.Addr()
	if !ip.IsValid() {
		return nil, errors.New("receive datagrams: no address")
	}
	if ip.IsMulticast() && a.Local.Port() == 0 {
		return nil, fmt.Errorf("join %s: a group needs a port", a)
	}
	if len(a.Sources) > 0 && !ip.IsMulticast() {
		return nil, fmt.Errorf("receive from %s: a source can be chosen for multicast groups only", a)
	}
	ifi, err := Interface(a.Interface)
	if err != nil {
		return nil, err
	}
	conn, granted, err := openReceive(ctx, a, ifi, bufferSize)
	if errors.Is(err, syscall.EAFNOSUPPORT) && ip == netip.IPv6Unspecified() {
		a.Local = netip.AddrPortFrom(netip.IPv4Unspecified(), a.Local.Port()) // a machine without IPv6
		conn, granted, err = openReceive(ctx, a, ifi, bufferSize)
	}
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", a, err)
	}
	r := &Receiver{address: a, conn: conn, asked: bufferSize, granted: granted}
	if err := r.setUp(ifi); err != nil {
		_ = conn.Close()
		return nil, err
	}
	for range batch {
		r.messages = append(r.messages, ipv4.Message{Buffers: [][]byte{make([]byte, MaxDatagram)}, OOB: make([]byte, oobSize)})
	}
	r.out = make([]Datagram, 0, batch)
	return r, nil
}

// setUp joins the group and finds the way to read batches.
func (r *Receiver) setUp(ifi *net.Interface) error {
	ip := r.address.Local.Addr()
	var join func(*net.Interface, net.Addr) error
	var joinSource func(*net.Interface, net.Addr, net.Addr) error
	if ip.Is4() {
		p := ipv4.NewPacketConn(r.conn)
		r.readBatch, join, joinSource = p.ReadBatch, p.JoinGroup, p.JoinSourceSpecificGroup
	} else {
		p := ipv6.NewPacketConn(r.conn)
		r.readBatch, join, joinSource = p.ReadBatch, p.JoinGroup, p.JoinSourceSpecificGroup
	}
	if !ip.IsMulticast() {
		return nil
	}
	group := &net.UDPAddr{IP: ip.AsSlice()}
	if len(r.address.Sources) == 0 {
		if err := join(ifi, group); err != nil {
			return r.joinError(err)
		}
	}
	for _, src := range r.address.Sources {
		if src.Unmap().Is4() != ip.Is4() {
			return fmt.Errorf("join %s: group and source are of different address families", r.address)
		}
		if err := joinSource(ifi, group, &net.UDPAddr{IP: src.Unmap().AsSlice()}); err != nil {
			return r.joinError(err)
		}
	}
	return nil
}

func (r *Receiver) joinError(err error) error {
	if r.address.Interface == "" {
		return fmt.Errorf("join %s: %w; choose the interface, or give the machine a route to the group", r.address, err)
	}
	return fmt.Errorf("join %s: %w", r.address, err)
}

// Address is what the receiver was opened for.
func (r *Receiver) Address() Address { return r.address }

// LocalPort is the port that is bound.
func (r *Receiver) LocalPort() uint16 {
	if a, ok := r.conn.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Port()
	}
	return 0
}

// Buffer returns the size of the socket's buffer that was asked for and what the kernel granted, in bytes. When less was
// granted, bursts may be lost: raise net.core.rmem_max.
func (r *Receiver) Buffer() (asked, granted int) { return r.asked, r.granted }

// Drops counts datagrams that the kernel threw away because they were not read in time. It is brought up to date with
// each Read.
func (r *Receiver) Drops() uint64 { return r.drops.Load() }

// SetReadDeadline bounds the next Read, which then fails with os.ErrDeadlineExceeded.
func (r *Receiver) SetReadDeadline(t time.Time) error { return r.conn.SetReadDeadline(t) }

// Read waits for datagrams and returns those that are there, at least one. The slice and the data in it are valid until
// the next Read.
func (r *Receiver) Read() ([]Datagram, error) {
	n, err := r.readBatch(r.messages, 0)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		return nil, fmt.Errorf("receive from %s: %w", r.address, err)
	}
	r.out = r.out[:0]
	for i := range r.messages[:n] {
		m := &r.messages[i]
		d := Datagram{Data: m.Buffers[0][:m.N]}
		if a, ok := m.Addr.(*net.UDPAddr); ok {
			from := a.AddrPort()
			d.From = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		}
		r.out = append(r.out, d)
	}
	if n > 0 {
		if m := &r.messages[n-1]; m.NN > 0 && m.NN <= len(m.OOB) {
			r.noteDrops(m.OOB[:m.NN])
		}
	}
	return r.out, nil
}

// noteDrops takes the kernel's counter, which has 32 bits and wraps.
func (r *Receiver) noteDrops(control []byte) {
	if n, ok := dropCount(control); ok {
		r.drops.Add(uint64(n - r.lastDrops))
		r.lastDrops = n
	}
}

// Close leaves the group and ends a Read that waits.
func (r *Receiver) Close() error { return r.conn.Close() }
