package rtsp

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	wirertsp "weir/wire/rtsp"
)

// packet is what ffprobe says of one.
type packet struct {
	CodecType string `json:"codec_type"`
	PTS       string `json:"pts_time"`
	DTS       string `json:"dts_time"`
	Hash      string `json:"data_hash"`
	Flags     string
}

func (p packet) times(t *testing.T) (pts, dts float64) {
	t.Helper()
	pts, err := strconv.ParseFloat(p.PTS, 64)
	if err != nil {
		t.Fatal(err)
	}
	if dts, err = strconv.ParseFloat(p.DTS, 64); err != nil {
		dts = math.NaN() // Matroska has none, for some codecs
	}
	return pts, dts
}

// clip makes a file of 4 seconds, and returns its packets by kind.
func clip(t *testing.T, name string, args ...string) (path string, packets map[string][]packet) {
	t.Helper()
	ffmpeg, ffprobe := need(t, "ffmpeg", "ffmpeg"), need(t, "ffprobe", "ffmpeg")
	path = filepath.Join(t.TempDir(), name)
	list := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=4", "-f", "lavfi", "-i", "sine=r=48000:d=4"}
	if out, err := exec.Command(ffmpeg, append(append(list, args...), path)...).CombinedOutput(); err != nil {
		t.Fatalf("make clip: %v: %s", err, out)
	}
	out, err := exec.Command(ffprobe, "-v", "error", "-show_packets", "-show_data_hash", "md5", "-of", "json", path).Output()
	if err != nil {
		t.Fatalf("read clip: %v", err)
	}
	var all struct{ Packets []packet }
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	packets = make(map[string][]packet)
	for _, p := range all.Packets {
		packets[p.CodecType] = append(packets[p.CodecType], p)
	}
	return path, packets
}

func TestPublishByFFmpeg(t *testing.T) {
	t.Parallel()
	bframes := []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "50", "-pix_fmt", "yuv420p"}
	hevc := []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50:bframes=3", "-pix_fmt", "yuv420p"}
	for _, test := range []struct {
		it        string
		file      string
		encode    []string
		transport string
		bytes     bool // the container holds the same bytes as the stream
		video     transmux.Codec
		audio     transmux.Codec
	}{
		{"it keeps H.264 with B-frames and AAC over TCP", "a.mp4", append(bframes, "-c:a", "aac"), "tcp", true, transmux.H264, transmux.AAC},
		{"it keeps H.264 with B-frames and AAC over UDP", "a.mp4", append(bframes, "-c:a", "aac"), "udp", true, transmux.H264, transmux.AAC},
		{"it keeps H.265 with B-frames and AAC", "a.mp4", append(hevc, "-c:a", "aac"), "tcp", true, transmux.H265, transmux.AAC},
		{"it keeps H.264 and MP3", "a.mp4", append(bframes, "-c:a", "libmp3lame"), "tcp", true, transmux.H264, transmux.MP3},
		{"it keeps H.264 and Opus", "a.mp4", append(bframes, "-c:a", "libopus"), "tcp", true, transmux.H264, transmux.Opus},
		{"it keeps VP8 and Opus", "a.mkv", []string{"-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"}, "tcp", true, transmux.VP8, transmux.Opus},
		{"it keeps VP9", "a.mkv", []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-an"}, "tcp", true, transmux.VP9, ""},
		{"it keeps MPEG-2 video and MP2", "a.ts", []string{"-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"}, "tcp", false, transmux.MPEG2Video, transmux.MP2},
		{"it keeps MJPEG", "a.mkv", []string{"-c:v", "mjpeg", "-huffman", "default", "-pix_fmt", "yuvj420p", "-an"}, "tcp", false, transmux.MJPEG, ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			path, want := clip(t, test.file, test.encode...)
			d := newDoor()
			s := serve(t, d, wirertsp.Config{})
			stream := d.stream("live/a")
			got := collect(stream)
			url := fmt.Sprintf("rtsp://%s/live/a", s.Addr())
			cmd := exec.Command(need(t, "ffmpeg", "ffmpeg"), "-v", "error", "-re", "-i", path, "-c", "copy", "-strict", "-2", "-f", "rtsp", "-rtsp_transport", test.transport, url)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("publish: %v: %s", err, out)
			}
			select {
			case err := <-d.ended:
				if err != io.EOF {
					t.Errorf("got the end %v; want %v", err, io.EOF)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the grant was not ended")
			}
			compare(t, got.all(), want, test.video, test.audio, test.bytes)
		})
	}
}

// compare looks at counts, bytes and times. One offset must fit all times of both tracks.
func compare(t *testing.T, all []*transmux.AccessUnit, want map[string][]packet, video, audio transmux.Codec, bytes bool) {
	t.Helper()
	offset := math.NaN()
	for _, kind := range []transmux.Kind{transmux.KindVideo, transmux.KindAudio} {
		codec := video
		if kind == transmux.KindAudio {
			codec = audio
		}
		var of []*transmux.AccessUnit
		for _, au := range all {
			if au.Track.Kind() == kind {
				of = append(of, au)
			}
		}
		if codec == "" {
			if len(of) > 0 {
				t.Errorf("got %d units of %v; want none", len(of), kind)
			}
			continue
		}
		packets := want[kind.String()]
		missing := 0
		if kind == transmux.KindAudio {
			missing = 10 // ffmpeg forgets audio that waits for its packet to fill when it says goodbye
		}
		if len(of) == 0 || len(of) < len(packets)-missing || len(of) > len(packets) {
			t.Errorf("got %d units of %v; want %d", len(of), kind, len(packets))
			continue
		}
		if of[0].Track.Codec != codec {
			t.Errorf("got %v; want %v", of[0].Track.Codec, codec)
		}
		worst := 0.0
		for i := range min(len(of), len(packets)) {
			pts, dts := packets[i].times(t)
			if math.IsNaN(offset) {
				offset = of[i].PTS.Seconds() - pts
			}
			off := math.Abs(of[i].PTS.Seconds() - pts - offset)
			if kind == transmux.KindVideo && !math.IsNaN(dts) {
				off = math.Max(off, math.Abs(of[i].DTS.Seconds()-dts-offset))
			}
			worst = math.Max(worst, off)
			if sum := md5.Sum(of[i].Data); bytes && !strings.HasSuffix(packets[i].Hash, hex.EncodeToString(sum[:])) {
				t.Fatalf("got other bytes in unit %d of %v", i, kind)
			}
		}
		t.Logf("%v: %d units, times differ by at most %.3f ms", kind, len(of), worst*1e3)
		if worst > 0.001 {
			t.Errorf("got times of %v that differ by %.3f ms; want at most 1 ms", kind, worst*1e3)
		}
	}
}
