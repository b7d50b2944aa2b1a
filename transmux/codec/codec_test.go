package codec

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/google/go-cmp/cmp"

	"weir/transmux"
)

// Parameter sets that x264 and x265 wrote for 176x144 at 25 pictures a second.
const (
	hexSPS  = "6764000bacd942c4ec0440000003004000000c83c50a6580"
	hexPPS  = "68ebe3cb22c0"
	hexVPS5 = "40010c01ffff01600000030090000003000003003c959009"
	hexSPS5 = "42010101600000030090000003000003003ca0162024596564924caf016808000003000800000300c840"
	hexPPS5 = "4401c172b46240"
)

// unhex decodes hex digits; spaces may stand between them.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		return nil
	}
	return b
}

func sets(list ...string) (out [][]byte) {
	for _, s := range list {
		out = append(out, unhex(s))
	}
	return out
}

func TestAnnexB(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it, in string
		want   []string
	}{
		{"splits at codes of three and four bytes", "00000001 6701 000001 6802 00000001 65", []string{"6701", "6802", "65"}},
		{"cuts trailing zeros and leaves out empty units", "000001 6701 000000 000001 00000001 65 0000", []string{"6701", "65"}},
		{"leaves out what stands before the first code", "ff00 000001 65", []string{"65"}},
		{"keeps escaped zeros", "000001 65 000003 01", []string{"6500000301"}},
		{"finds nothing where no code is", "0000 0000", nil},
		{"ends at a code", "000001", nil},
	}
	for _, tt := range tests {
		var got []string
		for nalu := range AnnexB(unhex(tt.in)) {
			got = append(got, hex.EncodeToString(nalu))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("it %s: -want +got:\n%s", tt.it, diff)
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	avc := AVCC(sets(hexSPS), sets(hexPPS))
	want := unhex("01 64000b ff e1 0018" + hexSPS + "01 0006" + hexPPS + "fdf8f800")
	if !bytes.Equal(avc, want) {
		t.Errorf("got avcC %x; want %x", avc, want)
	}
	sps, pps, size, err := ParseAVCC(avc)
	if err != nil || size != 4 || len(sps) != 1 || len(pps) != 1 || !bytes.Equal(pps[0], unhex(hexPPS)) {
		t.Errorf("got %x %x %d %v; want what was written", sps, pps, size, err)
	}
	hevc := HVCC(sets(hexVPS5), sets(hexSPS5), sets(hexPPS5))
	want = unhex("01 01 60000000 900000000000 3c f000 fc fd f8 f8 0000 0f 03" +
		"a0 0001 0018" + hexVPS5 + "a1 0001 002a" + hexSPS5 + "a2 0001 0007" + hexPPS5)
	if !bytes.Equal(hevc, want) {
		t.Errorf("got hvcC\n%x; want\n%x", hevc, want)
	}
	got := ParameterSets(&transmux.Track{Codec: transmux.H265, Config: hevc})
	if diff := cmp.Diff(sets(hexVPS5, hexSPS5, hexPPS5), got); diff != "" {
		t.Errorf("parameter sets, -want +got:\n%s", diff)
	}
	for it, b := range map[string][]byte{
		"no SPS": AVCC(nil, sets(hexPPS)), "a PPS as SPS": AVCC(sets(hexPPS), nil), "a short SPS": AVCC(sets("6764"), nil),
		"an SPS as PPS": AVCC(sets(hexSPS), sets(hexSPS)), "no H.265 SPS": HVCC(sets(hexVPS5), nil, nil),
		"a cut H.265 SPS": HVCC(nil, sets(hexSPS5[:32]), nil), "a wrong VPS": HVCC(sets(hexPPS5), sets(hexSPS5), nil),
	} {
		if b != nil {
			t.Errorf("%s: got %x; want nil", it, b)
		}
	}
	for n := range avc[:len(avc)-4] {
		if _, _, _, err := ParseAVCC(avc[:n]); err == nil {
			t.Errorf("avcC of %d bytes: got no error", n)
		}
	}
	for n := range hevc {
		if _, _, _, _, err := ParseHVCC(hevc[:n]); err == nil {
			t.Errorf("hvcC of %d bytes: got no error", n)
		}
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	avc := AVCC(sets(hexSPS), sets(hexPPS))
	p := NewParams(transmux.H264, avc)
	if c, changed := p.Config(); !bytes.Equal(c, avc) || changed {
		t.Errorf("got %x, %v; want the initial record", c, changed)
	}
	p.Note(unhex(hexSPS))
	p.Note(unhex("65888400"))
	if _, changed := p.Config(); changed {
		t.Error("got a change; want none by sets that are known")
	}
	other := strings.Replace(hexSPS, "6764000b", "6764000c", 1)
	p.Note(unhex(other))
	c, changed := p.Config()
	if !changed || !bytes.Equal(c, AVCC(sets(other), sets(hexPPS))) {
		t.Errorf("got %x, %v; want the new SPS in place of the old", c, changed)
	}
	if _, changed := p.Config(); changed {
		t.Error("got the same change twice")
	}
	p.Note(unhex("68 5d00")) // pic_parameter_set_id 1
	if c, changed = p.Config(); !changed || !bytes.Equal(c, AVCC(sets(other), sets(hexPPS, "685d00"))) {
		t.Errorf("got %x, %v; want two PPS", c, changed)
	}
	p.Note(append(unhex("68 5d00"), make([]byte, maxParams)...))
	if _, changed := p.Config(); changed {
		t.Error("got a change by a set that is too long")
	}
	h := NewParams(transmux.H265, nil)
	for _, s := range sets(hexPPS5, hexSPS5) {
		h.Note(s)
	}
	if c, changed := h.Config(); c != nil || changed {
		t.Errorf("got %x, %v; want nil without VPS", c, changed)
	}
	h.Note(unhex(hexVPS5))
	if c, changed := h.Config(); !changed || !bytes.Equal(c, HVCC(sets(hexVPS5), sets(hexSPS5), sets(hexPPS5))) {
		t.Errorf("got %x, %v; want the whole record", c, changed)
	}
}

func TestIsKey(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it    string
		codec transmux.Codec
		data  string
		want  bool
	}{
		{"an IDR picture", transmux.H264, "00000002 6588", true},
		{"a P picture", transmux.H264, "00000003 419a22", false},
		{"an I picture with SPS", transmux.H264, "00000001 67 00000003 418884", true},
		{"a picture of an I and a P slice with SPS", transmux.H264, "00000001 67 00000003 418884 00000003 419a22", false},
		{"a recovery point after another message", transmux.H264, "00000008 06 0501aa 060184 80 00000003 419a22", true},
		{"parameter sets alone", transmux.H264, "00000001 67", false},
		{"a CRA picture", transmux.H265, "00000003 4a0100 00000003 2a0100", true},
		{"a trailing picture", transmux.H265, "00000003 020100", false},
		{"a sequence header", transmux.AV1, "0a0100", true},
		{"a shown key frame", transmux.AV1, "3201 10", true},
		{"an inter frame", transmux.AV1, "3201 30", false},
		{"a VP8 key frame", transmux.VP8, "10020000", true},
		{"a VP8 inter frame", transmux.VP8, "11020000", false},
		{"a VP9 inter frame", transmux.VP9, "8600", false},
		{"an MPEG-2 I picture", transmux.MPEG2Video, "000001b3 00 00000100 000ffff8", true},
		{"an MPEG-2 B picture", transmux.MPEG2Video, "00000100 001ffff8", false},
		{"an MPEG-4 I VOP", transmux.MPEG4Video, "000001b6 1000", true},
		{"an MPEG-4 P VOP", transmux.MPEG4Video, "000001b6 5000", false},
		{"a JPEG picture", transmux.MJPEG, "ffd8", true},
		{"audio", transmux.AAC, "2110", true},
		{"an opaque picture", transmux.VP6, "00", false},
		{"nothing", transmux.AV1, "", false},
	}
	for _, tt := range tests {
		if got := IsKey(tt.codec, unhex(tt.data)); got != tt.want {
			t.Errorf("%s: got %v; want %v", tt.it, got, tt.want)
		}
	}
}

func TestDTSWhenNothingIsTold(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := []struct {
		it    string
		codec transmux.Codec
		in    []time.Duration
		want  []time.Duration
	}{
		{"is the PTS where nothing is reordered", transmux.VP9, []time.Duration{0, 40 * ms, 80 * ms}, []time.Duration{0, 40 * ms, 80 * ms}},
		{"learns that units are reordered", transmux.MPEG4Video, []time.Duration{0, 80 * ms, 40 * ms, 160 * ms, 120 * ms},
			[]time.Duration{0, 80 * ms, 40 * ms, 40 * ms, 120 * ms}},
		{"starts again after a jump", transmux.H264, []time.Duration{time.Hour, 0, 40 * ms},
			[]time.Duration{time.Hour - 120*ms, -120 * ms, 0}},
	}
	for _, tt := range tests {
		d := NewDTS(tt.codec, nil)
		var got []time.Duration
		for _, pts := range tt.in {
			got = append(got, d.Next(nil, pts))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("it %s: -want +got:\n%s", tt.it, diff)
		}
	}
}

func TestAudio(t *testing.T) {
	t.Parallel()
	flac := unhex("664c6143 80000022 1000 1000 000000 000000 0ac442f0 00000000 00000000000000000000000000000000")
	ms := time.Millisecond
	tests := []struct {
		it    string
		track transmux.Track
		data  string
		want  time.Duration
	}{
		{"AAC at 48 kHz", transmux.Track{Codec: transmux.AAC, Config: AAC(2, 48000, 2)}, "21", 21333333},
		{"HE-AAC told explicitly", transmux.Track{Codec: transmux.AAC, Config: unhex("2b8a0800")}, "21", 46439909},
		{"AAC of 960 samples", transmux.Track{Codec: transmux.AAC, Config: unhex("1194")}, "21", 20 * ms},
		{"MP3", transmux.Track{Codec: transmux.MP3}, "fffb90c4", 26122449},
		{"MPEG-2.5 layer III", transmux.Track{Codec: transmux.MP3}, "ffe318c4", 72 * ms},
		{"layer II", transmux.Track{Codec: transmux.MP2}, "fffd8404", 24 * ms},
		{"AC-3", transmux.Track{Codec: transmux.AC3}, "0b770000104040", 32 * ms},
		{"E-AC-3", transmux.Track{Codec: transmux.EAC3}, "0b77003f34860000", 32 * ms},
		{"Opus", transmux.Track{Codec: transmux.Opus}, "fc00", 20 * ms},
		{"Opus of three frames", transmux.Track{Codec: transmux.Opus}, "ff03", 60 * ms},
		{"FLAC by power", transmux.Track{Codec: transmux.FLAC, Config: flac}, "fff8c91800", 92879819},
		{"FLAC of an odd size", transmux.Track{Codec: transmux.FLAC, Config: flac}, "fff8791800 01b8", 441 * time.Second / 44100},
		{"FLAC of an odd size after a long number", transmux.Track{Codec: transmux.FLAC, Config: flac}, "fff87918 e28080 01b8", 441 * time.Second / 44100},
		{"G.711", transmux.Track{Codec: transmux.PCMU}, "ffffffffffffffff", ms},
		{"L16 stereo", transmux.Track{Codec: transmux.L16, Rate: 1000, Channels: 2}, "00000000", ms},
		{"G.722", transmux.Track{Codec: transmux.G722, Rate: 8000}, "0000000000000000", ms},
		{"linear PCM of FLV", transmux.Track{Codec: transmux.PCMFLV, Config: []byte{0x3f}}, strings.Repeat("00", 441*4), 10 * ms},
		{"Speex", transmux.Track{Codec: transmux.Speex}, "00", 0},
		{"noise", transmux.Track{Codec: transmux.MP3}, "00000000", 0},
	}
	for _, tt := range tests {
		if got := FrameDuration(&tt.track, unhex(tt.data)); got != tt.want {
			t.Errorf("%s: got %v; want %v", tt.it, got, tt.want)
		}
	}
	for _, rate := range []int{96000, 48000, 44100, 12345} {
		for channels := range 9 {
			var c mpeg4audio.AudioSpecificConfig
			b := AAC(2, rate, channels)
			if channels == 7 {
				if b != nil {
					t.Errorf("seven channels: got %x; want nil", b)
				}
				continue
			}
			if err := c.Unmarshal(b); err != nil || c.SampleRate != rate || int(c.ChannelConfig) != min(channels, 7) {
				t.Errorf("%d Hz, %d channels: got %x: %+v, %v", rate, channels, b, c, err)
			}
		}
	}
	if got, want := OpusHead(2), unhex("4f70757348656164 01 02 0000 80bb0000 0000 00"); !bytes.Equal(got, want) {
		t.Errorf("got %x; want %x", got, want)
	}
	if got := OpusHead(6); len(got) != 21+6 || OpusHead(9) != nil {
		t.Errorf("got %x; want a mapping of six channels", got)
	}
}

func TestAV1(t *testing.T) {
	t.Parallel()
	in := sets("1200", "08 0102", "0a01ff", "30 aa", "3600 02 bbcc", "7a00")
	tu := TemporalUnit(in)
	if want := unhex("0a02 0102 0a01ff 3201aa 3600 02 bbcc"); !bytes.Equal(tu, want) {
		t.Errorf("got %x; want %x", tu, want)
	}
	var got []string
	for o := range OBUs(append(tu, unhex("32 7f")...)) {
		got = append(got, hex.EncodeToString(o))
	}
	if want := []string{"0a020102", "0a01ff", "3201aa", "360002bbcc"}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	if b := AV1C(unhex("3201aa")); b != nil {
		t.Errorf("got %x; want nil for a frame", b)
	}
}
