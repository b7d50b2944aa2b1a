package flv

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/codec"
)

func TestReader(t *testing.T) {
	t.Parallel()
	good := wholeTag(Tag{Kind: Audio, Timestamp: 20, Head: unhex("72 d5")})
	unknown := wholeTag(Tag{Kind: 7, Head: make([]byte, 100)})
	encrypted := bytes.Clone(good)
	encrypted[0] |= 0x20
	lying := Header(false, false)
	lying[8], lying[10] = 12, 99
	tests := []struct {
		it    string
		in    []byte
		units int
		bad   bool
	}{
		{"reads tags whatever the header says", join(Header(false, false), good, good), 2, false},
		{"skips a longer header and wrong back pointers", join(lying, "000000", good[:len(good)-4], "ffffffff", good), 2, false},
		{"skips tags of unknown kinds", join(Header(true, true), unknown, good, unknown), 1, false},
		{"skips empty tags", join(Header(true, true), wholeTag(Tag{Kind: Video}), good), 1, false},
		{"waits for the rest of a tag", join(Header(true, true), good[:12]), 0, false},
		{"refuses what is not FLV", []byte("HTTP/1.1 404"), 0, true},
		{"refuses a header that tells nonsense", unhex("464c5601 05 7fffffff"), 0, true},
		{"refuses encrypted tags", join(Header(true, true), good, encrypted), 1, true},
		{"refuses noise after the header", join(Header(true, true), bytes.Repeat(unknown, 20)), 0, true},
	}
	for _, tt := range tests {
		for _, piece := range []int{1, 5, 1 << 20} {
			t.Run(fmt.Sprintf("it %s, %d bytes at once", tt.it, piece), func(t *testing.T) {
				t.Parallel()
				s := &sink{}
				r := NewReader(NewDemuxer(s))
				var err error
				for b := tt.in; len(b) > 0; b = b[min(piece, len(b)):] {
					err = r.Feed(b[:min(piece, len(b))], time.Time{})
				}
				if errors.Is(err, ErrNotFLV) != tt.bad || len(s.units) != tt.units {
					t.Errorf("got %d units and %v; want %d and an error: %v", len(s.units), err, tt.units, tt.bad)
				}
			})
		}
	}
}

// FuzzReader checks that no byte stream makes a unit that breaks the promises of transmux.AccessUnit.
func FuzzReader(f *testing.F) {
	f.Add(join(Header(true, true), wholeTag(Tag{Kind: Video, Head: join("17 00 000000", avcC())}),
		wholeTag(Tag{Kind: Video, Head: join("17 01 000000", idr)}), wholeTag(Tag{Kind: Audio, Head: unhex("72 d5")})))
	f.Add(unhex("464c5601 05 00000009"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &sink{}
		r := NewReader(NewDemuxer(s))
		half := len(b) / 2
		_ = r.Feed(b[:half], time.Time{})
		_ = r.Feed(b[half:], time.Time{})
		checkUnits(t, s)
	})
}

// FuzzTag feeds the same body as every kind twice, as a first and a later tag.
func FuzzTag(f *testing.F) {
	for _, seed := range [][]byte{
		join("17 00 000000", avcC()), join("17 01 000000", idr), join("1c 00 000000", hvcC()), unhex("af 00 1210"), unhex("af 01 2110"),
		join("90 68766331", hvcC()), unhex("91 61763031 3201 10"), unhex("96 21 76703038 00 000002 1002 76703039 01 000005 8249834200"),
		unhex("97 02 07a120 01 4f707573 fc00"), join("90 4f707573", codec.OpusHead(2)), unhex("02 0004 6f6e4649 03 000009"),
		unhex("00 02 0004 6f6e4649 11 06 03 61"), unhex("df fc00"), unhex("22 00"), unhex("ee ffe318c400"),
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s := &sink{}
		d := NewDemuxer(s)
		for i, b := range [][]byte{one, two, one} {
			for _, kind := range []byte{Audio, Video, Data, Data3} {
				if err := d.Tag(kind, uint32(i)*40, bytes.Clone(b), time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		checkUnits(t, s)
	})
}

// checkUnits checks units, and that they survive being muxed and read again.
func checkUnits(t *testing.T, s *sink) {
	t.Helper()
	for _, au := range s.units {
		if au.PTS < au.DTS || len(au.Data) == 0 || au.Track == nil || !au.Track.Configured() {
			t.Fatalf("got unit %+v", au)
		}
		if c := au.Track.Codec; c == transmux.H264 || c == transmux.H265 {
			size := 0
			for nalu := range au.NALUs() {
				if codec.IsAUD(c, nalu) {
					t.Fatalf("got a delimiter in %x", au.Data)
				}
				size += 4 + len(nalu)
			}
			if size != len(au.Data) {
				t.Fatalf("got %x; want NAL units that fill it", au.Data)
			}
		}
	}
	m := NewMuxer(Options{Enhanced: true, Multitrack: true})
	m.Tracks(s.tracks)
	again := &sink{}
	r := NewReader(NewDemuxer(again))
	if err := r.Feed(Header(true, true), time.Time{}); err != nil {
		t.Fatal(err)
	}
	for i := range s.units {
		m.Mux(&s.units[i], func(c *transmux.Chunk) {
			for _, b := range append(c.Init, c.Bufs...) {
				if err := r.Feed(b, time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func benchUnits(n int) *sink {
	video := &transmux.Track{ID: VideoID, Codec: transmux.H264, Config: avcC()}
	audio := &transmux.Track{ID: AudioID, Codec: transmux.AAC, Config: unhex("1190"), Rate: 48000, Channels: 2}
	s := &sink{tracks: []*transmux.Track{video, audio}}
	for i := range n { // 25 pictures of 12 kB and 50 frames of 300 bytes a second
		at := time.Duration(i) * 40 * time.Millisecond
		nalu := make([]byte, 12000)
		nalu[0] = 0x41
		if i%50 == 0 {
			nalu[0] = 0x65
		}
		s.units = append(s.units, transmux.AccessUnit{Track: video, DTS: at, PTS: at + 40*time.Millisecond, Key: i%50 == 0, Data: codec.AppendNALU(nil, nalu)})
		for j := range 2 {
			a := at + time.Duration(j)*20*time.Millisecond
			s.units = append(s.units, transmux.AccessUnit{Track: audio, DTS: a, PTS: a, Key: true, Data: make([]byte, 300)})
		}
	}
	return s
}

func BenchmarkDemux(b *testing.B) {
	s := benchUnits(500)
	in := mux(s, Options{})
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		out := &counter{}
		r := NewReader(NewDemuxer(out))
		for p := in; len(p) > 0; p = p[min(32<<10, len(p)):] {
			if err := r.Feed(p[:min(32<<10, len(p))], time.Time{}); err != nil {
				b.Fatal(err)
			}
		}
		if out.n != len(s.units) {
			b.Fatalf("got %d units; want %d", out.n, len(s.units))
		}
	}
	b.ReportMetric(float64(len(s.units)), "units/op")
}

type counter struct{ n int }

func (c *counter) SetTracks([]*transmux.Track) {}

func (c *counter) Write(transmux.AccessUnit) error {
	c.n++
	return nil
}

func BenchmarkMux(b *testing.B) {
	s := benchUnits(500)
	size := 0
	for _, au := range s.units {
		size += len(au.Data)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		m := NewMuxer(Options{})
		m.Tracks(s.tracks)
		n := 0
		for i := range s.units {
			m.Mux(&s.units[i], func(c *transmux.Chunk) { n += c.Size })
		}
	}
	b.ReportMetric(float64(len(s.units)), "units/op")
}
