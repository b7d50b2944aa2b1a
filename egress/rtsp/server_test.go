package rtsp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/wire"
	wirertsp "weir/wire/rtsp"
)

// write feeds a stream with pictures of Motion JPEG form that no decoder will see: every one is a key frame of n bytes.
func write(t *testing.T, w *transmux.Writer, track *transmux.Track, every time.Duration, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			at := time.Duration(i) * every
			data := make([]byte, n)
			data[0] = 0x10 // a VP8 key frame
			if err := w.Write(transmux.AccessUnit{Track: track, DTS: at, PTS: at, Key: i%10 == 0, Arrived: time.Now(), Data: data}); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// rtsp is a client by hand.
type rtsp struct {
	t *testing.T
	net.Conn
	r   *bufio.Reader
	seq int
}

func dial(t *testing.T, address string) *rtsp {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &rtsp{t: t, Conn: c, r: bufio.NewReader(c)}
}

// ask sends a request and returns the status line and the headers, by their names in lower case.
func (c *rtsp) ask(method, url string, headers ...string) (status string, got map[string]string) {
	c.t.Helper()
	c.seq++
	text := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n", method, url, c.seq)
	for _, h := range headers {
		text += h + "\r\n"
	}
	if _, err := c.Write([]byte(text + "\r\n")); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	got = make(map[string]string)
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%s: %v", method, err)
		}
		line = strings.TrimSpace(line)
		if status == "" {
			status = line
			continue
		}
		if line == "" {
			break
		}
		k, v, _ := strings.Cut(line, ":")
		got[strings.ToLower(k)] = strings.TrimSpace(v)
	}
	if n := got["content-length"]; n != "" {
		var size int
		fmt.Sscan(n, &size)
		c.r.Discard(size)
	}
	return status, got
}

func start(t *testing.T, cfg wirertsp.Config) (*door, *wirertsp.Server, *transmux.Stream) {
	d := newDoor()
	s := serve(t, d, cfg)
	stream := d.stream("live/a")
	track := &transmux.Track{ID: 0, Codec: transmux.VP8}
	w := stream.NewWriter()
	w.SetTracks([]*transmux.Track{track})
	write(t, w, track, 20*time.Millisecond, 20000)
	return d, s, stream
}

func (c *rtsp) play(url string) map[string]string {
	c.t.Helper()
	c.ask("DESCRIBE", url)
	_, setup := c.ask("SETUP", url+"/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=4-5")
	session, _, _ := strings.Cut(setup["session"], ";")
	status, h := c.ask("PLAY", url, "Session: "+session)
	if !strings.Contains(status, "200") {
		c.t.Fatalf("got %q; want 200", status)
	}
	h["transport"] = setup["transport"]
	h["session"] = session
	return h
}

// frame reads one interleaved frame.
func (c *rtsp) frame() (channel int, packet []byte, err error) {
	var head [4]byte
	for i := range head {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		head[i] = b
	}
	if head[0] != '$' {
		return 0, nil, fmt.Errorf("got %q where a frame begins", head)
	}
	packet = make([]byte, int(head[2])<<8|int(head[3]))
	for i := range packet {
		if packet[i], err = c.r.ReadByte(); err != nil {
			return 0, nil, err
		}
	}
	return int(head[1]), packet, nil
}

func TestPlayer(t *testing.T) {
	t.Parallel()
	d, s, stream := start(t, wirertsp.Config{})
	url := "rtsp://" + s.Addr().String() + "/live/a"
	wait := func(t *testing.T) error {
		t.Helper()
		select {
		case err := <-d.ended:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("the grant was not ended")
			return nil
		}
	}
	if err := stream.Reader().Wait(t.Context()); err != nil {
		t.Fatal(err)
	}

	t.Run("it begins at once, with a report and a key frame, on the channels that were asked for", func(t *testing.T) {
		c := dial(t, s.Addr().String())
		h := c.play(url)
		if !strings.Contains(h["rtp-info"], "rtptime=") {
			t.Errorf("got RTP-Info %q; want a time", h["rtp-info"])
		}
		channel, p, err := c.frame()
		if err != nil || channel != 5 || p[1] != 200 {
			t.Fatalf("got channel %d, packet % x, %v; want a sender report on 5", channel, p[:2], err)
		}
		ssrc := fmt.Sprintf("%X", p[4:8])
		if !strings.Contains(h["transport"], "ssrc="+ssrc) {
			t.Errorf("got %q; want source %s", h["transport"], ssrc)
		}
		channel, p, err = c.frame()
		if err != nil || channel != 4 || fmt.Sprintf("%X", p[8:12]) != ssrc {
			t.Errorf("got channel %d, % x, %v; want media of %s on 4", channel, p[:12], err, ssrc)
		}
		c.Close()
		wait(t)
	})
	t.Run("it pauses and goes on", func(t *testing.T) {
		c := dial(t, s.Addr().String())
		session := c.play(url)["session"]
		for range 10 {
			if _, _, err := c.frame(); err != nil {
				t.Fatal(err)
			}
		}
		c.seq++
		fmt.Fprintf(c, "PAUSE %s RTSP/1.0\r\nCSeq: %d\r\nSession: %s\r\n\r\n", url, c.seq, session)
		for {
			if b, err := c.r.Peek(1); err != nil {
				t.Fatal(err)
			} else if b[0] != '$' {
				break
			}
			if _, _, err := c.frame(); err != nil {
				t.Fatal(err)
			}
		}
		status, _ := c.ask("PLAY", url, "Session: "+session) // reads the answer to PAUSE
		if !strings.Contains(status, "200") {
			t.Fatalf("got %q; want 200", status)
		}
		if b, err := c.r.Peek(4); err != nil || string(b) != "RTSP" {
			t.Fatalf("got %q, %v between PAUSE and PLAY; want the answer to PLAY", b, err)
		}
		c.Close()
		wait(t)
	})
	t.Run("it ends when the grant is taken back", func(t *testing.T) {
		c := dial(t, s.Addr().String())
		c.play(url)
		d.mu.Lock()
		revoke := d.grants[len(d.grants)-1]
		d.mu.Unlock()
		revoke(wire.ErrDenied)
		if err := wait(t); !errors.Is(err, wire.ErrDenied) {
			t.Errorf("got %v; want %v", err, wire.ErrDenied)
		}
	})
	t.Run("it frees what DESCRIBE found when nobody plays it", func(t *testing.T) {
		c := dial(t, s.Addr().String())
		c.ask("DESCRIBE", url)
		c.Close()
		wait(t)
	})
	t.Run("it leaves others alone when one reads nothing", func(t *testing.T) {
		stuck, good := dial(t, s.Addr().String()), dial(t, s.Addr().String())
		stuck.Conn.(*net.TCPConn).SetReadBuffer(4096)
		stuck.play(url)
		good.play(url)
		for bytes := 0; bytes < 5<<20; {
			_, p, err := good.frame()
			if err != nil {
				t.Fatalf("after %d bytes: %v", bytes, err)
			}
			bytes += len(p)
		}
		stuck.Close()
		good.Close()
		wait(t)
		wait(t)
	})
	t.Run("it says no", func(t *testing.T) {
		for _, test := range []struct{ it, path, want string }{
			{"it does not know the stream", "/nothing", "404"},
			{"it wants a user", "/secret/a", "401"},
		} {
			d.stream("secret/a")
			c := dial(t, s.Addr().String())
			if status, _ := c.ask("DESCRIBE", "rtsp://"+s.Addr().String()+test.path); !strings.Contains(status, test.want) {
				t.Errorf("%s: got %q; want %s", test.it, status, test.want)
			}
		}
	})
	t.Run("it ends with the stream", func(t *testing.T) {
		c := dial(t, s.Addr().String())
		c.play(url)
		stream.Close(wire.ErrEnded)
		if err := wait(t); !errors.Is(err, wire.ErrEnded) {
			t.Errorf("got %v; want %v", err, wire.ErrEnded)
		}
		bye := false
		for {
			channel, p, err := c.frame()
			if err != nil {
				break
			}
			bye = bye || channel == 5 && p[1] == 203
		}
		if !bye {
			t.Error("got no RTCP BYE")
		}
	})
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestSecureServer(t *testing.T) {
	t.Parallel()
	path, want := clip(t, 10, bframes...)
	for _, test := range []struct {
		it   string
		must bool
	}{
		{"it takes TLS and plain on one port", false},
		{"it requires TLS", true},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			d := newDoor()
			open := serve(t, d, wirertsp.Config{})
			s := serve(t, d, wirertsp.Config{TLS: certificate(t), RequireTLS: test.must})
			publish(t, d, open, path, "live/a")
			compare(t, probe(t, "-read_intervals", "%+4", "rtsps://"+s.Addr().String()+"/live/a"), want)
			c := dial(t, s.Addr().String())
			if !test.must {
				if status, _ := c.ask("OPTIONS", "*"); !strings.Contains(status, "200") {
					t.Errorf("got %q; want 200", status)
				}
				return
			}
			fmt.Fprint(c, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
			if line, err := c.r.ReadString('\n'); err == nil {
				t.Errorf("got %q; want that plain RTSP is closed", line)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	path, _ := clip(t, 10, bframes...)
	d := newDoor()
	s := serve(t, d, wirertsp.Config{})
	publish(t, d, s, path, "secret/a")
	for _, test := range []struct {
		it, user string
		ok       bool
	}{
		{"it takes the password", "user:pass@", true},
		{"it refuses a wrong one", "user:wrong@", false},
		{"it refuses nobody", "", false},
	} {
		t.Run(test.it, func(t *testing.T) {
			out, err := exec.Command(need(t, "ffprobe", "ffmpeg"), "-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name",
				"rtsp://"+test.user+s.Addr().String()+"/secret/a").CombinedOutput()
			if ok := err == nil && strings.Contains(string(out), "h264"); ok != test.ok {
				t.Errorf("got %v: %s; want %v", err, out, test.ok)
			}
		})
	}
}

func TestGStreamerPlays(t *testing.T) {
	t.Parallel()
	path, _ := clip(t, 12, bframes...)
	d := newDoor()
	s := serve(t, d, wirertsp.Config{})
	publish(t, d, s, path, "live/a")
	for _, transport := range []string{"tcp", "udp"} {
		t.Run("it plays over "+transport, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, need(t, "gst-launch-1.0", "gstreamer1.0-tools"), "-q", "rtspsrc", "protocols="+transport,
				"location=rtsp://"+s.Addr().String()+"/live/a", "!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!", "fakesink", "num-buffers=50").CombinedOutput()
			if err != nil {
				t.Errorf("got %v: %s", err, out)
			}
		})
	}
}
