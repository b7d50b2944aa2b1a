package flv

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux"
	"weir/transmux/amf"
	"weir/transmux/codec"
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

func avcC() []byte { return codec.AVCC([][]byte{unhex(hexSPS)}, [][]byte{unhex(hexPPS)}) }

func hvcC() []byte {
	return codec.HVCC([][]byte{unhex(hexVPS5)}, [][]byte{unhex(hexSPS5)}, [][]byte{unhex(hexPPS5)})
}

// A tagIn is a tag for a Demuxer.
type tagIn struct {
	kind byte
	ms   uint32
	body []byte
}

// A unitOut is what is wanted of an access unit.
type unitOut struct {
	Track    int
	Codec    transmux.Codec
	DTS, PTS time.Duration
	Key      bool
	Data     string // hex
}

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, unhex(p)...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func script(t *testing.T, values ...amf.Value) []byte {
	t.Helper()
	b, err := amf.Append(nil, values...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func demuxTags(t *testing.T, tags []tagIn) (*sink, *Demuxer) {
	t.Helper()
	s := &sink{}
	d := NewDemuxer(s)
	for _, in := range tags {
		if err := d.Tag(in.kind, in.ms, in.body, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	return s, d
}

const idr, inter = "00000004 65888400", "00000003 419a22"

func TestDemuxer(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	opus := codec.OpusHead(2)
	flac := unhex("664c6143 80000022 1000 1000 000000 000000 0ac442f0 00000000 00000000000000000000000000000000")
	tests := []struct {
		it      string
		in      []tagIn
		want    []unitOut
		ignored uint64
	}{
		{"reads H.264 with composition times", []tagIn{
			{Video, 0, join("17 00 000000", avcC())},
			{Video, 40, join("17 01 000050", idr)},
			{Video, 80, join("27 01 000000", inter)},
		}, []unitOut{
			{VideoID, transmux.H264, 40 * ms, 120 * ms, true, idr},
			{VideoID, transmux.H264, 80 * ms, 80 * ms, false, inter},
		}, 0},
		{"moves DTS when composition times are negative", []tagIn{
			{Video, 0, join("17 00 000000", avcC())},
			{Video, 40, join("17 01 ffffd8", idr)},
			{Video, 80, join("27 01 000000", inter)},
		}, []unitOut{
			{VideoID, transmux.H264, 0, 0, true, idr},
			{VideoID, transmux.H264, 40 * ms, 80 * ms, false, inter},
		}, 0},
		{"removes access unit delimiters", []tagIn{
			{Video, 0, join("17 00 000000", avcC())},
			{Video, 0, join("17 01 000000 00000002 0910", idr)},
			{Video, 1, join("17 01 000000", idr, "00000002 0910", inter)},
		}, []unitOut{
			{VideoID, transmux.H264, 0, 0, true, idr},
			{VideoID, transmux.H264, ms, ms, true, idr + inter},
		}, 0},
		{"reads lengths of two bytes", []tagIn{
			{Video, 0, join("17 00 000000", withLengthSize2(avcC()))},
			{Video, 0, join("17 01 000000 0004 65888400 0003 419a22")},
		}, []unitOut{{VideoID, transmux.H264, 0, 0, true, idr + inter}}, 0},
		{"reads a byte stream where lengths should be", []tagIn{
			{Video, 0, join("17 00 000000", avcC())},
			{Video, 0, join("17 01 000000 00000001 65888411 000001 419a22")},
		}, []unitOut{{VideoID, transmux.H264, 0, 0, true, "00000004 65888411" + inter}}, 0},
		{"cuts what does not fit", []tagIn{
			{Video, 0, join("17 00 000000", avcC())},
			{Video, 0, join("17 01 000000", idr, "00ffffff 41")},
		}, []unitOut{{VideoID, transmux.H264, 0, 0, true, idr}}, 0},
		{"learns parameter sets in band", []tagIn{
			{Video, 0, join("27 01 000000", inter)},
			{Video, 0, join("17 01 000000", withLength(hexSPS), withLength(hexPPS), idr)},
		}, []unitOut{{VideoID, transmux.H264, 0, 0, true,
			hex.EncodeToString(join(withLength(hexSPS), withLength(hexPPS), idr))}}, 1},
		{"drops frames before the sequence header", []tagIn{
			{Video, 0, join("17 01 000000", idr)}, {Audio, 0, join("af 01 2110")},
		}, nil, 2},
		{"ignores commands, ends, empty and unknown tags", []tagIn{
			{Video, 0, join("57 00")}, {Video, 0, join("17 02 000000")}, {Video, 0, nil}, {Audio, 0, nil},
			{Video, 0, join("1f 00")}, {Audio, 0, join("ff 00")}, {22, 0, join("00")}, {Video, 0, join("17")},
			{Video, 0, join("d0 00")}, {Video, 0, join("90 58585858 00")}, {Audio, 0, join("91 58585858 00")},
			{Video, 0, join("94 68766331 02 0009")}, {Data, 0, join("05")}, {Data3, 0, join("01")},
		}, nil, 14},
		{"reads H.265 under the id of H.264", []tagIn{
			{Video, 0, join("17 00 000000", hvcC())}, {Video, 0, join("17 01 000000 00000003 260100")},
		}, []unitOut{{VideoID, transmux.H265, 0, 0, true, "00000003 260100"}}, 0},
		{"reads H.265 under id 12", []tagIn{
			{Video, 0, join("1c 00 000000", hvcC())}, {Video, 0, join("1c 01 000028 00000003 260100")},
		}, []unitOut{{VideoID, transmux.H265, 0, 40 * ms, true, "00000003 260100"}}, 0},
		{"reads AV1 under id 13", []tagIn{
			{Video, 0, join("1d 00 000000 81000c00")}, {Video, 0, join("1d 01 000000 1200 3201 10")},
		}, []unitOut{{VideoID, transmux.AV1, 0, 0, true, "3201 10"}}, 0},
		{"reads AAC and changes its configuration in band", []tagIn{
			{Audio, 0, join("af 00 1210")}, {Audio, 23, join("af 01 2110")},
			{Audio, 46, join("af 00 1190")}, {Audio, 46, join("af 01 2111")},
		}, []unitOut{
			{AudioID, transmux.AAC, 23 * ms, 23 * ms, true, "2110"}, {AudioID, transmux.AAC, 46 * ms, 46 * ms, true, "2111"},
		}, 0},
		{"removes ADTS headers and takes the configuration from them", []tagIn{
			{Audio, 0, join("af 01 fff15080013ffc 2110")},
		}, []unitOut{{AudioID, transmux.AAC, 0, 0, true, "2110"}}, 0},
		{"reads MP3 at 8 kHz", []tagIn{{Audio, 0, join("ee ffe318c4 00")}},
			[]unitOut{{AudioID, transmux.MP3, 0, 0, true, "ffe318c400"}}, 0},
		{"reads early Opus with and without packet type", []tagIn{
			{Audio, 0, join("df 00", opus)}, {Audio, 20, join("df 01 fc00")}, {Audio, 40, join("df fc01")},
		}, []unitOut{
			{AudioID, transmux.Opus, 20 * ms, 20 * ms, true, "fc00"}, {AudioID, transmux.Opus, 40 * ms, 40 * ms, true, "fc01"},
		}, 0},
		{"reads enhanced H.265 with and without composition time", []tagIn{
			{Video, 0, join("90 68766331", hvcC())},
			{Video, 0, join("91 68766331 000028 00000003 260100")},
			{Video, 40, join("a3 68766331 00000003 020100")},
			{Video, 40, join("a2 68766331")},
		}, []unitOut{
			{VideoID, transmux.H265, 0, 40 * ms, true, "00000003 260100"},
			{VideoID, transmux.H265, 40 * ms, 40 * ms, false, "00000003 020100"},
		}, 1},
		{"reads enhanced AV1, VP9 and VP8", []tagIn{
			{Video, 0, join("90 61763031 81000c00")}, {Video, 0, join("91 61763031 3201 10")},
			{Video, 40, join("90 76703039 01000000 000a82 020202 0000")}, {Video, 40, join("91 76703039 8249834200")},
			{Video, 80, join("91 76703038 10020000")},
		}, []unitOut{
			{VideoID, transmux.AV1, 0, 0, true, "3201 10"},
			{VideoID, transmux.VP9, 40 * ms, 40 * ms, true, "8249834200"},
			{VideoID, transmux.VP8, 80 * ms, 80 * ms, true, "10020000"},
		}, 0},
		{"reads enhanced audio", []tagIn{
			{Audio, 0, join("90 4f707573", opus)}, {Audio, 0, join("91 4f707573 fc00")},
			{Audio, 1, join("90 664c6143", flac)}, {Audio, 1, join("91 664c6143 fff8c918")},
			{Audio, 2, join("91 61632d33 0b770000 1040 3f0000")}, {Audio, 3, join("91 65632d33 0b77003f 3486 0000")},
			{Audio, 4, join("91 2e6d7033 fffb90c4 00")}, {Audio, 5, join("90 6d703461 1210")}, {Audio, 5, join("91 6d703461 2110")},
		}, []unitOut{
			{AudioID, transmux.Opus, 0, 0, true, "fc00"}, {AudioID, transmux.FLAC, ms, ms, true, "fff8c918"},
			{AudioID, transmux.AC3, 2 * ms, 2 * ms, true, "0b77000010403f0000"},
			{AudioID, transmux.EAC3, 3 * ms, 3 * ms, true, "0b77003f34860000"},
			{AudioID, transmux.MP3, 4 * ms, 4 * ms, true, "fffb90c400"}, {AudioID, transmux.AAC, 5 * ms, 5 * ms, true, "2110"},
		}, 0},
		{"applies nanoseconds of ModEx", []tagIn{
			{Audio, 0, join("90 4f707573", opus)}, {Audio, 5, join("97 02 07a120 01 4f707573 fc00")},
			{Audio, 6, join("97 00 ff 17 ff 00ff", make([]byte, 256), "01 4f707573 fc01")},
		}, []unitOut{
			{AudioID, transmux.Opus, 5*ms + 500*time.Microsecond, 5*ms + 500*time.Microsecond, true, "fc00"},
			{AudioID, transmux.Opus, 6 * ms, 6 * ms, true, "fc01"},
		}, 0},
		{"reads one track of many", []tagIn{
			{Audio, 0, join("95 00 4f707573 02", opus)}, {Audio, 0, join("95 01 4f707573 02 fc00")},
		}, []unitOut{{AudioID + 2, transmux.Opus, 0, 0, true, "fc00"}}, 0},
		{"reads many tracks of one codec", []tagIn{
			{Audio, 0, join("95 10 6d703461 00 000002 1210 01 000002 1190")},
			{Audio, 0, join("95 11 6d703461 00 000002 2110 01 000002 2111")},
		}, []unitOut{{AudioID, transmux.AAC, 0, 0, true, "2110"}, {AudioID + 1, transmux.AAC, 0, 0, true, "2111"}}, 0},
		{"reads many tracks of many codecs", []tagIn{
			{Video, 0, join("96 21 76703038 00 000002 1002 76703039 01 000005 8249834200")},
		}, []unitOut{{VideoID, transmux.VP8, 0, 0, true, "1002"}, {VideoID + 1, transmux.VP9, 0, 0, true, "8249834200"}}, 0},
		{"stops at a track that does not fit", []tagIn{
			{Video, 0, join("96 11 76703038 00 000002 1002 01 000009 1002")},
		}, []unitOut{{VideoID, transmux.VP8, 0, 0, true, "1002"}}, 1},
		{"follows timestamps over 2^24 and 2^32", []tagIn{
			{Audio, 0xffffffe0, join("72 d5")}, {Video, 0x10, join("22 00")}, {Audio, 0x20, join("72 d6")},
		}, []unitOut{
			{AudioID, transmux.PCMA, 0xffffffe0 * ms, 0xffffffe0 * ms, true, "d5"},
			{VideoID, transmux.SorensonH263, 0x100000010 * ms, 0x100000010 * ms, false, "00"},
			{AudioID, transmux.PCMA, 0x100000020 * ms, 0x100000020 * ms, true, "d6"},
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			s, d := demuxTags(t, tt.in)
			var got []unitOut
			for _, au := range s.units {
				got = append(got, unitOut{au.Track.ID, au.Track.Codec, au.DTS, au.PTS, au.Key, hex.EncodeToString(au.Data)})
			}
			for i := range tt.want {
				tt.want[i].Data = strings.ReplaceAll(tt.want[i].Data, " ", "")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("units, -want +got:\n%s", diff)
			}
			if d.Ignored() != tt.ignored {
				t.Errorf("got %d ignored; want %d", d.Ignored(), tt.ignored)
			}
		})
	}
}

func withLength(nalu string) []byte { return codec.AppendNALU(nil, unhex(nalu)) }

func withLengthSize2(config []byte) []byte {
	config = bytes.Clone(config)
	config[4] = 0xfd
	return config
}

func TestDemuxerConfigurations(t *testing.T) {
	t.Parallel()
	t.Run("it makes lengths of two bytes canonical", func(t *testing.T) {
		s, _ := demuxTags(t, []tagIn{{Video, 0, join("17 00 000000", withLengthSize2(avcC()))}})
		if len(s.tracks) != 1 || !bytes.Equal(s.tracks[0].Config, avcC()) {
			t.Errorf("got %v; want one track with the canonical record", s.tracks)
		}
	})
	t.Run("it keeps the track over repeated headers and replaces it over new ones", func(t *testing.T) {
		other := codec.AVCC([][]byte{unhex(strings.Replace(hexSPS, "6764000b", "6764000c", 1))}, [][]byte{unhex(hexPPS)})
		s, d := demuxTags(t, []tagIn{
			{Video, 0, join("17 00 000000", avcC())}, {Video, 0, join("17 01 000000", idr)},
			{Video, 0, join("17 00 000000", avcC())}, {Video, 0, join("17 01 000000", idr)},
			{Video, 0, join("17 00 000000", other)}, {Video, 0, join("17 01 000000", idr)},
			{Video, 0, join("17 01 000000", withLength(hexSPS), idr)},
		})
		var tracks []*transmux.Track
		for _, au := range s.units {
			tracks = append(tracks, au.Track)
		}
		if len(tracks) != 4 || tracks[0] != tracks[1] || tracks[1] == tracks[2] || tracks[2] == tracks[3] {
			t.Fatalf("got tracks %v; want the first two the same and the others new", tracks)
		}
		if !bytes.Equal(tracks[3].Config, avcC()) {
			t.Errorf("got %x; want the record of the parameter sets in band", tracks[3].Config)
		}
		if len(d.Tracks()) != 1 || d.Tracks()[0] != tracks[3] {
			t.Errorf("got %v; want the newest track alone", d.Tracks())
		}
	})
	t.Run("it bounds the number of tracks", func(t *testing.T) {
		var in []tagIn
		for i := range 256 {
			in = append(in, tagIn{Video, 0, join("96 01 76703038", []byte{byte(i)}, "1002")})
		}
		if s, _ := demuxTags(t, in); len(s.tracks) != maxTracks {
			t.Errorf("got %d tracks; want %d", len(s.tracks), maxTracks)
		}
	})
	t.Run("it returns the error of its out", func(t *testing.T) {
		want := errors.New("nobody listens")
		d := NewDemuxer(&sink{err: want})
		if err := d.Tag(Audio, 0, join("72 d5"), time.Time{}); !errors.Is(err, want) {
			t.Errorf("got %v; want %v", err, want)
		}
	})
}

func TestDemuxerData(t *testing.T) {
	t.Parallel()
	meta := &amf.ECMAArray{Fields: []amf.Field{{Name: "streamName", Value: "lf1"}}}
	cue := &amf.Object{Fields: []amf.Field{{Name: "name", Value: "ad"}}}
	s, d := demuxTags(t, []tagIn{
		{Data, 0, script(t, "@setDataFrame", "onMetaData", meta)},
		{Data, 40, script(t, "onCuePoint", cue)},
		{Data3, 50, append([]byte{0}, script(t, "onTextData", cue)...)},
		{Data, 60, script(t, "@setDataFrame", "onFI", cue)},
		{Data, 70, script(t, "|RtmpSampleAccess", true, true)},
	})
	want := [][]byte{script(t, "onCuePoint", cue), script(t, "onTextData", cue), script(t, "onFI", cue)}
	if len(s.units) != len(want) {
		t.Fatalf("got %d units; want %d", len(s.units), len(want))
	}
	for i, au := range s.units {
		if au.Track.Codec != transmux.AMF || !bytes.Equal(au.Data, want[i]) {
			t.Errorf("unit %d: got %s %q; want %q", i, au.Track.Codec, au.Data, want[i])
		}
	}
	if !slices.ContainsFunc(d.Metadata(), func(f amf.Field) bool { return f.Name == "streamName" && f.Value == "lf1" }) {
		t.Errorf("got metadata %v; want streamName", d.Metadata())
	}
}
