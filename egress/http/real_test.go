package http

import (
	"context"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/transmux/mpegts"
	"weir/transmux/ring"
	"weir/wire"
)

func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed for this test; install the Debian package %s", name, pkg)
	}
	return path
}

// camera makes a live stream with B-frames by ffmpeg, which ends with the test.
func camera(t *testing.T) *door {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "ffmpeg", "ffmpeg"), "-v", "error", "-nostdin", "-re",
		"-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac", "-f", "mpegts", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := newDoor(ring.Limits{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		demuxer := mpegts.New(d.stream.NewWriter(), mpegts.Options{})
		buf := make([]byte, 64<<10)
		for {
			n, err := out.Read(buf)
			if demuxer.Write(buf[:n], time.Now()) != nil || err != nil {
				d.stream.Close(io.EOF)
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return d
}

func TestRealPlayers(t *testing.T) {
	t.Parallel()
	d := camera(t)
	address := serve(t, d)
	for _, path := range []string{"/it.flv", "/it.ts"} {
		t.Run("plays in ffprobe: "+path, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, program(t, "ffprobe", "ffmpeg"), "-v", "error", "-show_entries", "stream=codec_name,has_b_frames", "-of", "csv=p=0",
				"http://u:p@"+address+path).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "h264,2") || !strings.Contains(string(out), "aac") {
				t.Errorf("got %v, %s; want h264 with 2 B-frames and aac", err, out)
			}
		})
		t.Run("plays in ffmpeg without a word: "+path, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, program(t, "ffmpeg", "ffmpeg"), "-v", "warning", "-nostdin", "-i", "http://"+address+path, "-t", "2", "-f", "null", "-").CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("got %v, %s; want nothing", err, out)
			}
		})
	}
	t.Run("is posted to ffmpeg", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, program(t, "ffmpeg", "ffmpeg"), "-v", "error", "-nostdin", "-listen", "1", "-i", "http://127.0.0.1:23480/it.flv", "-t", "3", "-f", "null", "-")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s, err := NewSink(remote(t, "http://127.0.0.1:23480/it.flv"), &http.Transport{DisableKeepAlives: true})
		if err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for { // until ffmpeg listens, then until it has enough
			m := new(wire.Meter)
			_ = s.Run(ctx, d.stream, m)
			if n, _, _ := m.Totals(); n > 0 || ctx.Err() != nil {
				break
			}
			<-tick.C
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("got %v; want ffmpeg content", err)
		}
	})
}
