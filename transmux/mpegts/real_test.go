package mpegts

import (
	"strings"
	"testing"

	"weir/transmux"
)

// source is a picture and a tone, encoded by args.
func source(args ...string) []string {
	return append([]string{
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", "3",
	}, args...)
}

func x264(args ...string) []string {
	return append([]string{"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-x264-params", "keyint=25:bframes=2:b-adapt=0:b-pyramid=0:scenecut=0"}, args...)
}

func TestDemuxReal(t *testing.T) {
	t.Parallel()
	const (
		filter264 = "h264_mp4toannexb,filter_units=remove_types=9"
		filter265 = "hevc_mp4toannexb,filter_units=remove_types=35"
		raw       = "aac_adtstoasc"
	)
	for _, c := range []struct {
		name         string
		args         []string
		video, audio transmux.Codec
		vf, af       string // filters of the reference
		payload      bool   // of the audio can be compared
	}{
		{"reads h264 with B-frames and aac", append(x264(), "-c:a", "aac"), transmux.H264, transmux.AAC, filter264, raw, true},
		{"reads what comes over the wrap of 33 bits", append(x264(), "-c:a", "aac", "-output_ts_offset", "95441"), transmux.H264, transmux.AAC, filter264, raw, true},
		{"reads the 192 byte form", append(x264(), "-c:a", "ac3", "-mpegts_m2ts_mode", "1"), transmux.H264, transmux.AC3, filter264, "", true},
		{"reads h265 and mp3", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:bframes=3", "-c:a", "libmp3lame"}, transmux.H265, transmux.MP3, filter265, "", true},
		{"reads mpeg-2 video and mp2", []string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-c:a", "mp2"}, transmux.MPEG2Video, transmux.MP2, "", "", true},
		{"reads mpeg-1 video and mp3 of a low rate", []string{"-c:v", "mpeg1video", "-g", "12", "-c:a", "libmp3lame", "-ar", "24000"}, transmux.MPEG2Video, transmux.MP3, "", "", true},
		{"reads interlaced mpeg-2 video", []string{"-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-g", "12", "-c:a", "mp2"}, transmux.MPEG2Video, transmux.MP2, "", "", true},
		{"reads mpeg-4 video and ac3 in the ATSC form", []string{"-c:v", "mpeg4", "-bf", "2", "-g", "25", "-c:a", "ac3"}, transmux.MPEG4Video, transmux.AC3, "", "", true},
		{"reads ac3 in the DVB form", append(x264(), "-c:a", "ac3", "-mpegts_flags", "system_b"), transmux.H264, transmux.AC3, filter264, "", true},
		{"reads eac3 in the ATSC form", append(x264(), "-c:a", "eac3"), transmux.H264, transmux.EAC3, filter264, "", true},
		{"reads eac3 in the DVB form", append(x264(), "-c:a", "eac3", "-mpegts_flags", "system_b"), transmux.H264, transmux.EAC3, filter264, "", true},
		{"reads aac in latm", append(x264(), "-c:a", "aac", "-mpegts_flags", "latm"), transmux.H264, transmux.AAC, filter264, "", false},
		{"reads opus", append(x264(), "-c:a", "libopus"), transmux.H264, transmux.Opus, filter264, "", false},
		{"reads h264 of several slices", append(x264("-slices", "4"), "-c:a", "aac"), transmux.H264, transmux.AAC, filter264, raw, true},
		{"reads a constant rate with null packets", append(x264(), "-c:a", "aac", "-muxrate", "3M"), transmux.H264, transmux.AAC, filter264, raw, true},
		{"reads video PES with lengths", append(x264(), "-c:a", "aac", "-omit_video_pes_length", "0"), transmux.H264, transmux.AAC, filter264, raw, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := makeFile(t, "a.ts", append(source(c.args...), "-f", "mpegts")...)
			ts := readFile(t, path)
			k, d := demux(t, ts, Options{}, 1316)
			if len(k.tracks) != 2 || k.tracks[0].Codec != c.video {
				t.Fatalf("got tracks %v; want %s and %s", k.tracks, c.video, c.audio)
			}
			video, audio := k.of(k.tracks[0].ID), k.of(k.tracks[1].ID)
			if len(video) == 0 || len(audio) == 0 {
				t.Fatalf("got %d and %d units; want some; counters %+v", len(video), len(audio), d.Counters())
			}
			if got := audio[0].Track; got.Codec != c.audio || !got.Configured() || got.Rate == 0 {
				t.Errorf("got audio track %+v; want configured %s", got, c.audio)
			}
			if !video[0].Key || !video[0].Track.Configured() {
				t.Errorf("got a first unit that is no configured key frame; want one")
			}
			var write func([]byte) []byte
			if strings.Contains(c.vf, "filter_units") {
				write = func(b []byte) []byte { return filtered(c.video, b) }
			}
			compare(t, "video", ours(video, write), reference(t, path, "0:v", c.vf), true)
			compare(t, "audio", ours(audio, nil), reference(t, path, "0:a", c.af), c.payload)
			n := d.Counters()
			n.Packets, n.Null, n.Skipped = 0, 0, n.Skipped/5 // 4 bytes stand before the first packet of 192
			if n != (Counters{PCRJump: n.PCRJump}) {
				t.Errorf("got counters %+v; want none of a clean stream", n)
			}
		})
	}
}

// The frames of LATM and Opus, which ffmpeg does not take out of their wrapping, are those that went in.
func TestDemuxWrapped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		flag []string
	}{
		{"takes aac out of latm", []string{"-c:a", "aac"}, []string{"-mpegts_flags", "latm"}},
		{"takes opus out of its control header", []string{"-c:a", "libopus"}, nil},
		{"takes several opus packets out of one PES packet", []string{"-c:a", "libopus", "-frame_duration", "2.5"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mkv := makeFile(t, "a.mkv", append(source("-map", "1:a"), c.args...)...)
			path := makeFile(t, "a.ts", append([]string{"-i", mkv, "-c", "copy", "-f", "mpegts"}, c.flag...)...)
			k, _ := demux(t, readFile(t, path), Options{}, 4096)
			want, got := reference(t, mkv, "0:a", ""), ours(k.of(256), nil)
			if len(got) != len(want) {
				t.Fatalf("got %d frames; want %d", len(got), len(want))
			}
			for i := range want {
				if got[i].hash != want[i].hash {
					t.Fatalf("frame %d: got another payload; want that of the source", i)
				}
			}
		})
	}
}
