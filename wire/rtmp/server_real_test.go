package rtmp

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/wire/rtmp/chunk"
)

// program finds a real program, or fails with what to install.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: apt-get install %s", name, pkg)
	}
	return path
}

// run runs a program to its end, and returns its standard output.
func run(ctx context.Context, t *testing.T, path string, args ...string) []byte {
	t.Helper()
	out, err := try(ctx, path, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(path), err, out.Bytes())
	}
	return out.Bytes()
}

func try(ctx context.Context, path string, args ...string) (*bytes.Buffer, error) {
	var out, diagnostics bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err != nil {
		out = diagnostics
	}
	return &out, err
}

// clip makes a short FLV file with B-frames and AAC.
func clip(ctx context.Context, t *testing.T, seconds string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.flv")
	run(ctx, t, program(t, "ffmpeg", "ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
		"-t", seconds, "-c:v", "libx264", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p", "-b:v", "1500k", "-c:a", "aac", "-f", "flv", file)
	return file
}

// packets are times, sizes and checksums of all packets of a framecrc listing. Times count from the first packet of
// stream 0, so that an offset between streams shows, and one of all does not.
func packets(t *testing.T, listing []byte) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	first := int64(-1 << 62)
	var others []string
	add := func(line string) {
		f := strings.Split(strings.ReplaceAll(line, " ", ""), ",")
		var times [2]int64
		for i := range times {
			n, err := strconv.ParseInt(f[1+i], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			times[i] = n
		}
		if first == -1<<62 {
			first = times[0]
		}
		all[f[0]] = append(all[f[0]], fmt.Sprintf("dts %d pts %d size %s crc %s", times[0]-first, times[1]-first, f[4], f[5]))
	}
	for line := range strings.Lines(string(listing)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "0,"):
			add(line)
		case line != "" && line[0] != '#':
			others = append(others, line)
		}
	}
	for _, line := range others {
		add(line)
	}
	return all
}

func TestRealClients(t *testing.T) {
	t.Parallel()
	for it, offset := range map[string]string{"from time 0": "0", "over 2^24 ms": "16776"} {
		t.Run("it relays "+it, func(t *testing.T) {
			t.Parallel()
			realClients(t, offset)
		})
	}
}

// realClients lets ffmpeg publish, and ffmpeg and rtmpdump play what it publishes.
func realClients(t *testing.T, offset string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ffmpeg := program(t, "ffmpeg", "ffmpeg")
	rtmpdump := program(t, "rtmpdump", "rtmpdump")
	src := clip(ctx, t, "3")
	want := run(ctx, t, ffmpeg, "-v", "error", "-i", src, "-c", "copy", "-f", "framecrc", "-")

	h := &relay{}
	addr := listen(t, ServerConfig{}, h)
	url := "rtmp://" + addr + "/live/room/cam"
	dump := filepath.Join(t.TempDir(), "dump.flv")
	type result struct {
		out *bytes.Buffer
		err error
	}
	playing := make(chan result, 1)
	dumping := make(chan result, 1)
	go func() {
		out, err := try(ctx, ffmpeg, "-v", "error", "-i", url, "-c", "copy", "-f", "framecrc", "-")
		playing <- result{out, err}
	}()
	go func() {
		// It plays from start 0, which must give the live stream too, and its exit status means nothing.
		out, err := try(ctx, rtmpdump, "-q", "-m", "5", "-r", url, "-o", dump)
		dumping <- result{out, err}
	}()
	run(ctx, t, ffmpeg, "-v", "error", "-re", "-i", src, "-c", "copy", "-output_ts_offset", offset, "-f", "flv", url+"?key=1")

	played := <-playing
	if played.err != nil {
		t.Fatalf("ffmpeg plays: %v\n%s", played.err, played.out)
	}
	if d := cmp.Diff(packets(t, played.out.Bytes()), packets(t, want)); d != "" || len(packets(t, want)["1"]) < 50 {
		t.Errorf("ffmpeg: got -; want +\n%s", d)
	}
	dumped := <-dumping
	got, err := try(ctx, ffmpeg, "-v", "error", "-i", dump, "-c", "copy", "-f", "framecrc", "-")
	if err != nil {
		t.Fatalf("rtmpdump: %v\n%s\n%s", dumped.err, dumped.out, got)
	}
	if d := cmp.Diff(packets(t, got.Bytes()), packets(t, want)); d != "" {
		t.Errorf("rtmpdump: got -; want +\n%s", d)
	}
}

func TestGStreamerPublishes(t *testing.T) {
	t.Parallel()
	gst := program(t, "gst-launch-1.0", "gstreamer1.0-tools")
	for _, sink := range []string{"rtmpsink", "rtmp2sink"} {
		t.Run("it takes what "+sink+" sends", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			h := &relay{}
			addr := listen(t, ServerConfig{}, h)
			location := "location=rtmp://" + addr + "/live/" + sink
			if sink == "rtmpsink" {
				location += " live=1"
			}
			if out, err := try(ctx, gst, "-q", "videotestsrc", "num-buffers=50", "!", "video/x-raw,width=320,height=240,framerate=25/1", "!", "x264enc", "tune=zerolatency", "!", "flvmux", "streamable=true", "!", sink, location); err != nil {
				t.Fatalf("gst-launch-1.0: %v (packages gstreamer1.0-plugins-good, -bad, -ugly)\n%s", err, out)
			}
			videos := 0
			for _, m := range h.stream("live/"+sink).wait(ctx, 1<<30) {
				if m.Type == chunk.Video {
					videos++
				}
			}
			if videos < 50 {
				t.Errorf("got %d video messages; want 50 and a sequence header", videos)
			}
		})
	}
}

func TestGStreamerPlays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	gst := program(t, "gst-launch-1.0", "gstreamer1.0-tools")
	src := clip(ctx, t, "2")
	file, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	h := &relay{}
	addr := listen(t, ServerConfig{}, h)
	d := h.stream("live/cam")
	for _, m := range flvMessages(t, file) {
		if m.Type == chunk.DataAMF0 {
			continue
		}
		if err := d.WriteMessage(m); err != nil {
			t.Fatal(err)
		}
	}
	d.End(nil)
	dump := filepath.Join(t.TempDir(), "gst.flv")
	if out, err := try(ctx, gst, "-q", "rtmp2src", "location=rtmp://"+addr+"/live/cam", "!", "filesink", "location="+dump); err != nil {
		t.Fatalf("gst-launch-1.0: %v\n%s", err, out)
	}
	ffmpeg := program(t, "ffmpeg", "ffmpeg")
	want := run(ctx, t, ffmpeg, "-v", "error", "-i", src, "-c", "copy", "-f", "framecrc", "-")
	got := run(ctx, t, ffmpeg, "-v", "error", "-i", dump, "-c", "copy", "-f", "framecrc", "-")
	if d := cmp.Diff(packets(t, got), packets(t, want)); d != "" {
		t.Errorf("got -; want +\n%s", d)
	}
}

func TestAdobeAuthenticationOfFFmpeg(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ffmpeg := program(t, "ffmpeg", "ffmpeg")
	src := clip(ctx, t, "1")
	h := &relay{}
	addr := listen(t, authenticating(), h)
	run(ctx, t, ffmpeg, "-v", "error", "-i", src, "-c", "copy", "-f", "flv", "rtmp://studio:s3cret@"+addr+"/live/cam")
	if got := h.stream("live/cam").wait(ctx, 1<<30); len(got) < 25 {
		t.Errorf("got %d messages; want those of a second", len(got))
	}
	if out, err := try(ctx, ffmpeg, "-v", "error", "-i", src, "-c", "copy", "-f", "flv", "rtmp://studio:wrong@"+addr+"/live/other"); err == nil {
		t.Errorf("got a publish with a wrong password; want a refusal\n%s", out)
	}
}
