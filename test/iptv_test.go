package test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/test/units"
)

// multiplex is a clip with two sounds, and the same with the second only.
func multiplex() (both, second string, err error) {
	both, err = once("clip-languages.mov", func(path string) error {
		args := []string{"-nostdin", "-y", "-v", "error",
			"-f", "lavfi", "-i", fmt.Sprintf("testsrc=s=320x180:r=25:d=%d,noise=alls=8:allf=t", clipSeconds),
			"-f", "lavfi", "-i", fmt.Sprintf("anoisesrc=d=%d:c=pink:r=48000:a=0.3:seed=1", clipSeconds),
			"-f", "lavfi", "-i", fmt.Sprintf("anoisesrc=d=%d:c=pink:r=48000:a=0.3:seed=2", clipSeconds),
			"-map", "0", "-map", "1", "-map", "2"}
		args = append(append(args, x264...), "-pix_fmt", "yuv420p", "-video_track_timescale", "90000")
		args = append(append(args, aac...), "-f", "mov", path)
		return ffmpeg(args...)
	})
	if err != nil {
		return "", "", err
	}
	second, err = once("clip-second.ts", func(path string) error {
		return ffmpeg("-nostdin", "-y", "-v", "error", "-i", both, "-map", "0:v", "-map", "0:a:1", "-c", "copy", path)
	})
	return both, second, err
}

// TestMultiplex takes one program and one language of a multicast with two programs to RTMP, RTSP and another multicast.
func TestMultiplex(t *testing.T) {
	t.Parallel()
	c := contents[0]
	other, err := c.clip()
	if err != nil {
		t.Fatal(err)
	}
	both, german, err := multiplex()
	if err != nil {
		t.Fatal(err)
	}
	source, err := units.Probe(german, "h264", "aac")
	if err != nil {
		t.Fatal(err)
	}
	g := runGateway(t, `sources:
  tv/news: {url: "udp://239.1.3.7:PORT", interface: lo, program: 5, tracks: [video, "audio:deu"]}
  tv/other: {url: "udp://239.1.3.7:PORT", interface: lo, program: 3}
`)
	sender := start(t, nil, nil, "ffmpeg", "-nostdin", "-v", "error", "-re", "-i", other, "-re", "-i", both, "-map", "0", "-map", "1", "-c", "copy",
		"-metadata:s:a:1", "language=eng", "-metadata:s:a:2", "language=deu", "-program", "program_num=3:title=other:st=0:st=1", "-program", "program_num=5:title=news:st=2:st=3:st=4",
		"-f", "mpegts", g.fill("udp://239.1.3.7:PORT?pkt_size=1316&localaddr=127.0.0.1"))
	g.live(t, "tv/news")
	dir := scratch(t)
	players := []*player{
		{name: "rtmpdump", file: filepath.Join(dir, "a.flv"), args: []string{"rtmpdump", "-q", "--live", "-r", g.fill("rtmp://127.0.0.1:RTMP/tv/news"), "-o", filepath.Join(dir, "a.flv")}},
		{name: "ffprobe", file: filepath.Join(dir, "probe"), printed: true, args: ffprobe(g.fill("rtsp://127.0.0.1:RTSP/tv/news"), "-rtsp_transport", "tcp")},
		{name: "curl", file: filepath.Join(dir, "a.ts"), args: []string{"curl", "-sSN", "-o", filepath.Join(dir, "a.ts"), g.fill("http://127.0.0.1:HTTP/tv/news.ts")}},
	}
	for _, p := range players {
		if err := p.start(t); err != nil {
			t.Fatal(err)
		}
	}
	if got := status(g.fill("http://127.0.0.1:HTTP/tv/other.flv")); got != 200 {
		t.Errorf("it gives the other program too: got %d; want 200", got)
	}
	if err := sender.wait(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	for i, p := range players {
		got, err := p.finish(c, time.Second)
		if err != nil {
			t.Error(err)
			continue
		}
		rule := units.Rule{PTSOnly: p.printed, Tail: map[string]int{"video": 5, "audio": 28}, Spread: []time.Duration{time.Millisecond, 25 * time.Microsecond, 25 * time.Microsecond}[i]}
		if r := units.Compare(source, whole(got), rule); !r.Equal() || r.Got[units.Video] < 50 {
			t.Errorf("it takes program and language to %s: got %s; want equal", p.name, r)
		}
	}
}

// TestSourceSpecific: a source-specific join does not hear another sender.
func TestSourceSpecific(t *testing.T) {
	t.Parallel()
	g := runGateway(t, `sources:
  tv/right: {url: "udp://232.1.3.8:PORT?source=127.0.0.1", interface: lo}
  tv/wrong: {url: "udp://232.1.3.8:PORT?source=127.0.0.9", interface: lo}
`)
	publish(t, contents[0], false, "-f", "mpegts", g.fill("udp://232.1.3.8:PORT?pkt_size=1316&localaddr=127.0.0.1"))
	g.live(t, "tv/right")
	if got := status(g.fill("http://127.0.0.1:HTTP/tv/wrong.flv")); got == 200 {
		t.Error("it hears only its source: got 200 for the other; want a refusal")
	}
	if said := g.process.log.String(); strings.Contains(said, "panic") {
		t.Errorf("it does not panic: got %s", tail(said))
	}
}
