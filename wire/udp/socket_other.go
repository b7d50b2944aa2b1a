//go:build !linux

package udp

import (
	"context"
	"net"
	"syscall"
)

// openReceive leaves buffer and binding to package net: other groups on the port may leak in, and drops are not counted.
func openReceive(ctx context.Context, a Address, _ *net.Interface, bufferSize int) (net.PacketConn, int, error) {
	network := "udp6"
	if a.Local.Addr().Is4() {
		network = "udp4"
	}
	var l net.ListenConfig
	conn, err := l.ListenPacket(ctx, network, a.Local.String())
	if err != nil {
		return nil, 0, err
	}
	granted := bufferSize
	if u, ok := conn.(*net.UDPConn); !ok || u.SetReadBuffer(bufferSize) != nil {
		granted = 0
	}
	return conn, granted, nil
}

// chooseInterface leaves the choice to the address that the socket is bound to.
func chooseInterface(syscall.RawConn, *net.Interface, bool) error { return nil }

func dropCount([]byte) (uint32, bool) { return 0, false }
