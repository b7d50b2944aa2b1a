package mpegts

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"weir/transmux"
)

// Every codec that has a form in MPEG-TS comes back as it was, and ffprobe calls it by its name.
func TestAllCodecs(t *testing.T) {
	t.Parallel()
	splice := section(0xfc, 0, 0, bytes.Repeat([]byte{1}, 20))
	splice[1] &^= 0x80 // splice_info_section has the short form, with CRC
	copy(splice[len(splice)-4:], crcOf(splice[:len(splice)-4]))
	teletext := bytes.Repeat([]byte{0xff}, 3*184-45)
	copy(teletext, []byte{0x10, 0x02, 0x2c})
	for _, c := range []struct {
		name  string
		track transmux.Track
		data  []byte
		probe string
	}{
		{"scte-35", transmux.Track{Codec: transmux.SCTE35}, splice, "scte_35"},
		{"klv of another origin", transmux.Track{Codec: transmux.KLV}, bytes.Repeat([]byte{6}, 100), "klv"},
		{"klv with its descriptors", transmux.Track{Codec: transmux.KLV, StreamType: typePrivate, Descriptors: registration(registeredKLV)}, bytes.Repeat([]byte{6}, 100), "klv"},
		{"id3", transmux.Track{Codec: transmux.ID3}, append([]byte("ID3\x04\x00\x00\x00\x00\x00\x10"), make([]byte, 16)...), "timed_id3"},
		{"teletext", transmux.Track{Codec: transmux.Teletext, StreamType: typePrivate, Descriptors: []byte{descTeletext, 5, 'd', 'e', 'u', 0x11, 0}}, teletext, "dvb_teletext"},
		{"dvb subtitles", transmux.Track{Codec: transmux.DVBSubtitles, StreamType: typePrivate, Descriptors: []byte{descSubtitling, 8, 'f', 'r', 'a', 0x10, 0, 1, 0, 1}}, []byte{0x20, 0, 0x0f, 0xff}, "dvb_subtitle"},
		{"private data", transmux.Track{Codec: transmux.PrivateData, StreamType: typePrivate, Descriptors: []byte{descRegistration, 4, 'X', 'X', 'X', 'X'}}, []byte{1, 2, 3}, "bin_data"},
		{"private sections", transmux.Track{Codec: transmux.PrivateData, StreamType: typeSections}, section(0x80, 7, 0, []byte{1, 2, 3, 4}), "unknown"},
		{"av1", transmux.Track{Codec: transmux.AV1}, []byte{0x0a, 5, 0, 0, 0, 0, 0, 0x32, 6, 0, 0, 1, 0, 0, 3}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			audio := &transmux.Track{ID: 1, Codec: transmux.MP2, Rate: 48000, Channels: 2}
			track := c.track
			track.ID = 2
			k := &taken{tracks: []*transmux.Track{audio, &track}}
			mp2 := make([]byte, 576)
			copy(mp2, []byte{0xff, 0xfd, 0xa4, 0})
			for i := range 50 {
				at := time.Second + time.Duration(i)*24*time.Millisecond
				k.units = append(k.units, transmux.AccessUnit{Track: audio, DTS: at, PTS: at, Data: mp2},
					transmux.AccessUnit{Track: &track, DTS: at, PTS: at, Data: c.data, Key: true})
			}
			ts, _ := remux(t, k, MuxOptions{})
			got, d := demux(t, ts, Options{}, 1316)
			i := slices.IndexFunc(got.tracks, func(o *transmux.Track) bool { return o.Codec == track.Codec })
			if i < 0 {
				t.Fatalf("got tracks %v; want %s", got.tracks, track.Codec)
			}
			if track.StreamType != 0 && !bytes.Equal(got.tracks[i].Descriptors, track.Descriptors) {
				t.Errorf("got descriptors %x; want %x", got.tracks[i].Descriptors, track.Descriptors)
			}
			want := ours(k.of(2), nil)
			compare(t, c.name, ours(got.of(got.tracks[i].ID), nil), want, true)
			if n := d.Counters(); n.CC+n.PES+n.Section+n.CRC+n.Frame != 0 {
				t.Errorf("got counters %+v; want no errors", n)
			}
			if c.probe == "" {
				return // ffmpeg 5.1 does not know it
			}
			path := filepath.Join(t.TempDir(), "a.ts")
			if err := os.WriteFile(path, ts, 0o600); err != nil {
				t.Fatal(err)
			}
			out := string(tool(t, "ffprobe", "ffmpeg", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", path))
			if !strings.Contains(out, "mp2") || !strings.Contains(out, c.probe) {
				t.Errorf("got %q from ffprobe; want mp2 and %s", out, c.probe)
			}
		})
	}
}

func crcOf(b []byte) []byte {
	crc := sectionCRC(b)
	return []byte{byte(crc >> 24), byte(crc >> 16), byte(crc >> 8), byte(crc)}
}

func TestCarries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		track transmux.Track
		want  string
	}{
		{"carries h264", transmux.Track{Codec: transmux.H264}, ""},
		{"does not carry vp9", transmux.Track{Codec: transmux.VP9}, "vp9 has no form in MPEG-TS"},
		{"does not carry teletext without descriptors", transmux.Track{Codec: transmux.Teletext}, "only if it came in MPEG-TS"},
		{"carries private data of a transport stream", transmux.Track{Codec: transmux.PrivateData, StreamType: 0xea}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := Carries(&c.track)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}

// The tables change, with another version, when a track comes; counters go on.
func TestTrackChange(t *testing.T) {
	t.Parallel()
	a := &transmux.Track{ID: 1, Codec: transmux.MP3, Rate: 48000}
	b := &transmux.Track{ID: 2, Codec: transmux.KLV}
	m := NewMuxer(MuxOptions{})
	var ts []byte
	write := func(tr *transmux.Track, at time.Duration) {
		m.Mux(&transmux.AccessUnit{Track: tr, DTS: at, PTS: at, Data: make([]byte, 300)}, func(c *transmux.Chunk) { ts = append(ts, c.Bufs[0]...) })
	}
	m.Tracks([]*transmux.Track{a})
	write(a, time.Second)
	m.Tracks([]*transmux.Track{a})
	write(a, time.Second+step)
	m.Tracks([]*transmux.Track{a, b})
	write(b, time.Second+2*step)
	m.Tracks([]*transmux.Track{b})
	write(b, time.Second+3*step)
	m.Tracks([]*transmux.Track{a, b})
	write(a, time.Second+4*step)
	var versions []byte
	each(ts, func(_ int, p []byte) []byte {
		if pidOf(p) == 0x1000 {
			versions = append(versions, p[10]>>1&0x1f)
		}
		return nil
	})
	if want := []byte{0, 1, 2, 3}; !slices.Equal(slices.Compact(versions), want) {
		t.Errorf("got PMT versions %v; want %v", versions, want)
	}
	k, d := demux(t, ts, Options{}, 188)
	if d.Counters().CC != 0 || k.sets != 4 {
		t.Errorf("got %d continuity errors and %d sets; want 0 and 4", d.Counters().CC, k.sets)
	}
}

func TestPrivateDataBeforeAnyTime(t *testing.T) {
	t.Parallel()
	b := newBuilder(pmtEntry{streamType: typeMPEG2Video, pid: 0x100}, pmtEntry{streamType: typePrivate, pid: 0x101})
	b.pes(0x101, -1, -1, []byte{1, 2, 3}, true)
	b.pes(0x100, time.Second, time.Second, picture262(3, 1), true)
	b.pes(0x101, -1, -1, []byte{4, 5, 6}, true)
	k, d := demux(t, b.bytes(), Options{}, 188)
	if want := []time.Duration{time.Second, time.Second}; !slices.Equal(times(k.of(0x101)), want) || d.Counters().Untimed != 0 {
		t.Errorf("got private data at %v; want %v", times(k.of(0x101)), want)
	}
}

// AAC that ADTS cannot describe goes out in LOAS.
func TestLOAS(t *testing.T) {
	t.Parallel()
	config, err := mpeg4audio.AudioSpecificConfig{Type: 2, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2, FrameLengthFlag: true}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	track := &transmux.Track{ID: 1, Codec: transmux.AAC, Config: config, Rate: 48000, Channels: 2}
	k := &taken{tracks: []*transmux.Track{track}}
	for i := range 20 {
		at := time.Second + time.Duration(i)*20*time.Millisecond
		k.units = append(k.units, transmux.AccessUnit{Track: track, DTS: at, PTS: at, Data: bytes.Repeat([]byte{byte(i + 1)}, 200+i*20)})
	}
	ts, chunks := remux(t, k, MuxOptions{})
	if !chunks[0].Key || !chunks[5].Key {
		t.Errorf("got chunks that are no keys; want keys where there is only audio")
	}
	got, d := demux(t, ts, Options{}, 188)
	if tr := got.tracks[0]; tr.StreamType != typeLATM {
		t.Fatalf("got stream type %#x; want LATM", tr.StreamType)
	}
	compare(t, "frames", ours(got.units, nil), ours(k.units, nil), true)
	if tr := got.units[0].Track; !bytes.Equal(tr.Config, config) {
		t.Errorf("got config %x; want %x", tr.Config, config)
	}
	if n := d.Counters(); n.Frame != 0 {
		t.Errorf("got counters %+v; want no errors", n)
	}
}
