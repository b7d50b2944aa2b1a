package mpegts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/transmux"
)

func TestSamples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, filter string
		codec        transmux.Codec
	}{
		{"bbb_1s.ts", "h264_mp4toannexb,filter_units=remove_types=9", transmux.H264},
		{"avc_with_time.ts", "h264_mp4toannexb,filter_units=remove_types=9", transmux.H264},
		{"obs_hevc_aac.ts", "hevc_mp4toannexb,filter_units=remove_types=35", transmux.H265},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", c.file)
			k, d := demux(t, readFile(t, path), Options{}, 1316)
			for _, tr := range k.tracks {
				stream, filter := "v:0", c.filter
				write := func(b []byte) []byte { return filtered(c.codec, b) }
				if tr.Kind() == transmux.KindAudio {
					stream, filter, write = "a:0", "aac_adtstoasc", nil
				} else if tr.Codec != c.codec {
					t.Errorf("got %s; want %s", tr.Codec, c.codec)
				}
				got := ours(k.of(tr.ID), write)
				// The times as ffprobe tells them. It counts 44.1 kHz in whole ticks from frame to frame.
				want := packets(t, path, stream)
				for i := range min(len(got), len(want)) {
					if d := got[i].dts - want[i].dts; tr.Rate != 48000 && d*d == 1 {
						want[i].dts, want[i].pts = got[i].dts, got[i].pts
					}
				}
				compare(t, stream+" times", got, want, false)
				// The payload as ffmpeg copies it: from the first key frame on.
				payload := reference(t, path, "0:"+stream, filter)
				for i := range min(len(got), len(payload)) {
					if have, want := got[len(got)-1-i].hash, payload[len(payload)-1-i].hash; have != want {
						t.Errorf("%s payload %d from the end: got %s; want %s", stream, i, have, want)
					}
				}
			}
			if n := d.Counters(); n.CC+n.CRC+n.PES+n.Section+n.Frame+n.Damaged != 0 {
				t.Errorf("got counters %+v; want no errors", n)
			}
		})
	}
}

// gstreamer runs a pipeline.
func gstreamer(t *testing.T, pipeline string) []byte {
	t.Helper()
	return tool(t, "gst-launch-1.0", "gstreamer1.0-tools", append([]string{"-q"}, strings.Fields(pipeline)...)...)
}

// A second reader of what is written: GStreamer finds the same bytes of video and audio in both.
func TestGStreamerReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ts := clean(t)
	k, _ := demux(t, ts, Options{}, len(ts))
	forget(k)
	again, _ := remux(t, k, MuxOptions{})
	var sums [2][2]string
	for i, b := range [][]byte{ts, again} {
		path := filepath.Join(dir, "a.ts")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		v, a := filepath.Join(dir, "v"), filepath.Join(dir, "a")
		gstreamer(t, "filesrc location="+path+" ! tsdemux name=d d. ! queue ! h264parse ! video/x-h264,stream-format=avc ! filesink location="+v+
			" d. ! queue ! aacparse ! audio/mpeg,stream-format=raw ! filesink location="+a)
		sums[i] = [2]string{hash(readFile(t, v)), hash(readFile(t, a))}
	}
	if sums[0][1] != sums[1][1] {
		t.Errorf("got audio %v; want %v", sums[1][1], sums[0][1])
	}
	if sums[0][0] != sums[1][0] {
		t.Errorf("got video %v; want %v", sums[1][0], sums[0][0])
	}
}

// A second writer: what GStreamer's muxer makes is read as ffmpeg reads it.
func TestGStreamerWrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.ts")
	gstreamer(t, "videotestsrc num-buffers=75 ! video/x-raw,width=320,height=180,framerate=25/1 ! x264enc bframes=2 key-int-max=25 tune=0 speed-preset=ultrafast ! h264parse ! mpegtsmux name=m ! filesink location="+path+
		" audiotestsrc num-buffers=140 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! m.")
	k, _ := demux(t, readFile(t, path), Options{}, 1316)
	if len(k.tracks) != 2 {
		t.Fatalf("got tracks %v; want two", k.tracks)
	}
	for _, tr := range k.tracks {
		if tr.Kind() == transmux.KindVideo {
			got := ours(k.of(tr.ID), func(b []byte) []byte { return filtered(tr.Codec, b) })
			compare(t, "video", got, reference(t, path, "0:v", "h264_mp4toannexb,filter_units=remove_types=9"), true)
			continue
		}
		compare(t, "audio", ours(k.of(tr.ID), nil), reference(t, path, "0:a", "aac_adtstoasc"), true)
	}
}

type counting struct{ units, bytes int }

func (c *counting) SetTracks([]*transmux.Track) {}
func (c *counting) Write(au transmux.AccessUnit) error {
	c.units++
	c.bytes += len(au.Data)
	return nil
}

func big(b *testing.B) []byte {
	return readFile(b, makeFile(b, "big.ts", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "10", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "8M", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac", "-f", "mpegts"))
}

func BenchmarkDemux(b *testing.B) {
	ts := big(b)
	b.SetBytes(int64(len(ts)))
	b.ReportAllocs()
	var c counting
	for b.Loop() {
		c = counting{}
		d := New(&c, Options{})
		for rest := ts; len(rest) > 0; {
			n := min(1316, len(rest))
			if err := d.Write(rest[:n], time.Time{}); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := d.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(c.units), "units/op")
}

func BenchmarkMux(b *testing.B) {
	k, _ := demux(b, big(b), Options{}, 100000)
	size := 0
	for _, u := range k.units {
		size += len(u.Data)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	out := 0
	for b.Loop() {
		m := NewMuxer(MuxOptions{})
		m.Tracks(k.tracks)
		for i := range k.units {
			m.Mux(&k.units[i], func(c *transmux.Chunk) { out += c.Size })
		}
	}
	b.ReportMetric(float64(len(k.units)), "units/op")
}
