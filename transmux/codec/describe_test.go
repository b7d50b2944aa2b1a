package codec

import (
	"testing"
	"time"

	"weir/transmux"
)

func TestDescribeUnitOfRealStreams(t *testing.T) {
	t.Parallel()
	video := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=336x240:rate=25:duration=0.4", "-pix_fmt", "yuv420p"}
	audio := []string{"-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:duration=0.4", "-ac", "2"}
	tests := []struct {
		codec    transmux.Codec
		args     []string
		skip     int // bytes of a container's header
		want     Info
		duration time.Duration
	}{
		{transmux.MPEG2Video, append(video, "-c:v", "mpeg2video", "-bf", "2", "-f", "mpeg2video"), 0,
			Info{Width: 336, Height: 240, FPS: 25, Profile: "main", BFrames: true}, 0},
		{transmux.MPEG2Video, append(video, "-c:v", "mpeg1video", "-f", "mpeg1video"), 0, Info{Width: 336, Height: 240, FPS: 25, BFrames: true}, 0},
		{transmux.MPEG4Video, append(video, "-c:v", "mpeg4", "-f", "m4v"), 0, Info{Width: 336, Height: 240, BFrames: false}, 0},
		{transmux.MJPEG, append(video, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "mjpeg"), 0, Info{Width: 336, Height: 240}, 0},
		{transmux.VP8, append(video, "-c:v", "libvpx", "-f", "ivf"), 44, Info{Width: 336, Height: 240}, 0},
		{transmux.VP9, append(video, "-c:v", "libvpx-vp9", "-f", "ivf"), 44, Info{Width: 336, Height: 240, Profile: "0"}, 0},
		{transmux.AV1, append(video, "-c:v", "libaom-av1", "-cpu-used", "8", "-f", "obu"), 0,
			Info{Width: 336, Height: 240, Profile: "main", Level: "2.0"}, 0},
		{transmux.MP3, append(audio, "-c:a", "libmp3lame", "-ar", "44100", "-id3v2_version", "0", "-write_xing", "0", "-f", "mp3"), 0,
			Info{Rate: 44100, Channels: 2, Profile: "layer 3"}, 26122449},
		{transmux.MP3, append(audio, "-c:a", "libmp3lame", "-ar", "11025", "-id3v2_version", "0", "-write_xing", "0", "-f", "mp3"), 0,
			Info{Rate: 11025, Channels: 2, Profile: "layer 3"}, 52244898},
		{transmux.MP2, append(audio, "-c:a", "mp2", "-ar", "48000", "-f", "mp2"), 0, Info{Rate: 48000, Channels: 2, Profile: "layer 2"}, 24 * time.Millisecond},
		{transmux.AC3, append(audio, "-c:a", "ac3", "-ar", "48000", "-f", "ac3"), 0, Info{Rate: 48000, Channels: 2}, 32 * time.Millisecond},
		{transmux.EAC3, append(audio, "-c:a", "eac3", "-ar", "32000", "-f", "eac3"), 0, Info{Rate: 32000, Channels: 2}, 48 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run("it reads "+string(tt.codec), func(t *testing.T) {
			t.Parallel()
			b := run(t, "ffmpeg", append(tt.args[:len(tt.args):len(tt.args)], "-")...)[tt.skip:]
			if len(b) < 200 {
				t.Fatalf("got %d bytes of ffmpeg", len(b))
			}
			if tt.codec == transmux.AV1 {
				seq := firstOBU(b, obuSequenceHeader)
				config := AV1C(seq)
				if got := Describe(&transmux.Track{Codec: tt.codec, Config: config}); got != tt.want {
					t.Errorf("by configuration: got %+v; want %+v", got, tt.want)
				}
			}
			if tt.codec == transmux.EAC3 { // the file is many access units
				b = b[:(int(b[2]&7)<<8|int(b[3])+1)*2]
			}
			track := &transmux.Track{Codec: tt.codec}
			got := DescribeUnit(track, b)
			if tt.want.FPS == 0 {
				got.FPS = 0
			}
			if got != tt.want {
				t.Errorf("got %+v; want %+v", got, tt.want)
			}
			if d := FrameDuration(track, b); d != tt.duration {
				t.Errorf("got a duration of %v; want %v", d, tt.duration)
			}
			if !IsKey(tt.codec, b) {
				t.Error("the first unit is no key")
			}
		})
	}
}

func firstOBU(b []byte, typ int) []byte {
	for o := range OBUs(b) {
		if obuType(o) == typ {
			return o
		}
	}
	return nil
}
