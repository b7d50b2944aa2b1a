package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"weir/test/units"
)

// TestForgetful proves, without weir, what ffmpeg never sends at the end of a stream in RTP: some frames of audio that it
// gathers for one packet. The tails in waysIn are no larger.
func TestForgetful(t *testing.T) {
	t.Parallel()
	c := contents[0]
	mov, err := c.clip()
	if err != nil {
		t.Fatal(err)
	}
	ts, err := c.as("ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		it, reference string
		tail          map[string]int
		noDTS         bool
		play          func(t *testing.T, port int) *player
		out           []string
	}{
		{"rtsp over tcp", mov, forgottenFrames, true, announced, []string{"-f", "rtsp", "-rtsp_transport", "tcp", "rtsp://127.0.0.1:%d/in"}},
		{"rtsp over udp", mov, forgottenFrames, true, announced, []string{"-f", "rtsp", "-rtsp_transport", "udp", "rtsp://127.0.0.1:%d/in"}},
		{"transport stream in rtp", ts, forgottenPackets, false, unpacked, []string{"-f", "rtp_mpegts", "rtp://127.0.0.1:%d?pkt_size=1328"}},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			source, err := c.units(test.reference)
			if err != nil {
				t.Fatal(err)
			}
			port := ports(2)
			p := test.play(t, port)
			if err := p.start(t); err != nil {
				t.Fatal(err)
			}
			if test.noDTS && !poll(10*time.Second, func() bool { return bound(port) }) {
				t.Fatal("ffprobe does not listen")
			}
			last := len(test.out) - 1
			out := append(append([]string(nil), test.out[:last]...), fmt.Sprintf(test.out[last], port))
			if err := publish(t, c, false, out...).wait(30 * time.Second); err != nil {
				t.Fatal(err)
			}
			got, err := p.finish(c, 2*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if !test.noDTS {
				isAudio := func(u units.Unit) bool { return u.Kind == units.Audio }
				slices.Reverse(got)
				last := slices.IndexFunc(got, isAudio) // it is cut
				got = slices.Delete(got, max(last, 0), last+1)
				slices.Reverse(got)
			}
			if r := units.Compare(source, got, units.Rule{PTSOnly: test.noDTS, Tail: test.tail, Spread: 25 * time.Microsecond}); !r.Equal() {
				t.Errorf("it sends all but the tail: got %s; want equal", r)
			}
			if r := units.Compare(source, got, units.Rule{PTSOnly: test.noDTS, Spread: 25 * time.Microsecond}); r.Equal() {
				t.Errorf("it forgets the end: got %s; want something missing, or else no tail in waysIn", r)
			}
		})
	}
}

// announced is ffprobe as the server to which somebody announces.
func announced(t *testing.T, port int) *player {
	return &player{name: "ffprobe", file: filepath.Join(scratch(t), "probe"), printed: true,
		args: ffprobe(fmt.Sprintf("rtsp://127.0.0.1:%d/in", port), "-rtsp_flags", "listen", "-timeout", "30")}
}

// unpacked writes what RTP packets hold.
func unpacked(t *testing.T, port int) *player {
	path := filepath.Join(scratch(t), "unpacked.ts")
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer file.Close()
		for b := make([]byte, 2048); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			file.Write(b[min(n, 12):n])
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return &player{name: "a socket", file: path, external: true}
}
