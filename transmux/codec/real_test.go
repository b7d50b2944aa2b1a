package codec

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"weir/transmux"
)

// A realUnit is an access unit of a stream that ffmpeg made, with the times that ffmpeg's encoder gave it.
type realUnit struct {
	data     []byte
	pts, dts time.Duration
	key      bool
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr []byte
	out, err := cmd.Output()
	if e, ok := err.(*exec.ExitError); ok {
		stderr = e.Stderr
	}
	if err != nil {
		t.Fatalf("%s %v: %v; install the Debian package ffmpeg\n%s", name, args, err, stderr)
	}
	return out
}

// encode makes a test picture with the encoder arguments and returns its access units in decoding order.
func encode(t *testing.T, c transmux.Codec, args ...string) []realUnit {
	t.Helper()
	dir := t.TempDir()
	mp4 := filepath.Join(dir, "a.mp4")
	in := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=192x108:rate=25:duration=5", "-pix_fmt", "yuv420p"}
	run(t, "ffmpeg", append(append(in, args...), "-f", "mp4", mp4)...)
	var probe struct {
		Packets []struct {
			PTS   string `json:"pts_time"`
			DTS   string `json:"dts_time"`
			Flags string `json:"flags"`
		}
	}
	out := run(t, "ffprobe", "-v", "error", "-show_packets", "-of", "json", mp4)
	if err := json.Unmarshal(out, &probe); err != nil {
		t.Fatal(err)
	}
	format, bsf := "h264", "h264_mp4toannexb,h264_metadata=aud=insert"
	if c == transmux.H265 {
		format, bsf = "hevc", "hevc_mp4toannexb,hevc_metadata=aud=insert"
	}
	raw := filepath.Join(dir, "a.raw")
	run(t, "ffmpeg", "-v", "error", "-i", mp4, "-c", "copy", "-bsf:v", bsf, "-f", format, raw)
	b, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	var units []realUnit
	for nalu := range AnnexB(b) {
		if IsAUD(c, nalu) {
			units = append(units, realUnit{})
			continue
		}
		u := &units[len(units)-1]
		u.data = AppendNALU(u.data, nalu)
	}
	if len(units) != len(probe.Packets) || len(units) < 100 {
		t.Fatalf("got %d access units; want %d", len(units), len(probe.Packets))
	}
	for i, p := range probe.Packets {
		units[i].pts, units[i].dts, units[i].key = seconds(t, p.PTS), seconds(t, p.DTS), p.Flags[0] == 'K'
	}
	return units
}

func seconds(t *testing.T, s string) time.Duration {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(f * float64(time.Second)).Round(time.Microsecond)
}

func TestDTSOfRealStreams(t *testing.T) {
	t.Parallel()
	x264 := func(params string) []string { return []string{"-c:v", "libx264", "-x264-params", params} }
	x265 := func(params string) []string {
		return []string{"-c:v", "libx265", "-x265-params", "log-level=none:" + params}
	}
	tests := []struct {
		it    string
		codec transmux.Codec
		args  []string
		exact bool // every distance equals; else only the order of times is checked
	}{
		{"follows x264 with a pyramid", transmux.H264, x264("bframes=3:b-pyramid=normal:keyint=50"), true},
		{"follows x264 with plain B-frames", transmux.H264, x264("bframes=2:b-pyramid=none:keyint=30"), true},
		{"follows x264 with many B-frames", transmux.H264, x264("bframes=16:b-adapt=0:b-pyramid=strict:keyint=60"), true},
		{"follows x264 with an open GOP", transmux.H264, x264("bframes=3:open-gop=1:keyint=25"), true},
		{"follows x264 interlaced", transmux.H264, x264("bframes=3:keyint=25:tff=1"), true},
		{"follows x264 without B-frames", transmux.H264, x264("bframes=0:keyint=25"), true},
		{"follows x264 with intra refresh", transmux.H264, x264("intra-refresh=1:bframes=0:keyint=25"), true},
		{"follows x264 with a variable frame rate", transmux.H264, append([]string{"-vf",
			"setpts='N*0.04/TB+if(gt(mod(N,5),2),0.013/TB,0)'", "-vsync", "vfr", "-enc_time_base", "1/1000"},
			x264("bframes=3:keyint=40")...), false},
		{"follows x265 with its defaults", transmux.H265, x265("keyint=50"), true},
		{"follows x265 with a pyramid", transmux.H265, x265("bframes=4:b-pyramid=1:open-gop=0:keyint=25"), true},
		{"follows x265 with plain B-frames", transmux.H265, x265("bframes=3:b-pyramid=0:keyint=25"), true},
		{"follows x265 with temporal layers", transmux.H265, x265("bframes=3:temporal-layers=3:keyint=25"), true},
		{"follows x265 without B-frames", transmux.H265, x265("bframes=0:keyint=25"), true},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			units := encode(t, tt.codec, tt.args...)
			for _, start := range []int{0, nextKey(units)} { // from the beginning, and joined in the middle
				checkDTS(t, NewDTS(tt.codec, configOf(t, tt.codec, units)), units[start:], tt.exact && start == 0, tt.exact)
			}
		})
	}
}

// configOf collects the configuration record from the parameter sets in band.
func configOf(t *testing.T, c transmux.Codec, units []realUnit) []byte {
	t.Helper()
	p := NewParams(c, nil)
	for nalu := range transmux.NALUs(units[0].data) {
		p.Note(nalu)
	}
	config, changed := p.Config()
	if config == nil || !changed {
		t.Fatalf("got %x, %v; want a record that changed", config, changed)
	}
	return config
}

func nextKey(units []realUnit) int {
	for i := 1; i < len(units); i++ {
		if units[i].key {
			return i
		}
	}
	return 1
}

// checkDTS compares derived with real times: all of them, or from where reordering has settled.
func checkDTS(t *testing.T, d *DTS, units []realUnit, fromStart, settled bool) {
	t.Helper()
	var last, offset time.Duration
	for i, u := range units {
		got := d.Next(u.data, u.pts)
		if got > u.pts {
			t.Fatalf("unit %d: got DTS %v above PTS %v", i, got, u.pts)
		}
		if i > 0 && got < last {
			t.Fatalf("unit %d: got DTS %v after %v", i, got, last)
		}
		last = got
		if i == 0 && fromStart || i == 20 && !fromStart {
			offset = got - u.dts
		}
		if (fromStart || i > 20 && settled) && got-u.dts != offset {
			t.Fatalf("unit %d: got DTS %v; want %v", i, got, u.dts+offset)
		}
	}
}

// withoutVUI returns an x264 SPS of high profile without what tells its reordering.
func withoutVUI(t *testing.T, sps []byte) []byte {
	t.Helper()
	b := unescape(sps, len(sps))
	r := bitReader{b: b, pos: 32}
	for range 4 { // id, chroma format, bit depths
		r.ue()
	}
	r.skip(2)
	for range 4 { // frame number, order count type, order count, reference frames
		r.ue()
	}
	r.skip(1)
	r.ue() // width and height
	r.ue()
	if !r.flag() {
		r.skip(1)
	}
	r.skip(1)
	if r.flag() {
		for range 4 {
			r.ue()
		}
	}
	end := r.pos
	if !r.flag() || r.bad {
		t.Fatalf("%x has no VUI", sps)
	}
	var w bitWriter
	r = bitReader{b: b}
	for range end {
		w.bits(r.bits(1), 1)
	}
	w.bits(1, 2) // no VUI, stop bit
	return w.b
}

func firstSets(units []realUnit) (sps, pps [][]byte) {
	for nalu := range transmux.NALUs(units[0].data) {
		switch naluType(transmux.H264, nalu) {
		case avcSPS:
			sps = append(sps, nalu)
		case avcPPS:
			pps = append(pps, nalu)
		}
	}
	return sps, pps
}

func TestDTSOfRealStreamsThatTellNothing(t *testing.T) {
	t.Parallel()
	for _, params := range []string{"bframes=3:b-pyramid=normal:keyint=50", "bframes=2:b-pyramid=none:keyint=30"} {
		t.Run("it follows picture order counts of x264 with "+params, func(t *testing.T) {
			t.Parallel()
			units := encode(t, transmux.H264, "-c:v", "libx264", "-x264-params", params)
			for i := range units {
				var data []byte
				for nalu := range transmux.NALUs(units[i].data) {
					if naluType(transmux.H264, nalu) == avcSPS {
						nalu = withoutVUI(t, nalu)
					}
					data = AppendNALU(data, nalu)
				}
				units[i].data = data
			}
			d := NewDTS(transmux.H264, nil)
			checkDTS(t, d, units, false, true)
			if d.extract == nil || d.reorder >= 0 {
				t.Error("got an estimate; want it by picture order counts")
			}
			d = NewDTS(transmux.H264, AVCC(firstSets(units)))
			checkDTS(t, d, units[7:], false, false) // joined in the middle of a GOP
			if d.extract == nil || d.reorder >= 0 {
				t.Error("got an estimate for a joined stream; want it by picture order counts")
			}
		})
		t.Run("it keeps the order of x264 without any SPS and with "+params, func(t *testing.T) {
			t.Parallel()
			units := encode(t, transmux.H264, "-c:v", "libx264", "-x264-params", params)
			d := NewDTS(transmux.H264, nil)
			var last time.Duration
			for i, u := range units {
				got := d.Next(u.data[len(u.data)-min(len(u.data), 4):], u.pts) // nothing that can be read
				if got > u.pts || i > 50 && got < last {
					t.Fatalf("unit %d: got DTS %v after %v with PTS %v", i, got, last, u.pts)
				}
				last = got
			}
		})
	}
}

func TestDescribeOfRealStreams(t *testing.T) {
	t.Parallel()
	avc := encode(t, transmux.H264, "-c:v", "libx264", "-bf", "2")
	hevc := encode(t, transmux.H265, "-c:v", "libx265", "-x265-params", "log-level=none")
	want := Info{Width: 192, Height: 108, FPS: 25, Profile: "high", Level: "1.1", BFrames: true}
	if got := DescribeUnit(&transmux.Track{Codec: transmux.H264}, avc[0].data); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
	want.Profile, want.Level = "main", "1.0"
	track := &transmux.Track{Codec: transmux.H265, Config: configOf(t, transmux.H265, hevc)}
	if got := Describe(track); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

func TestIsKeyOfRealStreams(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it    string
		codec transmux.Codec
		args  []string
	}{
		{"finds IDR pictures", transmux.H264, []string{"-c:v", "libx264", "-g", "25"}},
		{"finds recovery points of an open GOP", transmux.H264, []string{"-c:v", "libx264", "-x264-params", "open-gop=1:keyint=25"}},
		{"finds recovery points of intra refresh", transmux.H264, []string{"-c:v", "libx264", "-x264-params", "intra-refresh=1:keyint=25:bframes=0"}},
		{"finds CRA pictures", transmux.H265, []string{"-c:v", "libx265", "-x265-params", "log-level=none:keyint=25"}},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			keys := 0
			for i, u := range encode(t, tt.codec, tt.args...) {
				got := IsKey(tt.codec, u.data)
				if got != u.key {
					t.Errorf("unit %d: got %v; want %v", i, got, u.key)
				}
				if got {
					keys++
				}
			}
			if keys < 3 {
				t.Errorf("got %d key frames; want at least 3", keys)
			}
		})
	}
}
