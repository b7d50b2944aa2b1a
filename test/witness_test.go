package test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"weir/test/units"
)

// TestWitnesses proves the comparison without weir: what ffmpeg publishes to nginx-rtmp is equal at rtmpdump, at ffprobe
// and in nginx's own recording; and a recording of another clip is not.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	server, err := nginx()
	if err != nil {
		t.Fatal(err)
	}
	c := contents[0]
	clip, err := c.clip()
	if err != nil {
		t.Fatal(err)
	}
	reference, err := c.as("flv", "-flvflags", "no_duration_filesize")
	if err != nil {
		t.Fatal(err)
	}
	source, err := units.FLV(reference)
	if err != nil {
		t.Fatal(err)
	}
	byProbe, err := units.Probe(reference, c.video, c.audio)
	if err != nil {
		t.Fatal(err)
	}
	if r := units.Compare(source, byProbe, units.Rule{}); !r.Equal() {
		t.Errorf("it reads FLV as ffprobe does: got %s; want equal", r)
	}
	ts, err := c.as("ts")
	if err != nil {
		t.Fatal(err)
	}
	fromTS, err := units.Probe(ts, c.video, c.audio)
	if err != nil {
		t.Fatal(err)
	}
	if r := units.Compare(source, fromTS, units.Rule{Spread: time.Millisecond}); !r.Equal() {
		t.Errorf("it finds the same units in a transport stream: got %s; want equal", r)
	}

	dir := scratch(t)
	dump, probe := filepath.Join(dir, "dump.flv"), filepath.Join(dir, "probe")
	const key = "witness"
	publisher := start(t, nil, nil, "ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip, "-map", "0", "-c", "copy", "-f", "flv", server.url("live", key))
	recorder := start(t, nil, nil, "ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip, "-map", "0", "-c", "copy", "-f", "flv", server.url("rec", key))
	play := &player{name: "rtmpdump", file: dump, args: []string{"rtmpdump", "-q", "--live", "-r", server.url("live", key), "-o", dump}}
	look := &player{name: "ffprobe", file: probe, args: ffprobe(server.url("live", key)), printed: true}
	for _, p := range []*player{play, look} {
		if err := p.start(t); err != nil {
			t.Fatal(err)
		}
	}
	if err := publisher.wait(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := recorder.wait(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*player{play, look} {
		got, err := p.finish(c, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if r := units.Compare(source, got, units.Rule{}); !r.Equal() || r.Got[units.Video] < 100 {
			t.Errorf("it finds ffmpeg → nginx-rtmp → %s equal: got %s; want equal", p.name, r)
		}
	}
	got, err := units.FLV(server.record(key))
	if err != nil {
		t.Fatal(err)
	}
	if r := units.Compare(source, got, units.Rule{}); !r.Equal() {
		t.Errorf("it finds nginx's recording equal: got %s; want equal", r)
	}
	if r := units.Compare(source, got[10:], units.Rule{}); r.Equal() {
		t.Error("it finds a recording that starts without a key frame: got equal; want a finding")
	}
}

// TestCamera proves the comparison of GStreamer's camera without weir.
func TestCamera(t *testing.T) {
	t.Parallel()
	port, err := camera()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contents[:2] {
		mkv, err := c.as("mkv")
		if err != nil {
			t.Fatal(err)
		}
		source, err := c.units(mkv)
		if err != nil {
			t.Fatal(err)
		}
		p := &player{name: "ffprobe", file: filepath.Join(scratch(t), "probe"), printed: true,
			args: ffprobe(fmt.Sprintf("rtsp://127.0.0.1:%d/%s", port, mount(c)), "-rtsp_transport", "tcp")}
		if err := p.start(t); err != nil {
			t.Fatal(err)
		}
		got, err := p.finish(c, 4*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if r := units.Compare(source, whole(got), units.Rule{PTSOnly: true, Open: true, Spread: time.Millisecond}); !r.Equal() {
			t.Errorf("it finds %s of GStreamer's camera equal at ffprobe: got %s; want equal", c.name, r)
		}
	}
}
