package udp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openReceive makes the socket by hand, because package net binds a group's port on all addresses.
func openReceive(_ context.Context, a Address, ifi *net.Interface, bufferSize int) (net.PacketConn, int, error) {
	ip := a.Local.Addr()
	family := unix.AF_INET6
	if ip.Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "udp")
	defer func() { _ = f.Close() }() // FilePacketConn works on a copy
	if err := setReceiveOptions(fd, a, ifi); err != nil {
		return nil, 0, err
	}
	granted, err := setBuffer(fd, bufferSize)
	if err != nil {
		return nil, 0, err
	}
	if err := unix.Bind(fd, socketAddress(a.Local, ifi)); err != nil {
		return nil, 0, os.NewSyscallError("bind", err)
	}
	conn, err := net.FilePacketConn(f)
	return conn, granted, err
}

func setReceiveOptions(fd int, a Address, ifi *net.Interface) error {
	ip := a.Local.Addr()
	type option struct {
		level, name, value int
		what               string
	}
	options := []option{
		{unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1, "SO_RXQ_OVFL"},
	}
	switch {
	case ip.IsMulticast():
		options = append(options, option{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, "SO_REUSEADDR"})
		// Without this a socket is given every group that anybody on this machine has joined.
		if ip.Is4() {
			options = append(options, option{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL"})
		} else {
			options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL"})
		}
	case ip == netip.IPv6Unspecified():
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0, "IPV6_V6ONLY"})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt "+o.what, err)
		}
	}
	if ifi != nil && !ip.IsMulticast() && ip.IsUnspecified() {
		if err := unix.BindToDevice(fd, ifi.Name); err != nil {
			return fmt.Errorf("bind to interface %s: %w", ifi.Name, err)
		}
	}
	return nil
}

// setBuffer asks for a receive buffer, beyond the system's limit if we may, and returns what the kernel granted.
func setBuffer(fd, size int) (int, error) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size); err != nil {
			return 0, os.NewSyscallError("setsockopt SO_RCVBUF", err)
		}
	}
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return n / 2, os.NewSyscallError("getsockopt SO_RCVBUF", err) // the kernel reports twice what it grants
}

func socketAddress(a netip.AddrPort, ifi *net.Interface) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if ifi != nil && (a.Addr().IsLinkLocalUnicast() || a.Addr().IsLinkLocalMulticast()) {
		sa.ZoneId = uint32(ifi.Index)
	}
	return sa
}

// chooseInterface sets the interface for groups. It must be known before the socket is connected, because that looks for
// a route.
func chooseInterface(c syscall.RawConn, ifi *net.Interface, is4 bool) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		if is4 {
			failed = unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(ifi.Index)})
			return
		}
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, ifi.Index)
	})
	if err == nil {
		err = os.NewSyscallError("setsockopt IP_MULTICAST_IF", failed)
	}
	return err
}

// dropCount finds the counter of SO_RXQ_OVFL among the control messages of a datagram.
func dropCount(control []byte) (uint32, bool) {
	for len(control) >= unix.SizeofCmsghdr {
		// The length has the machine's word size, the two fields after it are 32 bits wide.
		const word = unix.SizeofCmsghdr - 8
		length := int(binary.NativeEndian.Uint32(control))
		if word == 8 {
			length = int(min(binary.NativeEndian.Uint64(control), uint64(len(control))))
		}
		level := int32(binary.NativeEndian.Uint32(control[word:]))
		kind := int32(binary.NativeEndian.Uint32(control[word+4:]))
		if length < unix.SizeofCmsghdr || length > len(control) {
			return 0, false
		}
		if level == unix.SOL_SOCKET && kind == unix.SO_RXQ_OVFL && length >= unix.SizeofCmsghdr+4 {
			return binary.NativeEndian.Uint32(control[unix.SizeofCmsghdr:]), true
		}
		control = control[min(unix.CmsgSpace(length-unix.SizeofCmsghdr), len(control)):]
	}
	return 0, false
}
