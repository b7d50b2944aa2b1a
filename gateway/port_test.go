package gateway

import (
	"net"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestPort(t *testing.T) {
	t.Parallel()
	var refused atomic.Int32
	p, err := bind("test", "127.0.0.1:0", func() { refused.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	p.slots = make(chan struct{}, 1)
	accepted := make(chan net.Conn)
	ends := make(chan error, 1)
	go func() {
		for {
			c, err := p.Accept()
			if err != nil {
				ends <- err
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := dial()
	server := <-accepted
	if _, ok := server.(syscall.Conn); !ok {
		t.Error("got a connection that lends no socket; want one that does")
	}
	b := dial()
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("got a connection above the bound; want it closed")
	}
	_ = server.Close()
	_ = server.Close()
	c := dial()
	server = <-accepted
	if n := refused.Load(); n != 1 {
		t.Errorf("got %d refused; want 1", n)
	}
	p.stop()
	if _, err := net.Dial("tcp", p.Addr().String()); err == nil {
		t.Error("got a connection after stop; want none")
	}
	select {
	case err := <-ends:
		t.Errorf("got Accept ended by stop with %v; want it to wait for Close", err)
	default:
	}
	if _, err := server.Write([]byte{1}); err != nil {
		t.Errorf("got %v; want connections to live on", err)
	}
	_ = p.Close()
	wantErr(t, <-ends, net.ErrClosed)
	for _, c := range []net.Conn{a, b, c, server} {
		c.Close()
	}
}
