package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// A Destination is where datagrams are sent.
type Destination struct {
	To        netip.AddrPort
	Interface string // name or address of the interface to send from; empty leaves it to the routing table
	TTL       int    // hops, 1 to 255; 0 is 1 for groups as RFC 1112 wants, else the system's default
	DSCP      int    // differentiated services code point, 0 to 63 (RFC 2474)
}

// A Sender is a socket connected to one destination. Send belongs to one goroutine; Close may be called from any.
type Sender struct {
	to         netip.AddrPort
	conn       *net.UDPConn
	writeBatch func([]ipv4.Message, int) (int, error) // ipv6.Message is the same type
	messages   []ipv4.Message
	refused    atomic.Uint64
}

// Dial opens a socket to d.
func Dial(ctx context.Context, d Destination) (*Sender, error) {
	d.To = netip.AddrPortFrom(d.To.Addr().Unmap(), d.To.Port())
	if err := d.check(); err != nil {
		return nil, err
	}
	ifi, err := Interface(d.Interface)
	if err != nil {
		return nil, err
	}
	dst := d.To.Addr()
	dialer := net.Dialer{}
	if ifi != nil {
		src, err := sourceAddress(ifi, d.Interface, dst)
		if err != nil {
			return nil, err
		}
		local := &net.UDPAddr{IP: src.AsSlice()}
		if src.IsLinkLocalUnicast() && src.Is6() {
			local.Zone = ifi.Name
		}
		dialer.LocalAddr = local
		if dst.Is6() && dst.Zone() == "" && (dst.IsLinkLocalUnicast() || dst.IsLinkLocalMulticast() || dst.IsInterfaceLocalMulticast()) {
			d.To = netip.AddrPortFrom(dst.WithZone(ifi.Name), d.To.Port())
		}
	}
	if ifi != nil && d.To.Addr().IsMulticast() {
		dialer.Control = func(_, _ string, c syscall.RawConn) error { return chooseInterface(c, ifi, dst.Is4()) }
	}
	conn, err := dialer.DialContext(ctx, "udp", d.To.String())
	if err != nil {
		return nil, fmt.Errorf("send to %s: %w", d.To, err)
	}
	s := &Sender{to: d.To, conn: conn.(*net.UDPConn), messages: make([]ipv4.Message, batch)}
	if err := s.setUp(d); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("send to %s: %w", d.To, err)
	}
	for i := range s.messages {
		s.messages[i].Buffers = make([][]byte, 1)
	}
	return s, nil
}

func (d Destination) check() error {
	switch {
	case !d.To.IsValid() || d.To.Port() == 0 || d.To.Addr().IsUnspecified():
		return fmt.Errorf("send to %q: a destination is an address and a port", d.To)
	case d.TTL < 0 || d.TTL > 255:
		return fmt.Errorf("send to %s: ttl %d is not between 1 and 255", d.To, d.TTL)
	case d.DSCP < 0 || d.DSCP > 63:
		return fmt.Errorf("send to %s: dscp %d is not between 0 and 63", d.To, d.DSCP)
	}
	return nil
}

// setUp sets what the socket cannot be opened with, and finds the way to write batches.
func (s *Sender) setUp(d Destination) error {
	var errs []error
	set := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("set %s: %w", what, err))
		}
	}
	multicast := d.To.Addr().IsMulticast()
	if d.To.Addr().Is4() {
		p := ipv4.NewPacketConn(s.conn)
		s.writeBatch = p.WriteBatch
		if multicast {
			set("multicast ttl", p.SetMulticastTTL(max(d.TTL, 1)))
			set("multicast loop", p.SetMulticastLoopback(true))
		} else if d.TTL > 0 {
			set("ttl", p.SetTTL(d.TTL))
		}
		if d.DSCP > 0 {
			set("dscp", p.SetTOS(d.DSCP<<2))
		}
		return errors.Join(errs...)
	}
	p := ipv6.NewPacketConn(s.conn)
	s.writeBatch = p.WriteBatch
	if multicast {
		set("multicast hop limit", p.SetMulticastHopLimit(max(d.TTL, 1)))
		set("multicast loop", p.SetMulticastLoopback(true))
	} else if d.TTL > 0 {
		set("hop limit", p.SetHopLimit(d.TTL))
	}
	if d.DSCP > 0 {
		set("dscp", p.SetTrafficClass(d.DSCP<<2))
	}
	return errors.Join(errs...)
}

// Local is the address that datagrams are sent from.
func (s *Sender) Local() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Refused counts how often the destination answered that nobody listens there. That is no error: a receiver may come.
func (s *Sender) Refused() uint64 { return s.refused.Load() }

// Send sends datagrams, with one system call for up to 32 of them.
func (s *Sender) Send(datagrams ...[]byte) error {
	failures := 0
	for len(datagrams) > 0 {
		n := min(len(datagrams), len(s.messages))
		for i, d := range datagrams[:n] {
			s.messages[i].Buffers[0] = d
		}
		sent, err := s.writeBatch(s.messages[:n], 0)
		sent = max(sent, 0)
		datagrams = datagrams[sent:]
		if err == nil {
			failures = 0
			continue
		}
		// A refusal belongs to a datagram sent before; the kernel tells it once and sends none meanwhile.
		if !errors.Is(err, syscall.ECONNREFUSED) || failures > len(datagrams)+batch {
			return fmt.Errorf("send to %s: %w", s.to, err)
		}
		failures++
		s.refused.Add(1)
	}
	return nil
}

// Close closes the socket.
func (s *Sender) Close() error { return s.conn.Close() }
