package sniff

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// certificate makes a pair of configurations that trust each other.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(100 * 365 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{InsecureSkipVerify: true}
}

// port returns a listener and a function that dials it.
func port(t testing.TB, o Options) (net.Listener, func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return NewListener(l, o), func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

func TestConn(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	for _, tt := range []struct {
		it      string
		options Options
		tls     bool
		say     string
		kind    Kind
		layers  string
		err     string
	}{
		{"takes plain HTTP where there is no TLS", Options{}, false, "GET / HTTP/1.0\r\n", HTTP, "tcp → x", ""},
		{"takes plain RTMP beside TLS", Options{TLS: server}, false, "\x03hello", RTMP, "tcp → x", ""},
		{"takes RTMPE", Options{}, false, "\x06", RTMPE, "tcp → x", ""},
		{"takes a policy request", Options{}, false, "<policy-file-request/>\x00", Policy, "tcp → x", ""},
		{"takes anything else", Options{}, false, "\x00", Unknown, "tcp → x", ""},
		{"takes TLS with HTTP in it", Options{TLS: server}, true, "GET / HTTP/1.0\r\n", HTTP, "tcp → tls → x", ""},
		{"takes TLS with RTMP in it where TLS is required", Options{TLS: server, Require: true}, true, "\x03", RTMP, "tcp → tls → x", ""},
		{"refuses plain connections where TLS is required", Options{TLS: server, Require: true}, false, "\x03", Unknown, "tcp → x", "requires it"},
		{"refuses TLS without certificate", Options{}, false, "\x16\x03\x01", Unknown, "tcp → x", "no certificate"},
		{"refuses what is no TLS after all", Options{TLS: server}, false, "\x16\xff\xff\xff\xff\xff\xff\xff", Unknown, "tcp → x", "tls handshake"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			l, dial := port(t, tt.options)
			peer := dial()
			done := make(chan struct{})
			defer func() { <-done }()
			go func() {
				defer close(done)
				if tt.tls {
					peer = tls.Client(peer, client)
				}
				_, _ = io.WriteString(peer, tt.say)
				_, _ = io.Copy(io.Discard, peer)
			}()
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = accepted.Close() }()
			c := accepted.(*Conn)
			kind, err := c.Sniff()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v; want %q", err, tt.err)
				}
				if _, again := c.Read(make([]byte, 1)); again == nil {
					t.Error("got a byte; want the same error from Read")
				}
				return
			}
			if err != nil || kind != tt.kind {
				t.Fatalf("got %s, %v; want %s", kind, err, tt.kind)
			}
			got := make([]byte, len(tt.say))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != tt.say {
				t.Errorf("got %q, %v; want %q", got, err, tt.say)
			}
			if d := Describe(c, "x"); d != tt.layers {
				t.Errorf("got %q; want %q", d, tt.layers)
			}
			b := net.Buffers{[]byte("one"), []byte("two")}
			if n, err := c.WriteBuffers(&b); n != 6 || err != nil {
				t.Errorf("got %d, %v; want 6", n, err)
			}
			layers := c.Layers()
			if top := layers[len(layers)-1]; top.In != uint64(len(tt.say)) || top.Out != 6 {
				t.Errorf("got %d in, %d out; want %d, 6", top.In, top.Out, len(tt.say))
			}
			in, out := c.Bytes()
			if tt.tls && (in <= uint64(len(tt.say)) || out <= 6) {
				t.Errorf("got %d in, %d out; want more than the text below TLS", in, out)
			}
			if _, err := c.SyscallConn(); (err == nil) == tt.tls {
				t.Errorf("got %v; want a raw socket only without TLS", err)
			}
		})
	}
}

func TestConnDeadlines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it   string
		set  time.Duration // by the session, before it reads; 0 is none
		want time.Duration
	}{
		{"waits ten seconds for the first byte", 0, 10 * time.Second},
		{"waits no longer when the session would", time.Minute, 10 * time.Second},
		{"waits less when the session wants", time.Second, time.Second},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				defer func() { _ = b.Close() }()
				c := NewConn(a, Options{})
				defer func() { _ = c.Close() }()
				begin := time.Now()
				if tt.set > 0 {
					_ = c.SetReadDeadline(begin.Add(tt.set))
				}
				_, err := c.Read(make([]byte, 1))
				if got := time.Since(begin); got != tt.want || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v after %s; want a timeout after %s", err, got, tt.want)
				}
			})
		})
	}
	t.Run("restores the session's deadline after the first byte", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer func() { _ = b.Close() }()
			c := NewConn(a, Options{})
			defer func() { _ = c.Close() }()
			begin := time.Now()
			_ = c.SetDeadline(begin.Add(time.Minute))
			go func() { _, _ = b.Write([]byte("x")) }()
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Read(make([]byte, 1))
			if got := time.Since(begin); got != time.Minute || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v after %s; want a timeout after 1m", err, got)
			}
		})
	})
	t.Run("bounds a handshake that trickles", func(t *testing.T) {
		t.Parallel()
		server, _ := certificate(t)
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			c := NewConn(a, Options{TLS: server})
			begin := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, v := range []byte{0x16, 3, 1, 2, 0, 1, 0, 1} {
					_, _ = b.Write([]byte{v})
					time.Sleep(3 * time.Second)
				}
			}()
			err := c.Start()
			if got := time.Since(begin); err == nil || got != 10*time.Second {
				t.Errorf("got %v after %s; want an error after 10s", err, got)
			}
			_ = c.Close()
			_ = b.Close()
			<-done
		})
	})
}

func TestConnIsClosedWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer func() { _ = b.Close() }()
		c := NewConn(a, Options{})
		done := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		_ = c.Close()
		if err := <-done; err == nil {
			t.Error("got a byte; want an error")
		}
	})
}

func TestSplitter(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSplitter(l, Options{})
	web, media := s.For(HTTP), s.For(RTMP, RTMPE)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	send := func(text string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, text)
		return c
	}
	silent := send("")
	for _, tt := range []struct {
		text string
		way  net.Listener
	}{{"GET", web}, {"\x03rtmp", media}, {"\x06rtmpe", media}} {
		send(tt.text)
		c, err := tt.way.Accept()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(tt.text))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != tt.text {
			t.Errorf("got %q, %v; want %q", got, err, tt.text)
		}
		_ = c.Close()
	}
	for _, c := range []net.Conn{send("\x00unknown")} {
		if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("got %v; want a closed connection", err)
		}
	}
	_ = media.Close()
	if _, err := io.ReadAll(send("\x03late")); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("got %v; want a closed connection", err)
	}
	why := errors.New("why")
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v; want %v", err, why)
	}
	if _, err := web.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v; want %v", err, net.ErrClosed)
	}
	_ = silent.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v; want the silent connection closed", err)
	}
}

// FuzzConn feeds what a peer says first: with and without TLS on offer, everything that is taken comes out as it went in.
func FuzzConn(f *testing.F) {
	server, client := certificate(f)
	hello := new(bytes.Buffer)
	a, b := net.Pipe()
	go func() { _ = tls.Client(a, client).Handshake() }()
	_, _ = io.CopyN(hello, b, 200)
	_ = a.Close()
	f.Add(hello.Bytes(), true)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), false)
	f.Add([]byte{3}, true)
	f.Fuzz(func(t *testing.T, said []byte, offer bool) {
		a, b := net.Pipe()
		o := Options{}
		if offer {
			o.TLS = server
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			go func() { _, _ = io.Copy(io.Discard, b) }()
			_, _ = b.Write(said)
			_ = b.Close()
		}()
		c := NewConn(a, o)
		got, err := io.ReadAll(c)
		_ = c.Close()
		<-done
		if err == nil && len(said) > 0 && said[0] != 0x16 && !bytes.Equal(got, said) {
			t.Errorf("got %q; want %q", got, said)
		}
	})
}
