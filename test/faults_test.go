package test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/test/units"
)

// TestFaults does to every port what must not be done, while one good player watches the built-in camera. At the end the
// good player has every unit, in time.
func TestFaults(t *testing.T) {
	t.Parallel()
	g := runGateway(t, `users: {studio: right, guest: other}
access:
  - {allow: publish, name: "live/*", user: [studio, guest]}
  - allow: play
sources:
  demo/camera: "demo:"
  tv/in: udp://127.0.0.1:PORT
`)
	g.live(t, "demo/camera")
	dir := scratch(t)
	good := &player{name: "curl", file: dir + "/good.flv", args: []string{"curl", "-sSN", "-o", dir + "/good.flv", g.fill("http://127.0.0.1:HTTP/demo/camera.flv")}}
	if err := good.start(t); err != nil {
		t.Fatal(err)
	}
	keep := func(c net.Conn) { t.Cleanup(func() { c.Close() }) } // open to the end of the whole test
	t.Run("attacks", func(t *testing.T) {
		for name, port := range map[string]int{"rtmp": 0, "rtsp": 1, "http": 2, "admin": 3} {
			addr := fmt.Sprintf("127.0.0.1:%d", g.base+port)
			for it, attack := range attacks {
				t.Run(name+"/"+it, func(t *testing.T) {
					t.Parallel()
					attack(t, addr, keep)
				})
			}
		}
		t.Run("udp/random bytes", func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", g.base+4))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for n := range 200 {
				c.Write(noise(n * 7))
				c.Write(append([]byte{0x47}, noise(187)...))
				c.Write(append([]byte{0x80, 33, byte(n >> 8), byte(n)}, noise(1324)...))
			}
		})
		for _, c := range []struct {
			it, want string
			out      []string
		}{
			{"rtmp", "wrong", []string{"-f", "flv", g.fill("rtmp://127.0.0.1:RTMP/live/guarded?user=studio&pass=wrong")}},
			{"rtsp", "wrong", []string{"-f", "rtsp", "-rtsp_transport", "tcp", g.fill("rtsp://studio:wrong@127.0.0.1:RTSP/live/guarded")}},
			{"http", "wrong", []string{"-f", "flv", "-method", "POST", g.fill("http://studio:wrong@127.0.0.1:HTTP/live/guarded.flv")}},
			{"nobody", "", []string{"-f", "flv", g.fill("rtmp://127.0.0.1:RTMP/live/guarded")}},
		} {
			t.Run("wrong password/"+c.it, func(t *testing.T) {
				t.Parallel()
				p := publish(t, contents[0], false, c.out...)
				if err := p.wait(20 * time.Second); err == nil {
					t.Errorf("it refuses a wrong password: ffmpeg got no error; want one")
				}
				g.says(t, "live/guarded", c.want)
			})
		}
	})
	if got := status(g.fill("http://127.0.0.1:HTTP/demo/camera.flv")); got != 200 {
		t.Errorf("it still plays: got %d; want 200", got)
	}
	source, err := demoUnits()
	if err != nil {
		t.Fatal(err)
	}
	got, err := good.finish(contents[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	if r := units.Compare(source, got[:min(len(got), 20*65)], units.Rule{Open: true, Spread: time.Millisecond}); !r.Equal() {
		t.Errorf("others notice nothing: got %s; want equal", r)
	}
	if said := g.process.log.String(); strings.Contains(said, "panic") || strings.Contains(said, "goroutine ") {
		t.Errorf("it never panics: got %s", tail(said))
	}
}

// noise is n bytes, the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1: byte(n)}).Read(b)
	return b
}

// attacks are things that are done to a TCP port. Each returns when the port has hung up or had time to.
var attacks = map[string]func(t *testing.T, addr string, keep func(net.Conn)){
	"random bytes": func(t *testing.T, addr string, keep func(net.Conn)) {
		for i := range 8 {
			c := dial(t, addr)
			c.Write(noise(3000 + i))
			drain(c, time.Second)
		}
	},
	"rtmp noise after a good start": func(t *testing.T, addr string, keep func(net.Conn)) {
		c := dial(t, addr)
		c.Write(append([]byte{3}, make([]byte, 1536)...))
		c.Write(make([]byte, 1536))
		c.Write(bytes.Repeat(noise(4096), 16))
		drain(c, 2*time.Second)
	},
	"half open": func(t *testing.T, addr string, keep func(net.Conn)) {
		for range 30 { // silence
			c, err := net.DialTimeout("tcp", addr, 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			keep(c)
		}
	},
	"a byte at a time": func(t *testing.T, addr string, keep func(net.Conn)) {
		c := dial(t, addr)
		for _, b := range []byte("GET / HT") {
			c.Write([]byte{b})
			drain(c, 200*time.Millisecond)
		}
	},
	"endless header": func(t *testing.T, addr string, keep func(net.Conn)) {
		c := dial(t, addr)
		c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		c.Write([]byte("OPTIONS rtsp://x/ RTSP/1.0\r\n"))
		for range 2000 {
			if _, err := c.Write(bytes.Repeat([]byte("X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), 20)); err != nil {
				return
			}
		}
		if drain(c, 5*time.Second) {
			return
		}
		t.Error("it hangs up on an endless header: got an open connection; want it closed")
	},
	"http": func(t *testing.T, addr string, keep func(net.Conn)) {
		c := dial(t, addr)
		fmt.Fprintf(c, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
		drain(c, time.Second)
	},
	"rtsp": func(t *testing.T, addr string, keep func(net.Conn)) {
		c := dial(t, addr)
		fmt.Fprintf(c, "DESCRIBE rtsp://x/../../etc RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999999\r\n\r\n")
		drain(c, time.Second)
	},
	"tls": func(t *testing.T, addr string, keep func(net.Conn)) {
		c := tls.Client(dial(t, addr), &tls.Config{InsecureSkipVerify: true})
		c.SetDeadline(time.Now().Add(2 * time.Second))
		c.Handshake()
	},
}

// dial connects; the connection is closed when the test ends.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// drain reads until the peer hangs up or d is over, and reports whether it hung up.
func drain(c net.Conn, d time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			timeout, ok := err.(net.Error)
			return !ok || !timeout.Timeout()
		}
	}
}

// TestReplacedPublisher: the same user takes his stream over, another does not, and players stay.
func TestReplacedPublisher(t *testing.T) {
	t.Parallel()
	g := runGateway(t, `users: {studio: right, guest: other}
access:
  - {allow: publish, name: "live/*", user: [studio, guest]}
  - allow: play
`)
	first := publish(t, contents[0], true, "-f", "flv", g.fill("rtmp://127.0.0.1:RTMP/live/show?user=studio&pass=right"))
	g.live(t, "live/show")
	dir := scratch(t)
	p := &player{name: "curl", file: dir + "/a.flv", args: []string{"curl", "-sSN", "-o", dir + "/a.flv", g.fill("http://127.0.0.1:HTTP/live/show.flv")}}
	if err := p.start(t); err != nil {
		t.Fatal(err)
	}
	guest := publish(t, contents[0], true, "-f", "flv", g.fill("rtmp://127.0.0.1:RTMP/live/show?user=guest&pass=other"))
	if err := guest.wait(20 * time.Second); err == nil {
		t.Error("it refuses another user: got no error; want one")
	}
	g.says(t, "live/show", "already live")
	second := publish(t, contents[0], true, "-f", "flv", g.fill("rtmp://127.0.0.1:RTMP/live/show?user=studio&pass=right"))
	if err := first.wait(20 * time.Second); err == nil {
		t.Error("it ends the publisher before: got no error; want one")
	}
	select {
	case <-p.process.done:
		t.Error("it keeps players: got the player ended; want it to stay")
	case <-second.done:
		t.Errorf("it takes the new publisher: got it ended: %s", second.log.String())
	case <-time.After(3 * time.Second):
	}
	got, err := p.finish(contents[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range got {
		if i > 0 && u.Kind == got[i-1].Kind && u.DTS < got[i-1].DTS {
			t.Errorf("time goes on: got DTS %v after %v", u.DTS, got[i-1].DTS)
		}
	}
	if last := got[len(got)-1].DTS - got[0].DTS; last < 3*time.Second {
		t.Errorf("the player gets the new publisher: got %v of stream; want 3 s at least", last)
	}
}

// TestStoppedPeers: a player that stops reading and a publisher that stops in the middle of a message harm nobody.
func TestStoppedPeers(t *testing.T) {
	t.Parallel()
	g := runGateway(t, "sources: {demo/camera: \"demo:\"}\n")
	g.live(t, "demo/camera")
	dir := scratch(t)
	for i := range 3 {
		p := start(t, nil, nil, "rtmpdump", "-q", "--live", "-r", g.fill("rtmp://127.0.0.1:RTMP/demo/camera"), "-o", fmt.Sprintf("%s/%d.flv", dir, i))
		eventually(t, 10*time.Second, "recording", func() bool { return size(fmt.Sprintf("%s/%d.flv", dir, i)) > 1000 })
		p.cmd.Process.Signal(syscall.SIGSTOP)
		t.Cleanup(func() { p.cmd.Process.Signal(syscall.SIGCONT) })
	}
	publisher := publish(t, contents[0], true, "-f", "flv", g.fill("rtmp://127.0.0.1:RTMP/live/half"))
	g.live(t, "live/half")
	publisher.cmd.Process.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { publisher.cmd.Process.Signal(syscall.SIGCONT) })

	source, err := demoUnits()
	if err != nil {
		t.Fatal(err)
	}
	good := &player{name: "rtmpdump", file: dir + "/good.flv", args: []string{"rtmpdump", "-q", "--live", "--stop", "6", "-r", g.fill("rtmp://127.0.0.1:RTMP/demo/camera"), "-o", dir + "/good.flv"}}
	if err := good.start(t); err != nil {
		t.Fatal(err)
	}
	got, err := good.finish(contents[0], 8*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if r := units.Compare(source, got, units.Rule{Open: true, Spread: time.Millisecond}); !r.Equal() || r.Got[units.Video] < 100 {
		t.Errorf("others notice nothing: got %s; want equal", r)
	}
}
