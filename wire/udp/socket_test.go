package udp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// listen opens a receiver for the test.
func listen(t testing.TB, a Address) *Receiver {
	t.Helper()
	r, err := Listen(t.Context(), a, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func dial(t testing.TB, d Destination) *Sender {
	t.Helper()
	s, err := Dial(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// texts reads until the text "end" or until nothing comes.
func texts(t *testing.T, r *Receiver, wait time.Duration) (got []string) {
	t.Helper()
	for {
		if err := r.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		batch, err := r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range batch {
			if string(d.Data) == "end" {
				return got
			}
			got = append(got, string(d.Data))
		}
	}
}

func TestUnicast(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ it, local, to string }{
		{"works with IPv4", "127.0.0.1", "127.0.0.1"},
		{"works with IPv6", "::1", "::1"},
		{"takes IPv4 at any address", "::", "127.0.0.1"},
		{"takes IPv6 at any address", "::", "::1"},
		{"takes IPv4 only at 0.0.0.0", "0.0.0.0", "127.0.0.1"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			r := listen(t, Address{Local: netip.AddrPortFrom(ip(tt.local), 0)})
			s := dial(t, Destination{To: netip.AddrPortFrom(ip(tt.to), r.LocalPort()), TTL: 3, DSCP: 46})
			var want []string
			var all [][]byte
			for i := range 100 {
				want = append(want, fmt.Sprint(i))
				all = append(all, []byte(want[i]))
			}
			if err := s.Send(append(all, []byte("end"))...); err != nil {
				t.Fatal(err)
			}
			if got := texts(t, r, 5*time.Second); !slices.Equal(got, want) {
				t.Errorf("got %q; want %q", got, want)
			}
			if asked, granted := r.Buffer(); asked != 1<<20 || granted <= 0 {
				t.Errorf("got buffer %d of %d; want some of %d", granted, asked, 1<<20)
			}
		})
	}
}

func TestReceiverTellsTheSender(t *testing.T) {
	t.Parallel()
	r := listen(t, Address{Local: netip.AddrPortFrom(ip("::"), 0)})
	s := dial(t, Destination{To: netip.AddrPortFrom(ip("127.0.0.1"), r.LocalPort())})
	if err := s.Send([]byte("x")); err != nil {
		t.Fatal(err)
	}
	batch, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := batch[0].From, s.Local(); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func TestReceiverCountsDrops(t *testing.T) {
	t.Parallel()
	r, err := Listen(t.Context(), Address{Local: netip.AddrPortFrom(ip("127.0.0.1"), 0)}, 8<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	s := dial(t, Destination{To: netip.AddrPortFrom(ip("127.0.0.1"), r.LocalPort())})
	const sent = 200
	for range sent {
		if err := s.Send(make([]byte, 1316)); err != nil {
			t.Fatal(err)
		}
	}
	got := len(texts(t, r, 50*time.Millisecond))
	if err := s.Send([]byte("x")); err != nil { // the next datagram tells of those lost before
		t.Fatal(err)
	}
	got += len(texts(t, r, 50*time.Millisecond)) - 1
	if r.Drops() == 0 || got+int(r.Drops()) != sent {
		t.Errorf("got %d datagrams and %d drops; want %d together, and some drops", got, r.Drops(), sent)
	}
}

func TestSenderBearsThatNobodyListens(t *testing.T) {
	t.Parallel()
	r := listen(t, Address{Local: netip.AddrPortFrom(ip("127.0.0.1"), 0)})
	to := netip.AddrPortFrom(ip("127.0.0.1"), r.LocalPort())
	_ = r.Close()
	s := dial(t, Destination{To: to})
	for range 20 {
		if err := s.Send([]byte("a"), []byte("b"), []byte("c")); err != nil {
			t.Fatal(err)
		}
	}
	if s.Refused() == 0 {
		t.Error("got no refusals counted; want some")
	}
}

func TestMulticast(t *testing.T) {
	t.Parallel()
	if !namespace(t) {
		return
	}
	t.Run("keeps groups on one port apart, and shares a group", func(t *testing.T) {
		one := listen(t, Address{Local: netip.MustParseAddrPort("239.1.1.1:5000")})
		same := listen(t, Address{Local: netip.MustParseAddrPort("239.1.1.1:5000"), Interface: "lo"})
		other := listen(t, Address{Local: netip.MustParseAddrPort("239.1.1.2:5000"), Interface: "127.0.0.1"})
		for _, to := range []string{"239.1.1.1:5000", "239.1.1.2:5000"} {
			s := dial(t, Destination{To: netip.MustParseAddrPort(to), TTL: 4})
			if err := s.Send([]byte(to), []byte("end")); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range []*Receiver{one, same, other} {
			want := r.Address().Local.String()
			if got := texts(t, r, time.Second); !slices.Equal(got, []string{want}) {
				t.Errorf("got %q; want %q", got, want)
			}
		}
	})
	t.Run("takes the chosen source only", func(t *testing.T) {
		group := netip.MustParseAddrPort("232.1.1.1:5001")
		right := listen(t, Address{Local: group, Sources: []netip.Addr{ip("127.0.0.2")}, Interface: "lo"})
		wrong := listen(t, Address{Local: group, Sources: []netip.Addr{ip("127.0.0.9")}, Interface: "lo"})
		for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
			s := dial(t, Destination{To: group, Interface: from})
			if err := s.Send([]byte(from)); err != nil {
				t.Fatal(err)
			}
		}
		if got := texts(t, right, 200*time.Millisecond); !slices.Equal(got, []string{"127.0.0.2"}) {
			t.Errorf("got %q; want 127.0.0.2 only", got)
		}
		if got := texts(t, wrong, 50*time.Millisecond); len(got) > 0 {
			t.Errorf("got %q; want nothing", got)
		}
	})
	t.Run("works with IPv6, any source and chosen source", func(t *testing.T) {
		for _, a := range []Address{
			{Local: netip.MustParseAddrPort("[ff15::1]:5002"), Interface: "v0"},
			{Local: netip.MustParseAddrPort("[ff35::1]:5003"), Interface: "v0", Sources: []netip.Addr{ip("fd00::1")}},
		} {
			r := listen(t, a)
			s := dial(t, Destination{To: a.Local, Interface: "v0", TTL: 2, DSCP: 10})
			if err := s.Send([]byte("six"), []byte("end")); err != nil {
				t.Fatal(err)
			}
			if got := texts(t, r, time.Second); !slices.Equal(got, []string{"six"}) {
				t.Errorf("%s: got %q; want six", a, got)
			}
		}
	})
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it   string
		do   func() error
		want string
	}{
		{"names an interface that is not there", func() error {
			_, err := Listen(t.Context(), Address{Local: netip.MustParseAddrPort("239.1.1.1:5000"), Interface: "nix0"}, 0)
			return err
		}, `interface "nix0": there is none of that name`},
		{"names an address that no interface has", func() error {
			_, err := Listen(t.Context(), Address{Local: netip.MustParseAddrPort("239.1.1.1:5000"), Interface: "192.0.2.1"}, 0)
			return err
		}, `interface "192.0.2.1": no interface has this address`},
		{"wants a port for a group", func() error {
			_, err := Listen(t.Context(), Address{Local: netip.MustParseAddrPort("239.1.1.1:0")}, 0)
			return err
		}, "a group needs a port"},
		{"knows that unicast has no chosen sources", func() error {
			_, err := Listen(t.Context(), Address{Local: netip.MustParseAddrPort("127.0.0.1:0"), Sources: []netip.Addr{ip("127.0.0.1")}}, 0)
			return err
		}, "for multicast groups only"},
		{"wants group and source of one family", func() error {
			_, err := Listen(t.Context(), Address{Local: netip.MustParseAddrPort("232.1.1.1:5000"), Interface: "lo", Sources: []netip.Addr{ip("::1")}}, 0)
			return err
		}, "different address families"},
		{"wants an address to listen on", func() error { _, err := Listen(t.Context(), Address{}, 0); return err }, "no address"},
		{"wants a destination", func() error {
			_, err := Dial(t.Context(), Destination{To: netip.MustParseAddrPort("0.0.0.0:5000")})
			return err
		}, "a destination is an address and a port"},
		{"bounds the ttl", func() error {
			_, err := Dial(t.Context(), Destination{To: netip.MustParseAddrPort("127.0.0.1:5000"), TTL: 256})
			return err
		}, "ttl 256"},
		{"bounds the dscp", func() error {
			_, err := Dial(t.Context(), Destination{To: netip.MustParseAddrPort("127.0.0.1:5000"), DSCP: 64})
			return err
		}, "dscp 64"},
		{"wants interface and destination of one family", func() error {
			_, err := Dial(t.Context(), Destination{To: netip.MustParseAddrPort("[::1]:5000"), Interface: "127.0.0.1"})
			return err
		}, "different address families"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			err := tt.do()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
}

// FuzzDropCount feeds control messages.
func FuzzDropCount(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 40, 0, 0, 0, 7, 0, 0, 0})
	f.Add([]byte{16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 40, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) { dropCount(b) })
}

func BenchmarkReceive(b *testing.B) {
	r := listen(b, Address{Local: netip.AddrPortFrom(ip("127.0.0.1"), 0)})
	s := dial(b, Destination{To: netip.AddrPortFrom(ip("127.0.0.1"), r.LocalPort())})
	burst := make([][]byte, batch)
	for i := range burst {
		burst[i] = packets(7, 188)
	}
	var u Unwrapper
	emit := func([]byte, bool) {}
	b.SetBytes(1316)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		b.StopTimer()
		if err := s.Send(burst...); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for got := 0; got < len(burst); {
			batch, err := r.Read()
			if err != nil {
				b.Fatal(err)
			}
			now := time.Now()
			for _, d := range batch {
				u.Push(d.Data, now, emit)
			}
			got += len(batch)
			n += len(batch)
		}
	}
}

func BenchmarkSend(b *testing.B) {
	r := listen(b, Address{Local: netip.AddrPortFrom(ip("127.0.0.1"), 0)})
	s := dial(b, Destination{To: netip.AddrPortFrom(ip("127.0.0.1"), r.LocalPort())})
	burst := make([][]byte, batch)
	for i := range burst {
		burst[i] = packets(7, 188)
	}
	b.SetBytes(1316)
	b.ReportAllocs()
	for n := 0; n < b.N; n += batch {
		if err := s.Send(burst...); err != nil {
			b.Fatal(err)
		}
	}
}
