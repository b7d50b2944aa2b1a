package udp

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/mpegts"
	"weir/transmux/ring"
	"weir/wire"
)

// program finds a real program.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is needed for this test; install the Debian package %s", name, pkg)
	}
	return path
}

// clip makes five seconds of H.264 with B-frames and AAC.
func clip(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.ts")
	out, err := exec.CommandContext(t.Context(), program(t, "ffmpeg", "ffmpeg"), "-v", "error", "-nostdin",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "5", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "800k", "-bf", "2", "-g", "25", "-c:a", "aac", file).CombinedOutput()
	if err != nil {
		t.Fatalf("make a clip: %v\n%s", err, out)
	}
	return file
}

// camera is a stream in real time that plays a clip again and again, or once. It ends with the test.
func camera(t *testing.T, loops, clip string) *transmux.Stream {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "ffmpeg", "ffmpeg"), "-v", "error", "-nostdin", "-re", "-stream_loop", loops,
		"-i", clip, "-map", "0", "-c", "copy", "-f", "mpegts", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stream := transmux.NewStream("camera", ring.Limits{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		d := mpegts.New(stream.NewWriter(), mpegts.Options{})
		buf := make([]byte, 64<<10)
		for {
			n, err := out.Read(buf)
			if d.Write(buf[:n], time.Now()) != nil || err != nil {
				_ = d.Flush()
				stream.Close(io.EOF)
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Cancel()
		<-done
		_ = cmd.Wait()
	})
	return stream
}

// sending runs a sink until the test ends.
func sending(t *testing.T, stream *transmux.Stream, url string) {
	t.Helper()
	s, err := New(remote(t, url))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, stream, new(wire.Meter)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Errorf("got %v; want a sink that runs", err)
		}
	})
}

func TestRealReceivers(t *testing.T) {
	t.Parallel()
	if !namespace(t) {
		return
	}
	file := clip(t)
	stream := camera(t, "-1", file)
	for _, tt := range []struct{ it, to, from string }{
		{"reaches ffprobe by multicast", "udp://239.7.0.1:5004?ttl=2&interface=lo", "udp://@239.7.0.1:5004?timeout=8000000"},
		{"reaches ffprobe by multicast in RTP", "rtp://239.7.0.2:5004", "rtp://@239.7.0.2:5004"},
		{"reaches ffprobe at a constant rate", "udp://127.0.0.1:23004?bitrate=2M", "udp://127.0.0.1:23004?timeout=8000000"},
		{"reaches ffprobe by IPv6", "udp://[::1]:23006?dscp=34", "udp://[::1]:23006?timeout=8000000"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			sending(t, stream, tt.to)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, program(t, "ffprobe", "ffmpeg"), "-v", "error", "-analyzeduration", "1500000", "-show_entries", "stream=codec_name,has_b_frames",
				"-of", "csv=p=0", tt.from).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "h264,2") || !strings.Contains(string(out), "aac") {
				t.Errorf("got %v, %q; want h264 with 2 B-frames and aac", err, out)
			}
		})
	}
	t.Run("is stored by multicat without a flaw, and ffmpeg decodes all", func(t *testing.T) {
		for _, to := range []string{"udp://239.7.0.3:5006", "udp://239.7.0.4:5008?bitrate=2M"} {
			stored := store(t, to, file)
			b, err := os.ReadFile(stored)
			if err != nil {
				t.Fatal(err)
			}
			var all []sent
			for d := range slices.Chunk(b, packetSize) {
				all = append(all, sent{data: d})
			}
			if r := analyse(all, false); r.continuity != 0 || r.clockGap > 40*time.Millisecond || r.discontinuities != 0 || r.clockBack || r.units[0x100] != 125 {
				t.Errorf("%s: got %+v; want 125 pictures without a break", to, r)
			}
			out, err := exec.CommandContext(t.Context(), program(t, "ffmpeg", "ffmpeg"), "-v", "warning", "-nostdin", "-i", stored, "-map", "0", "-f", "null", "-").CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("%s: ffmpeg says %v, %s; want nothing", to, err, out)
			}
		}
	})
}

// store lets multicat store a clip that are sent to a URL.
func store(t *testing.T, to, clip string) string {
	t.Helper()
	u := remote(t, to).URL
	file := filepath.Join(t.TempDir(), "out.ts")
	cmd := exec.CommandContext(t.Context(), program(t, "multicat", "multicat"), "-u", "-U", "@"+u.Host, file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "multicat listens", func() bool {
		b, err := os.ReadFile("/proc/self/net/udp")
		return err == nil && strings.Contains(string(b), fmt.Sprintf(":%04X ", port))
	})
	s, err := New(remote(t, to))
	if err != nil {
		t.Fatal(err)
	}
	m := new(wire.Meter)
	if err := s.Run(t.Context(), camera(t, "0", clip), m); err != nil {
		t.Fatalf("got %v; want the end of the stream", err)
	}
	sent, _, _ := m.Totals()
	eventually(t, "multicat has stored all", func() bool {
		i, err := os.Stat(file)
		return err == nil && uint64(i.Size()) >= sent
	})
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	return file
}

// eventually polls what another program does.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("got nothing in 10 s; want that %s", what)
		}
	}
}
