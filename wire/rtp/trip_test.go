package rtp

import (
	"bytes"
	"encoding/hex"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/transmux/codec"
)

// sink keeps what a receiver writes.
type sink struct {
	tracks []*transmux.Track
	units  []transmux.AccessUnit
}

func (s *sink) SetTracks(t []*transmux.Track) { s.tracks = t }
func (s *sink) Write(au transmux.AccessUnit) error {
	s.units = append(s.units, au)
	return nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	avcSPS = "6742c015da05067e7c05a8303035280000030008000003019478b175"
	avcPPS = "68ce3c80"
)

func avcTrack(t testing.TB) *transmux.Track {
	return &transmux.Track{ID: 7, Codec: transmux.H264, Rate: 90000,
		Config: codec.AVCC([][]byte{unhex(t, avcSPS)}, [][]byte{unhex(t, avcPPS)})}
}

func aacTrack() *transmux.Track {
	return &transmux.Track{ID: 9, Codec: transmux.AAC, Rate: 48000, Channels: 2, Config: codec.AAC(2, 48000, 2)}
}

// body is n bytes after a header, none of them a start code.
func body(header string, n int, t testing.TB) []byte {
	b := unhex(t, header)
	for i := len(b); i < n; i++ {
		b = append(b, byte(i%251)|1)
	}
	return b
}

func nal(header string, n int, t testing.TB) []byte { return codec.AppendNALU(nil, body(header, n, t)) }

// description goes through SDP, as between two machines.
func described(t testing.TB, m *Muxer) []*description.Media {
	t.Helper()
	text, err := m.Description().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sdp, err := sdpunmarshaler.Unmarshal(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	var d description.Session
	if err := d.Unmarshal2(sdp); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return d.Medias
}

// link carries units through packets; drop may lose some of them.
type link struct {
	t      testing.TB
	muxer  *Muxer
	medias []*description.Media
	in     *Receiver
	out    *sink
	now    time.Time
	drop   func(n int) bool
	count  int
}

func newLink(t testing.TB, tracks ...*transmux.Track) *link {
	t.Helper()
	m, err := NewMuxer(tracks)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, muxer: m, medias: described(t, m), out: &sink{}, now: time.Unix(1.7e9, 0)}
	var skipped []error
	if l.in, skipped, err = NewReceiver(l.out, l.medias, nil, 0); err != nil || skipped != nil {
		t.Fatal(err, skipped)
	}
	return l
}

func (l *link) send(au transmux.AccessUnit) {
	l.t.Helper()
	au.Arrived = l.now
	l.muxer.Mux(&au, func(c *transmux.Chunk) {
		for _, f := range c.Bufs {
			l.count++
			if l.drop == nil || !l.drop(l.count) {
				l.frame(f)
			}
		}
	})
}

func (l *link) frame(f Frame) {
	l.t.Helper()
	m := l.medias[Channel(f)/2]
	if Channel(f)%2 == 1 {
		list, err := rtcp.Unmarshal(Packet(f))
		if err != nil {
			l.t.Fatal(err)
		}
		for _, p := range list {
			l.in.Report(m, p)
		}
		return
	}
	if len(Packet(f)) > 1500-48 {
		l.t.Fatalf("got a packet of %d bytes; want at most %d", len(Packet(f)), 1500-48)
	}
	p := new(rtp.Packet)
	if err := p.Unmarshal(bytes.Clone(Packet(f))); err != nil {
		l.t.Fatal(err)
	}
	if err := l.in.Packet(m.Formats[0], p, l.now); err != nil {
		l.t.Fatal(err)
	}
}

func picture(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	hevc := codec.HVCC(
		[][]byte{unhex(t, "40010c01ffff01600000030090000003000003001e959409")},
		[][]byte{unhex(t, "42010101600000030090000003000003001ea0208105965654a4c2f0168080000003008000000c84")},
		[][]byte{unhex(t, "4401c073c089")})
	av1 := codec.TemporalUnit([][]byte{body("30", 3000, t)})
	for _, test := range []struct {
		it     string
		track  *transmux.Track
		data   []byte
		step   time.Duration
		prefix int  // bytes that the muxer puts before it (parameter sets)
		loose  bool // bytes may change
	}{
		{"it carries H.264", avcTrack(t), append(nal("6588", 5000, t), nal("0688", 20, t)...), 40 * time.Millisecond, 4 + 28 + 4 + 4, false},
		{"it carries H.265", &transmux.Track{Codec: transmux.H265, Config: hevc}, nal("260180", 5000, t), 40 * time.Millisecond, -1, false},
		{"it carries AV1", &transmux.Track{Codec: transmux.AV1}, av1, 40 * time.Millisecond, 0, false},
		{"it carries VP8", &transmux.Track{Codec: transmux.VP8}, body("10", 5000, t), 40 * time.Millisecond, 0, false},
		{"it carries VP9", &transmux.Track{Codec: transmux.VP9}, body("8249834200"+"13f00ef6"+"0038240c0c", 5000, t), 40 * time.Millisecond, 0, false},
		{"it carries MPEG-2 video", &transmux.Track{Codec: transmux.MPEG2Video},
			append(unhex(t, "000001b314000c13ffffe018000001b51482000100000000010000000fff8000000101"), body("22", 3000, t)...), 40 * time.Millisecond, 0, false},
		{"it carries MPEG-4 video", &transmux.Track{Codec: transmux.MPEG4Video, Config: unhex(t, "000001b001000001b58913000001000000012000c48d8800f514043c1463")},
			body("000001b610", 3000, t), 40 * time.Millisecond, 0, false},
		{"it carries MJPEG", &transmux.Track{Codec: transmux.MJPEG}, picture(t), 40 * time.Millisecond, 0, true},
		{"it carries AAC", aacTrack(), body("2110", 400, t), 1024 * time.Second / 48000, 0, false},
		{"it carries MP3", &transmux.Track{Codec: transmux.MP3, Rate: 44100, Channels: 2}, body("fffb9064", 417, t), 1152 * time.Second / 44100, 0, false},
		{"it carries MP2", &transmux.Track{Codec: transmux.MP2, Rate: 48000, Channels: 2}, body("fffd8404", 384, t), 24 * time.Millisecond, 0, false},
		{"it carries AC-3", &transmux.Track{Codec: transmux.AC3, Rate: 48000, Channels: 2}, body("0b7700001c404300", 1536, t), 32 * time.Millisecond, 0, false},
		{"it carries E-AC-3", &transmux.Track{Codec: transmux.EAC3, Rate: 48000, Channels: 6}, body("0b7705ff3f86", 3072, t), 32 * time.Millisecond, 0, false},
		{"it carries Opus", &transmux.Track{Codec: transmux.Opus, Rate: 48000, Channels: 2, Config: codec.OpusHead(2)}, body("fc", 200, t), 20 * time.Millisecond, 0, false},
		{"it carries A-law", &transmux.Track{Codec: transmux.PCMA, Rate: 8000, Channels: 1}, body("d5", 160, t), 20 * time.Millisecond, 0, false},
		{"it carries mu-law of 16 kHz", &transmux.Track{Codec: transmux.PCMU, Rate: 16000, Channels: 2}, body("ff", 640, t), 20 * time.Millisecond, 0, false},
		{"it carries L16", &transmux.Track{Codec: transmux.L16, Rate: 48000, Channels: 2}, body("00", 960, t), 5 * time.Millisecond, 0, false},
		{"it carries G.722", &transmux.Track{Codec: transmux.G722, Rate: 16000, Channels: 1}, body("fa", 160, t), 20 * time.Millisecond, 0, false},
		{"it carries KLV", &transmux.Track{Codec: transmux.KLV}, append(unhex(t, "060e2b34020b01010e01030101000000"+"8204b0"), body("", 1200, t)...), 100 * time.Millisecond, 0, false},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			l := newLink(t, test.track)
			l.muxer.lanes[0].base = 0xffffffff - 900 // wraps at once
			begin := 3 * time.Second
			l.muxer.lanes[0].base -= uint32(int64(begin.Seconds() * float64(l.muxer.lanes[0].rate)))
			const n = 50
			for i := range n {
				at := begin + time.Duration(i)*test.step
				l.send(transmux.AccessUnit{Track: test.track, DTS: at, PTS: at, Key: true, Data: test.data})
				l.now = l.now.Add(test.step)
			}
			if len(l.out.units) != n {
				units, lost, broken := l.in.Stats()
				t.Fatalf("got %d units (%d, lost %d, broken %d, dropped %d); want %d", len(l.out.units), units, lost, broken, l.muxer.Dropped(), n)
			}
			tick := time.Second / time.Duration(l.muxer.lanes[0].rate)
			for i, au := range l.out.units {
				data := test.data
				if got := au.Data; test.prefix >= 0 && !test.loose && !bytes.Equal(got[min(test.prefix, len(got)):], data) {
					t.Fatalf("got %d bytes; want %d after %d", len(got), len(data), test.prefix)
				} else if test.prefix < 0 && !bytes.HasSuffix(got, data) {
					t.Fatalf("got %d bytes that do not end with the picture's %d", len(got), len(data))
				}
				want := time.Duration(i) * test.step
				if d := au.PTS - l.out.units[0].PTS - want; d > tick || d < -tick {
					t.Fatalf("got unit %d at %v; want %v", i, au.PTS-l.out.units[0].PTS, want)
				}
				key := test.track.Kind() != transmux.KindVideo || codec.IsKey(test.track.Codec, test.data)
				if au.DTS > au.PTS || au.Key != key || au.Gap {
					t.Fatalf("got DTS %v, PTS %v, key %v, gap %v", au.DTS, au.PTS, au.Key, au.Gap)
				}
				if au.Track.Codec != test.track.Codec || !au.Track.Configured() {
					t.Fatalf("got track %+v; want %s, configured", au.Track, test.track.Codec)
				}
			}
		})
	}
}
