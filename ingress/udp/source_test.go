package udp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/mpegts"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/udp"
)

func remote(t testing.TB, text string) wire.Remote {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Remote{URL: u, Log: slog.New(slog.DiscardHandler)}
}

// running runs a source until the test ends, and returns its stream.
func running(t *testing.T, shared *Shared, r wire.Remote) *transmux.Stream {
	t.Helper()
	s, err := New(r, shared)
	if err != nil {
		t.Fatal(err)
	}
	stream := transmux.NewStream("it", ring.Limits{})
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, stream.NewWriter(), new(wire.Meter)) }()
	t.Cleanup(func() {
		cancel(wire.ErrDrain)
		if err := <-done; !errors.Is(err, wire.ErrDrain) {
			t.Errorf("got %v; want %v", err, wire.ErrDrain)
		}
	})
	return stream
}

// units waits for n units of video and of audio.
func units(t *testing.T, s *transmux.Stream, n int) map[transmux.Codec]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := make(map[transmux.Codec]int)
	r := s.Reader()
	for got[transmux.H264] < n || got[transmux.AAC] < n {
		au, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("got %v, then %v; want %d units of each track", got, err, n)
		}
		got[au.Track.Codec]++
	}
	return got
}

// whole is how many units a file holds.
func whole(t *testing.T, file []byte) uint64 {
	t.Helper()
	s := transmux.NewStream("it", ring.Limits{})
	d := mpegts.New(s.NewWriter(), mpegts.Options{})
	if err := errors.Join(d.Write(file, time.Time{}), d.Flush()); err != nil {
		t.Fatal(err)
	}
	n, _, _ := s.Stats()
	return n
}

func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed for this test; install the Debian package %s", name, pkg)
	}
	return path
}

// clip makes a second of H.264 and AAC, as a multiplex of two programs.
func clip(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.ts")
	out, err := exec.CommandContext(t.Context(), program(t, "ffmpeg", "ffmpeg"), "-v", "error", "-nostdin",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "1", "-map", "0", "-map", "1", "-map", "0", "-map", "1", "-c:v", "libx264", "-preset", "veryfast", "-g", "12", "-c:a", "aac",
		"-program", "program_num=1:st=0:st=1", "-program", "program_num=2:st=2:st=3", "-muxdelay", "0", file).CombinedOutput()
	if err != nil {
		t.Fatalf("make a clip: %v\n%s", err, out)
	}
	return file
}

// sending lets ffmpeg send a clip again and again until the test ends.
func sending(t *testing.T, clip string, args ...string) {
	t.Helper()
	all := append([]string{"-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", clip, "-map", "0", "-c", "copy",
		"-program", "program_num=1:st=0:st=1", "-program", "program_num=2:st=2:st=3", "-f"}, args...)
	cmd := exec.CommandContext(t.Context(), program(t, "ffmpeg", "ffmpeg"), all...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func TestRealSenders(t *testing.T) {
	t.Parallel()
	if !namespace(t) {
		return
	}
	file := clip(t)
	for _, tt := range []struct {
		it     string
		sender []string
		url    string
	}{
		{"takes unicast", []string{"mpegts", "udp://127.0.0.1:5000?pkt_size=1316"}, "udp://127.0.0.1:5000"},
		{"takes a packet a datagram", []string{"mpegts", "udp://127.0.0.1:5001?pkt_size=188"}, "udp://127.0.0.1:5001"},
		{"takes 64 packets a datagram", []string{"mpegts", "udp://127.0.0.1:5002?pkt_size=12032"}, "udp://:5002"},
		{"takes packets that are cut anywhere", []string{"mpegts", "udp://127.0.0.1:5003?pkt_size=1000"}, "udp://127.0.0.1:5003"},
		{"takes IPv6", []string{"mpegts", "udp://[::1]:5005?pkt_size=1316"}, "udp://[::1]:5005"},
		{"takes RTP", []string{"rtp_mpegts", "rtp://127.0.0.1:5006?pkt_size=1328"}, "rtp://127.0.0.1:5006"},
		{"takes RTP where UDP was said", []string{"rtp_mpegts", "rtp://127.0.0.1:5008?pkt_size=1328"}, "udp://127.0.0.1:5008"},
		{"takes multicast", []string{"mpegts", "udp://239.1.1.1:5010?pkt_size=1316"}, "udp://@239.1.1.1:5010?interface=lo"},
		{"takes multicast from a chosen source", []string{"mpegts", "udp://232.1.1.1:5011?pkt_size=1316&localaddr=127.0.0.2"}, "udp://232.1.1.1:5011?source=127.0.0.2&interface=127.0.0.1"},
		{"takes multicast from a chosen source in VLC's form", []string{"mpegts", "udp://232.1.1.1:5012?pkt_size=1316&localaddr=127.0.0.2"}, "udp://127.0.0.2@232.1.1.1:5012"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			stream := running(t, new(Shared), remote(t, tt.url))
			sending(t, file, tt.sender...)
			units(t, stream, 20)
			if _, _, gaps := stream.Stats(); gaps > 1 { // one for the begin within a packet
				t.Errorf("got %d gaps; want none", gaps)
			}
		})
	}
	for i, form := range []struct{ before, after int }{{4, 0}, {0, 16}} {
		t.Run(fmt.Sprintf("takes packets of %d bytes", 188+form.before+form.after), func(t *testing.T) {
			t.Parallel()
			port := uint16(5040 + i)
			stream := running(t, new(Shared), remote(t, fmt.Sprintf("udp://127.0.0.1:%d", port)))
			to, err := udp.Dial(t.Context(), udp.Destination{To: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = to.Close() }()
			for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C { // until the source is there
				before := to.Refused()
				if err := errors.Join(to.Send(make([]byte, 1)), to.Send(make([]byte, 1))); err != nil {
					t.Fatal(err)
				}
				if to.Refused() == before {
					break
				}
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var datagram []byte
			send := func() {
				if err := to.Send(datagram); err != nil {
					t.Fatal(err)
				}
				datagram = nil
			}
			for p := range slices.Chunk(b, mpegts.PacketSize) {
				datagram = append(append(append(datagram, make([]byte, form.before)...), p...), make([]byte, form.after)...)
				if len(datagram) > 1200 {
					send()
				}
			}
			send()
			units(t, stream, 10)
			// The last picture, which no other follows, comes after a short silence.
			want, got := whole(t, b), uint64(0)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for end := time.Now().Add(10 * time.Second); got < want && time.Now().Before(end); <-tick.C {
				got, _, _ = stream.Stats()
			}
			if got != want {
				t.Errorf("got %d units; want %d, as in the file", got, want)
			}
		})
	}
	t.Run("shares a socket among programs", func(t *testing.T) {
		t.Parallel()
		shared := new(Shared)
		var streams []*transmux.Stream
		for i, settings := range []string{"?program=1", "?program=2", "?program=2"} {
			r := remote(t, "udp://239.1.1.2:5020"+settings)
			if i == 2 {
				var err error
				if r.Tracks, err = transmux.ParseSelection([]string{"audio"}); err != nil {
					t.Fatal(err)
				}
			}
			streams = append(streams, running(t, shared, r))
		}
		sending(t, file, "mpegts", "udp://239.1.1.2:5020?pkt_size=1316")
		for _, s := range streams[:2] {
			units(t, s, 20)
		}
		if a, b := streams[0].Tracks()[0].PID, streams[1].Tracks()[0].PID; a == b {
			t.Errorf("got PID %d for both programs; want two", a)
		}
		if got := streams[2].Tracks(); len(got) != 1 || got[0].Codec != transmux.AAC {
			t.Errorf("got %d tracks; want the audio only", len(got))
		}
		shared.mu.Lock()
		defer shared.mu.Unlock()
		if n := len(shared.sockets); n != 1 {
			t.Errorf("got %d sockets; want 1", n)
		}
	})
	t.Run("gets nothing from a source that was not chosen", func(t *testing.T) {
		t.Parallel()
		s, err := New(remote(t, "udp://232.1.1.1:5030?source=127.0.0.9&interface=lo"), new(Shared))
		if err != nil {
			t.Fatal(err)
		}
		sending(t, file, "mpegts", "udp://232.1.1.1:5030?pkt_size=1316&localaddr=127.0.0.2")
		err = s.Run(t.Context(), transmux.NewStream("it", ring.Limits{}).NewWriter(), new(wire.Meter))
		want := "nothing from 232.1.1.1:5030 from 127.0.0.9 on lo in 10s"
		if !errors.Is(err, wire.ErrIdle) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q", err, want)
		}
	})
}

func TestSocketPrefersOneSender(t *testing.T) {
	t.Parallel()
	var got []byte
	s := new(socket)
	s.setMembers([]*member{{take: func(p []byte, _ time.Time) { got = append(got, p[4]) }}})
	packet := func(mark byte) []byte {
		b := make([]byte, mpegts.PacketSize)
		b[0], b[4] = 0x47, mark
		return b
	}
	zero := time.Unix(0, 0)
	for _, in := range []struct {
		from string
		at   time.Duration
		mark byte
	}{
		{"10.0.0.1:1", 0, 'a'}, {"10.0.0.2:1", 1, 'x'}, {"10.0.0.1:1", 900 * time.Millisecond, 'b'}, {"10.0.0.2:1", 1800 * time.Millisecond, 'y'},
		{"10.0.0.2:1", 1901 * time.Millisecond, 'c'}, {"10.0.0.1:1", 1902 * time.Millisecond, 'z'},
	} {
		s.now = zero.Add(in.at)
		if s.admits(netip.MustParseAddrPort(in.from)) {
			s.unwrap.Push(packet(in.mark), s.now, s.hand)
		}
	}
	if string(got) != "abc" {
		t.Errorf("got %q; want abc", got)
	}
	if n := s.intruders.Load(); n != 3 {
		t.Errorf("got %d of other senders; want 3", n)
	}
}

// Not parallel: a program that is being started by another test holds our sockets for a moment.
func TestSharedIsJoinedAndLeftByMany(t *testing.T) {
	shared := new(Shared)
	free, err := udp.Listen(t.Context(), udp.Address{Local: netip.MustParseAddrPort("127.0.0.1:0")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	a := udp.Address{Local: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), free.LocalPort())}
	_ = free.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				s, m, err := shared.join(t.Context(), a, slog.New(slog.DiscardHandler), func([]byte, time.Time) {})
				if err != nil {
					t.Error(err)
					return
				}
				shared.leave(s, m)
			}
		})
	}
	all.Wait()
	if n := len(shared.sockets); n != 0 {
		t.Errorf("got %d sockets; want none", n)
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ it, url, want, err string }{
		{"takes a group", "udp://239.1.1.1:5000", "239.1.1.1:5000", ""},
		{"takes an interface and sources", "udp://232.1.1.1:5000?interface=eth1&source=10.0.0.1,10.0.0.2", "232.1.1.1:5000 from 10.0.0.1, 10.0.0.2 on eth1", ""},
		{"takes an IPv6 group with a zone", "rtp://[ff02::1%25eth0]:5000", "[ff02::1]:5000 on eth0", ""},
		{"takes any address", "udp://:5000", "[::]:5000", ""},
		{"wants a port", "udp://239.1.1.1", "", "a port is missing"},
		{"knows addresses", "udp://232.1.1.1:5000?source=news", "", `source "news" is not an address`},
		{"wants a group for a source", "udp://10.0.0.1:5000?source=10.0.0.2", "", "for multicast groups only"},
		{"bounds programs", "udp://232.1.1.1:5000?program=70000", "", `program "70000" is not`},
		{"names what it does not know", "udp://232.1.1.1:5000?intreface=eth1", "", `unknown setting "intreface"; there are interface`},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			s, err := New(remote(t, tt.url), new(Shared))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v; want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			a, err := s.address(t.Context())
			if got := fmt.Sprint(a); err != nil || got != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}
