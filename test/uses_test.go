package test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/test/units"
)

// size is a file's length, 0 if it is not there.
func size(path string) int64 {
	s, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return s.Size()
}

// TestBridge brings GStreamer's camera, with a password, to nginx-rtmp by one line.
func TestBridge(t *testing.T) {
	t.Parallel()
	port, err := camera()
	if err != nil {
		t.Fatal(err)
	}
	server, err := nginx()
	if err != nil {
		t.Fatal(err)
	}
	c := contents[0]
	for _, transport := range []string{"tcp", "udp", ""} {
		t.Run("transport "+transport, func(t *testing.T) {
			t.Parallel()
			key := "bridge" + transport
			url := fmt.Sprintf("rtsp://viewer:secret@127.0.0.1:%d/%s-auth", port, mount(c))
			if transport != "" {
				url += "?transport=" + transport
			}
			os.Remove(server.record(key)) // of a run before, with -count
			b := start(t, nil, nil, weir, "bridge", url, server.url("rec", key))
			eventually(t, 15*time.Second, "recording", func() bool { return size(server.record(key)) > 120<<10 })
			b.stop()
			if b.err != nil {
				t.Errorf("it ends well: got %v; want nil", b.err)
			}
			if strings.Contains(b.log.String(), "secret") {
				t.Errorf("it says no password: got %s", b.log.String())
			}
			mkv, err := c.as("mkv")
			if err != nil {
				t.Fatal(err)
			}
			source, err := c.units(mkv)
			if err != nil {
				t.Fatal(err)
			}
			var got []units.Unit
			eventually(t, 5*time.Second, "whole recording", func() bool {
				got, err = units.FLV(server.record(key))
				return err == nil && len(got) > 50
			})
			r := units.Compare(source, got, units.Rule{Spread: time.Millisecond, DerivedDTS: true, Open: true})
			if !r.Equal() {
				t.Errorf("it carries the camera: got %s; want equal\n%s", r, b.log.String())
			}
		})
	}
}

// TestLateJoiner measures how soon a player that comes between two key frames has its first key frame.
func TestLateJoiner(t *testing.T) {
	t.Parallel()
	g := runGateway(t, "sources: {demo/camera: \"demo:\"}\n")
	g.live(t, "demo/camera")
	for i := range 5 {
		begin := time.Now()
		out, said, err := run(t, "timeout", "20", "ffprobe", "-v", "error", "-probesize", "2000", "-analyzeduration", "0", "-read_intervals", "%+#1",
			"-select_streams", "v", "-show_entries", "packet=flags", "-of", "csv=p=0", g.fill("http://127.0.0.1:HTTP/demo/camera.flv"))
		if took := time.Since(begin); err != nil || !strings.HasPrefix(out, "K") || took > 800*time.Millisecond {
			t.Errorf("it starts at once at a key frame, round %d: got %q after %v (%v %s); want K within 800 ms, ffprobe's start included", i, out, took, err, said)
		}
	}
}
