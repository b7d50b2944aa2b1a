package rtsp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"weir/wire"
)

// pair is a TCP connection on loopback.
func pair(t *testing.T) (here *Conn, there net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	there, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); there.Close() })
	return NewConn(c), there
}

func TestWriteAll(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	var list net.Buffers
	var want []byte
	for i := range 3000 {
		b := bytes.Repeat([]byte{byte(i)}, 20)
		list, want = append(list, b), append(want, b...)
	}
	go func() {
		here.WriteAll(list)
		here.Conn.Close()
	}()
	got, err := io.ReadAll(there)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v; want %d", len(got), err, len(want))
	}
}

func TestTCPWriterMapsChannels(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	w := NewTCPWriter(here, []int{0, -1, 10})
	err := w.WriteFrames([][]byte{{'$', 0, 0, 1, 'a'}, {'$', 2, 0, 1, 'b'}, {'$', 4, 0, 1, 'c'}, {'$', 5, 0, 1, 'd'}, {'$', 9, 0, 1, 'e'}, {'x'}})
	if err != nil {
		t.Fatal(err)
	}
	here.Conn.Close()
	got, _ := io.ReadAll(there)
	want := "$\x00\x00\x01a$\x0a\x00\x01c$\x0b\x00\x01d"
	if string(got) != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	here, _ := pair(t)
	done := make(chan error, 1)
	go func() { done <- here.WriteAll(net.Buffers{make([]byte, 64<<20)}) }() // nobody reads it
	here.Interrupt()
	if err := <-done; err == nil || errors.Is(err, wire.ErrSlow) {
		t.Errorf("got %v; want that it was interrupted, and not by slowness", err)
	}
}

func TestListenerOutlivesItsSocket(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{Listener: ln, ctx: ctx}
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	ln.Close()
	select {
	case err := <-done:
		t.Fatalf("got %v; want that it waits for the server", err)
	case <-time.After(100 * time.Millisecond):
	}
	cancel()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v; want %v", err, net.ErrClosed)
	}
}

func TestNewBindsPairs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		it, udp string
		ok      bool
	}{
		{"it takes any pair", "", true},
		{"it has none if told so", "off", true},
		{"it refuses an odd port", "127.0.0.1:22801", false},
		{"it refuses what is no port", "x", false},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			s, err := New(Config{Address: "127.0.0.1:0", UDP: test.udp})
			if (err == nil) != test.ok {
				t.Fatalf("got %v; want %v", err, test.ok)
			}
			if err != nil {
				return
			}
			defer s.Close()
			if p := s.UDPPort(); p%2 != 0 || (p == 0) != (test.udp == "off") {
				t.Errorf("got port %d", p)
			}
		})
	}
	if _, err := New(Config{Address: "127.0.0.1:0", RequireTLS: true}); err == nil {
		t.Error("got no error without a certificate; want one")
	}
}
