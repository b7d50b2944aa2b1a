package rtmp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/ring"
	"weir/wire/rtmp/chunk"
)

var record = flag.Bool("record", false, "record anew what real clients say, into testdata")

// tape keeps what a client sends, up to stop.
type tape struct {
	net.Conn
	mu      sync.Mutex
	bytes   []byte
	stopped bool
}

func (t *tape) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.bytes = append(t.bytes, p[:n]...)
	}
	return n, err
}

func (t *tape) stop() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	return t.bytes
}

// publishers are real programs, given a file to publish, where to, and the name of a file for a copy of what they
// publish if they make it themselves.
var publishers = map[string]func(src, to, copied string) []string{
	// FMLE's flow of commands, and Flash's digest.
	"ffmpeg": func(src, to, _ string) []string {
		return []string{"ffmpeg", "-v", "error", "-re", "-i", src, "-c", "copy", "-f", "flv", to}
	},
	// librtmp, which OBS carries too.
	"librtmp": func(_, to, copied string) []string { return gstreamer("rtmpsink", to+" live=1", copied) },
	"rtmp2sink": func(_, to, copied string) []string {
		return gstreamer("rtmp2sink", to, copied)
	},
}

func gstreamer(sink, to, copied string) []string {
	const pipeline = "flvmux name=m streamable=true ! tee name=t ! queue ! SINK location=TO t. ! queue ! filesink location=COPY " +
		"videotestsrc num-buffers=50 ! video/x-raw,width=160,height=120,framerate=25/1 ! x264enc bframes=2 key-int-max=25 bitrate=150 aud=false threads=1 ! h264parse ! m. " +
		"audiotestsrc num-buffers=86 samplesperbuffer=1024 ! audio/x-raw,rate=44100,channels=1 ! voaacenc bitrate=48000 ! aacparse ! m."
	args := []string{"gst-launch-1.0", "-q"}
	for word := range strings.FieldsSeq(pipeline) {
		args = append(args, strings.NewReplacer("SINK", sink, "TO", to, "COPY", copied).Replace(word))
	}
	return args
}

var players = map[string]func(from string) []string{
	"play-rtmpdump": func(from string) []string {
		return []string{"rtmpdump", "-q", "-m", "10", "-r", from, "-o", "/dev/null"}
	},
	"play-ffmpeg": func(from string) []string {
		return []string{"ffmpeg", "-v", "error", "-i", from, "-c", "copy", "-f", "null", "-"}
	},
}

// TestRecord makes the recordings. What a publisher sent is beside it as ffprobe reads it from a file of the same.
func TestRecord(t *testing.T) {
	if !*record {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ffprobe := program(t, "ffprobe", "ffmpeg")
	src := clip(ctx, t, 2, pictures, tone, avc, []string{"-c:a", "aac", "-b:a", "48k"})
	tapes := make(chan *tape, 10)
	save := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join("testdata", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	listen := func(h *hub) string {
		return h.listen(t, func(nc net.Conn) net.Conn {
			tp := &tape{Conn: nc}
			tapes <- tp
			return tp
		})
	}
	for name, command := range publishers {
		h := &hub{}
		file := filepath.Join(t.TempDir(), "copy.flv")
		args := command(src, "rtmp://"+listen(h)+"/live/cam", file)
		wait, _ := follow(h.stream("live/cam"))
		run(ctx, t, program(t, args[0], args[0]), args[1:]...)
		wait()
		save(name+".rtmp", (<-tapes).stop())
		if name == "ffmpeg" {
			file = src
		}
		save(name+".csv", []byte(run(ctx, t, ffprobe, append(probeArgs, file)...)))
	}
	for name, command := range players {
		h := &hub{}
		s := h.stream("live/cam")
		args := command("rtmp://" + listen(h) + "/live/cam")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = try(ctx, program(t, args[0], args[0]), args[1:]...) // rtmpdump's exit status means nothing
		}()
		b, err := os.ReadFile(src)
		if err != nil {
			t.Fatal(err)
		}
		tp := <-tapes
		pace(t, s.NewWriter(), b)
		save(name+".rtmp", tp.stop())
		s.Close(nil)
		<-done
	}
}

// firstPart of a recording reaches into the first group of pictures.
const firstPart = 10_000

// replay says to a server what was recorded, all but the first part when proceed is closed, and returns the server's side
// behind the handshake.
func replay(t *testing.T, addr, name string, proceed <-chan struct{}) net.Conn {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".rtmp"))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		n := min(len(b), firstPart)
		_, _ = nc.Write(b[:n]) // a server that stops reading shows in the test
		select {
		case <-proceed:
			_, _ = nc.Write(b[n:])
			if c, ok := nc.(*net.TCPConn); ok { // as the program did
				_ = c.CloseWrite()
			}
		case <-t.Context().Done():
		}
	}()
	t.Cleanup(func() {
		_ = nc.Close()
		<-wrote
	})
	if _, err := io.CopyN(io.Discard, nc, 3073); err != nil {
		t.Fatalf("read the handshake: %v", err)
	}
	return nc
}

// listing is what ffprobe said of what was recorded.
func listing(t *testing.T, name string) []unit {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	return probed(t, string(b))
}

func TestRecordedPublishers(t *testing.T) {
	t.Parallel()
	for name := range publishers {
		t.Run("it takes what "+name+" sends", func(t *testing.T) {
			t.Parallel()
			h := &hub{}
			wait, begun := follow(h.stream("live/cam"))
			nc := replay(t, h.listen(t, nil), name, begun)
			go func() { _, _ = io.Copy(io.Discard, nc) }() // ends with the connection
			same(t, name, wait(), listing(t, name))
		})
	}
}

func TestRecordedPlayers(t *testing.T) {
	t.Parallel()
	for name := range players {
		t.Run("it gives "+name+" what is published", func(t *testing.T) {
			t.Parallel()
			h := &hub{}
			addr := h.listen(t, nil)
			nc := replay(t, addr, name, nil) // waits for the publisher
			far := transmux.NewStream("far", ring.Limits{})
			wait, begun := follow(far)
			publisher := replay(t, addr, "ffmpeg", begun)
			go func() { _, _ = io.Copy(io.Discard, publisher) }()
			d := flv.NewDemuxer(far.NewWriter())
			ended := false
			for r := chunk.NewReader(nc); !ended; {
				m, err := r.Read()
				if err != nil {
					t.Fatalf("before the end of the stream: %v", err)
				}
				switch m.Type {
				case chunk.Video, chunk.Audio:
					err = d.Tag(m.Type, m.Timestamp, m.Payload, time.Now())
				case chunk.UserControl: // the last word is StreamEOF (RTMP 1.0, 7.1.7)
					ended = binary.BigEndian.Uint16(m.Payload) == 1
				case chunk.CommandAMF0:
					if bytes.Contains(m.Payload, []byte("NetStream.Play.StreamNotFound")) {
						t.Fatal("got no stream; want one")
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			far.Close(nil)
			same(t, name, wait(), listing(t, "ffmpeg"))
		})
	}
}
