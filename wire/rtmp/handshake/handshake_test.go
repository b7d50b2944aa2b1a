package handshake

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// pair is one end of a scripted conversation: it reads in, and keeps what is written.
type pair struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (p *pair) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p *pair) Write(b []byte) (int, error) { return p.out.Write(b) }

// c1 makes a C1 of a client of the given scheme; -1 is the simple form.
func c1(scheme int, seed byte) []byte {
	p := make([]byte, Size)
	for i := 8; i < Size; i++ {
		p[i] = byte(i)*31 + seed
	}
	if scheme >= 0 {
		copy(p[4:], playerVersion)
		Sign(p, Scheme(scheme), false)
	}
	return p
}

func script(version byte, parts ...[]byte) *pair {
	return &pair{in: bytes.NewReader(append([]byte{version}, bytes.Join(parts, nil)...))}
}

func TestServer(t *testing.T) {
	t.Parallel()
	damaged := c1(0, 3)
	damaged[40] ^= 0xff
	damaged[800] ^= 0xff
	tests := []struct {
		it     string
		c1     []byte
		strict bool
		scheme int // of the answer; -1 is an echo
		err    error
	}{
		{"echoes a simple C1", c1(-1, 0), false, -1, nil},
		{"answers a digest of scheme 0", c1(0, 1), false, 0, nil},
		{"answers a digest of scheme 1", c1(1, 2), true, 1, nil},
		{"echoes a C1 whose digest is wrong", damaged, false, -1, nil},
		{"refuses a wrong digest when it is strict", damaged, true, 0, ErrDigest},
		{"refuses a simple C1 when it is strict", c1(-1, 0), true, 0, ErrDigest},
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			p := script(Plain, tt.c1, make([]byte, Size), []byte("next"))
			if err := Server(p, tt.strict); !errors.Is(err, tt.err) {
				t.Fatalf("got %v; want %v", err, tt.err)
			}
			if tt.err != nil {
				return
			}
			if got := p.in.Len(); got != 4 {
				t.Errorf("got %d bytes left to read; want the 4 that follow C2", got)
			}
			s := p.out.Bytes()
			if len(s) != 1+2*Size || s[0] != Plain {
				t.Fatalf("got %d bytes of version %d; want %d of version %d", len(s), s[0], 1+2*Size, Plain)
			}
			s1, s2 := s[1:1+Size], s[1+Size:]
			if tt.scheme < 0 {
				if !bytes.Equal(s2, tt.c1) {
					t.Error("got another S2; want the echo of C1")
				}
				return
			}
			if scheme, _, ok := Find(s1, true); !ok || int(scheme) != tt.scheme {
				t.Errorf("got scheme %d, %v; want %d", scheme, ok, tt.scheme)
			}
			_, digest, _ := Find(tt.c1, false)
			if !Answered(s2, digest, true) {
				t.Error("got an S2 that does not answer C1; want one that does")
			}
		})
	}
}

func TestServerRefusesOtherVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[byte]error{0: ErrNotRTMP, 6: ErrEncrypted, 8: ErrEncrypted, 9: ErrEncrypted, 'G': ErrNotRTMP, 0x16: io.ErrUnexpectedEOF, 3: io.ErrUnexpectedEOF} {
		if err := Server(script(version, make([]byte, 10)), false); !errors.Is(err, want) {
			t.Errorf("version %d: got %v; want %v", version, err, want)
		}
	}
}

func TestClientAndServerMeet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		done := make(chan error)
		go func() { done <- Client(a) }()
		if err := Server(b, true); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestServerObeysTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		go func() { _, _ = a.Write([]byte{Plain, 0, 0}) }()
		if err := b.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := Server(b, false); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v; want a timeout", err)
		}
	})
}

func TestClient(t *testing.T) {
	t.Parallel()
	signed := make([]byte, Size)
	copy(signed[4:], serverVersion)
	digest := bytes.Clone(Sign(signed, 1, true))
	simple := c1(-1, 9)
	odd := bytes.Clone(simple)
	copy(odd[4:], serverVersion)
	tests := []struct {
		it    string
		s1    []byte
		check func(c2 []byte) bool
	}{
		{"answers a server's digest", signed, func(c2 []byte) bool { return Answered(c2, digest, false) }},
		{"echoes a simple server", simple, func(c2 []byte) bool { return bytes.Equal(c2, simple) }},
		{"echoes a server that has a version and no digest", odd, func(c2 []byte) bool { return bytes.Equal(c2, odd) }},
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			p := script(Plain, tt.s1, make([]byte, Size))
			if err := Client(p); err != nil {
				t.Fatal(err)
			}
			c := p.out.Bytes()
			if _, _, ok := Find(c[1:1+Size], false); !ok {
				t.Error("got a C1 without digest; want one")
			}
			if !tt.check(c[1+Size:]) {
				t.Error("got another C2; want the answer to S1")
			}
		})
	}
	if err := Client(script(6)); !errors.Is(err, ErrNotRTMP) {
		t.Errorf("got %v; want %v", err, ErrNotRTMP)
	}
}

func TestKeyAtStaysInside(t *testing.T) {
	t.Parallel()
	p := bytes.Repeat([]byte{0xff}, Size)
	for s := range Scheme(2) {
		if at := s.KeyAt(p); at < 8 || at+128 > Size {
			t.Errorf("scheme %d: got key at %d; want it inside the packet", s, at)
		}
		if at := s.DigestAt(p); at < 8 || at+digestSize > Size {
			t.Errorf("scheme %d: got digest at %d; want it inside the packet", s, at)
		}
	}
}

func FuzzServer(f *testing.F) {
	for _, scheme := range []int{-1, 0, 1} {
		f.Add(append(append([]byte{Plain}, c1(scheme, 5)...), make([]byte, Size)...))
	}
	f.Add([]byte{6})
	f.Fuzz(func(t *testing.T, in []byte) {
		p := &pair{in: bytes.NewReader(in)}
		err := Server(p, false)
		if err == nil && p.out.Len() != 1+2*Size {
			t.Fatalf("got %d bytes of answer; want %d", p.out.Len(), 1+2*Size)
		}
		_ = Client(&pair{in: bytes.NewReader(in)})
	})
}
