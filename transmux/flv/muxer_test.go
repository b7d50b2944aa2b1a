package flv

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux"
	"weir/transmux/amf"
	"weir/transmux/codec"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	flac := unhex("664c6143 80000022 1000 1000 000000 000000 0ac442f0 00000000 00000000000000000000000000000000")
	tests := []struct {
		track    transmux.Track
		data     string
		enhanced bool
	}{
		{transmux.Track{Codec: transmux.H264, Config: avcC()}, idr, false},
		{transmux.Track{Codec: transmux.H265, Config: hvcC()}, "00000003 260100", true},
		{transmux.Track{Codec: transmux.AV1, Config: unhex("81000c00")}, "3201 10", true},
		{transmux.Track{Codec: transmux.VP8, Config: unhex("0100000000008202020200 00")}, "10020000", true},
		{transmux.Track{Codec: transmux.VP9, Config: unhex("0100000000008202020200 00")}, "8249834200", true},
		{transmux.Track{Codec: transmux.SorensonH263}, "000084", false},
		{transmux.Track{Codec: transmux.Screen}, "300100", false},
		{transmux.Track{Codec: transmux.Screen2}, "300101", false},
		{transmux.Track{Codec: transmux.VP6}, "007846", false},
		{transmux.Track{Codec: transmux.VP6A}, "00784600", false},
		{transmux.Track{Codec: transmux.AAC, Config: unhex("1210"), Rate: 44100, Channels: 2}, "2110", false},
		{transmux.Track{Codec: transmux.MP3, Rate: 44100, Channels: 1}, "fffb90c4 00", false},
		{transmux.Track{Codec: transmux.MP3, Rate: 8000, Channels: 1}, "ffe318c4 00", false},
		{transmux.Track{Codec: transmux.PCMA, Rate: 8000, Channels: 1}, "d5d5", false},
		{transmux.Track{Codec: transmux.PCMU, Rate: 8000, Channels: 2}, "ffff", false},
		{transmux.Track{Codec: transmux.Speex, Config: []byte{0xb2}, Rate: 16000, Channels: 1}, "1e9d66", false},
		{transmux.Track{Codec: transmux.Nellymoser, Config: []byte{0x42}, Rate: 16000, Channels: 1}, "0001", false},
		{transmux.Track{Codec: transmux.Nellymoser, Config: []byte{0x52}, Rate: 8000, Channels: 1}, "0001", false},
		{transmux.Track{Codec: transmux.Nellymoser, Config: []byte{0x6a}, Rate: 22050, Channels: 1}, "0001", false},
		{transmux.Track{Codec: transmux.ADPCM, Config: []byte{0x17}, Rate: 11025, Channels: 2}, "0001", false},
		{transmux.Track{Codec: transmux.PCMFLV, Config: []byte{0x3f}, Rate: 44100, Channels: 2}, "00010203", false},
		{transmux.Track{Codec: transmux.Opus, Config: codec.OpusHead(2), Rate: 48000, Channels: 2}, "fc00", true},
		{transmux.Track{Codec: transmux.FLAC, Config: flac, Rate: 44100, Channels: 2}, "fff8c918", true},
		{transmux.Track{Codec: transmux.AC3, Rate: 48000, Channels: 2}, "0b770000 10403f0000", true},
		{transmux.Track{Codec: transmux.EAC3, Rate: 48000, Channels: 2}, "0b77003f 34860000", true},
		{transmux.Track{ID: DataID, Codec: transmux.AMF}, "02 0004 6f6e4649", false},
	}
	for _, tt := range tests {
		for _, num := range []int{0, 1} { // alone, and as the second of its kind
			track := tt.track
			if track.Kind() == transmux.KindAudio {
				track.ID = AudioID
			}
			if num == 1 && !numbered(&track) {
				continue
			}
			t.Run(string(track.Codec)+strings.Repeat(" as second track", num), func(t *testing.T) {
				t.Parallel()
				if err := Carries(&track, false); (err != nil) != tt.enhanced {
					t.Errorf("got %v without Enhanced RTMP; want an error: %v", err, tt.enhanced)
				}
				in := &sink{tracks: []*transmux.Track{&track}}
				if num == 1 {
					first := track
					track.ID++
					in.tracks = []*transmux.Track{&first, &track}
				}
				for i := range 4 {
					in.units = append(in.units, transmux.AccessUnit{
						Track: &track, DTS: time.Duration(i) * 40 * time.Millisecond, PTS: time.Duration(i) * 40 * time.Millisecond,
						Key: true, Data: unhex(tt.data),
					})
				}
				if track.Codec == transmux.H264 || track.Codec == transmux.H265 {
					in.units[2].PTS += 80 * time.Millisecond
				}
				b := mux(in, Options{Enhanced: tt.enhanced || num == 1, Multitrack: num == 1})
				out := demux(t, b, 7)
				if diff := cmp.Diff(in.units, out.units); diff != "" {
					t.Errorf("units, -before +after:\n%s", diff)
				}
			})
		}
	}
}

func TestCarries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		track transmux.Track
		want  string
	}{
		{transmux.Track{Codec: transmux.MPEG2Video}, "FLV has no video codec mpeg2video"},
		{transmux.Track{Codec: transmux.MP2}, "FLV has no audio codec mp2"},
		{transmux.Track{Codec: transmux.PCMA, Rate: 16000}, "FLV carries pcma with 8 kHz and at most two channels only"},
		{transmux.Track{Codec: transmux.SCTE35}, "FLV carries no scte35 data"},
	}
	for _, tt := range tests {
		if err := Carries(&tt.track, true); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v; want %s", tt.track.Codec, err, tt.want)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	track := &transmux.Track{Codec: transmux.H264, Config: avcC()}
	b := NewBodies(Options{})
	b.Tracks([]*transmux.Track{track})
	// 30000/1001 pictures a second, from before 2^24 and 2^32 ms on, each second one shown later.
	for _, from := range []time.Duration{0, 1<<24*time.Millisecond - time.Second, 1<<32*time.Millisecond - time.Second} {
		for i := range 90 {
			at := func(n int) time.Duration { return from + time.Duration(n)*1001*time.Second/30000 }
			au := &transmux.AccessUnit{Track: track, DTS: at(i), PTS: at(i + 1 + i%3), Data: unhex(inter)}
			b.Unit(au, func(tag Tag) {
				if tag.Config {
					return
				}
				dts := au.DTS.Round(time.Millisecond)
				if want := uint32(dts / time.Millisecond); tag.Timestamp != want {
					t.Errorf("unit %d: got timestamp %d; want %d", i, tag.Timestamp, want)
				}
				if got, want := signed24(tag.Head[2:]), au.PTS.Round(time.Millisecond)-dts; got != want {
					t.Errorf("unit %d: got composition time %v; want %v", i, got, want)
				}
			})
		}
	}
}

func TestMuxer(t *testing.T) {
	t.Parallel()
	video := &transmux.Track{ID: 1, Codec: transmux.H264, Config: avcC()}
	audio := &transmux.Track{ID: 2, Codec: transmux.AAC, Config: unhex("1190")}
	second := &transmux.Track{ID: 3, Codec: transmux.AAC, Config: unhex("1210"), Lang: "deu"}
	unit := func(t *transmux.Track, ms int, key bool) *transmux.AccessUnit {
		at := time.Duration(ms) * time.Millisecond
		return &transmux.AccessUnit{Track: t, DTS: at, PTS: at, Key: key, Data: unhex(idr)}
	}
	collect := func(m *Muxer, units ...*transmux.AccessUnit) (out []*transmux.Chunk) {
		for _, au := range units {
			m.Mux(au, func(c *transmux.Chunk) { out = append(out, c) })
		}
		return out
	}
	t.Run("it sends new sequence headers in band and whole ones with keys", func(t *testing.T) {
		m := NewMuxer(Options{})
		m.Tracks([]*transmux.Track{video, audio})
		changed := *audio
		changed.Config = unhex("1210")
		chunks := collect(m, unit(video, 0, true), unit(audio, 0, true), unit(&changed, 20, true), unit(video, 40, true))
		var heads []string
		for _, c := range chunks {
			heads = append(heads, string(c.Bufs[0][0])+string(c.Bufs[0][tagHeader+1])+string(rune('0'+len(c.Init))))
			if got := len(bytes.Join(c.Bufs, nil)); got != c.Size {
				t.Errorf("got size %d; want %d", c.Size, got)
			}
		}
		want := []string{"\x09\x000", "\x09\x013", "\x08\x000", "\x08\x010", "\x08\x000", "\x08\x010", "\x09\x013"}
		if diff := cmp.Diff(want, heads); diff != "" {
			t.Errorf("kind, packet type and number of Init, -want +got:\n%s", diff)
		}
		last := chunks[len(chunks)-1].Init
		if !bytes.Contains(last[2], unhex("af00 1210")) {
			t.Errorf("got Init %x; want the new audio configuration", last)
		}
	})
	t.Run("it carries the first track of a kind unless receivers know several", func(t *testing.T) {
		for _, multi := range []bool{false, true} {
			m := NewMuxer(Options{Enhanced: true, Multitrack: multi})
			m.Tracks([]*transmux.Track{video, audio, second})
			got := m.Carried()
			if want := 2 + len(collect(m, unit(second, 0, true)))/2; len(got) != want || multi != slices.Contains(got, second) {
				t.Errorf("multitrack %v: got %v", multi, got)
			}
		}
	})
	t.Run("it lets receivers start at audio when video stays silent", func(t *testing.T) {
		m := NewMuxer(Options{})
		m.Tracks([]*transmux.Track{video, audio})
		var keys []bool
		for _, c := range collect(m, unit(audio, 0, true), unit(audio, 1999, true), unit(audio, 2000, true)) {
			keys = append(keys, c.Key)
		}
		if diff := cmp.Diff([]bool{false, false, false, true}, keys); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("it drops units of tracks without configuration and units that are too long", func(t *testing.T) {
		m := NewMuxer(Options{})
		m.Tracks([]*transmux.Track{{ID: 1, Codec: transmux.H264}, audio})
		long := unit(audio, 0, true)
		long.Data = make([]byte, MaxBody)
		if got := collect(m, unit(&transmux.Track{ID: 1, Codec: transmux.H264}, 0, true), long); len(got) != 1 {
			t.Errorf("got %d chunks; want the sequence header alone", len(got))
		}
	})
	t.Run("it describes the stream", func(t *testing.T) {
		b := NewBodies(Options{Enhanced: true, Multitrack: true})
		b.Tracks([]*transmux.Track{video, audio, second})
		_, rest, err := amf.Decode(b.Init(time.Second)[0].Head)
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := amf.Decode(rest)
		if err != nil {
			t.Fatal(err)
		}
		want := &amf.ECMAArray{Fields: []amf.Field{
			{Name: "duration", Value: 0.0}, {Name: "width", Value: 176.0}, {Name: "height", Value: 144.0},
			{Name: "framerate", Value: 25.0}, {Name: "videocodecid", Value: 7.0}, {Name: "audiocodecid", Value: 10.0},
			{Name: "audiosamplerate", Value: 48000.0}, {Name: "audiosamplesize", Value: 16.0}, {Name: "stereo", Value: true},
			{Name: "audioTrackIdInfoMap", Value: &amf.Object{Fields: []amf.Field{{Name: "1", Value: &amf.Object{Fields: []amf.Field{
				{Name: "samplerate", Value: 44100.0}, {Name: "channels", Value: 2.0}, {Name: "language", Value: "deu"},
			}}}}}},
			{Name: "encoder", Value: "weir"},
		}}
		if diff := cmp.Diff(amf.Value(want), v); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("it moves tags but not onMetaData to a receiver's own time", func(t *testing.T) {
		m := NewMuxer(Options{})
		m.Tracks([]*transmux.Track{audio})
		c := collect(m, unit(audio, 5000, true))[1]
		for i, want := range []uint32{0, 1000} {
			if got := getTimestamp(Shift([][]byte{c.Init[i]}, 4000)[0]); got != want {
				t.Errorf("got %d; want %d", got, want)
			}
		}
		if got := getTimestamp(Shift(c.Bufs, 5001)[0]); got != 1<<32-1 || getTimestamp(c.Bufs[0]) != 5000 {
			t.Errorf("got %d and the original %d; want 2^32-1 and 5000", got, getTimestamp(c.Bufs[0]))
		}
	})
}
