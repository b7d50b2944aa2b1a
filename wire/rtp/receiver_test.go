package rtp

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/transmux/codec"
	"weir/wire"
)

// avc is a receiver of one H.264 media without parameter sets, and its origin.
func avc(t testing.TB, f *format.H264) (*Receiver, *sink, func(seq uint16, ts uint32, marker bool, nalu []byte)) {
	t.Helper()
	out := &sink{}
	in, _, err := NewReceiver(out, []*description.Media{{Type: description.MediaTypeVideo, Formats: []format.Format{f}}}, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1.7e9, 0)
	return in, out, func(seq uint16, ts uint32, marker bool, nalu []byte) {
		now = now.Add(10 * time.Millisecond)
		p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: seq, Timestamp: ts, Marker: marker, SSRC: 1}, Payload: nalu}
		if err := in.Packet(f, p, now); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPictures(t *testing.T) {
	t.Parallel()
	sps, pps := unhex(t, avcSPS), unhex(t, avcPPS)
	idr, p1, p2 := body("6588", 50, t), body("419a", 40, t), body("4100", 40, t) // p2 is not the first slice of a picture
	type packet struct {
		seq    uint16
		ts     uint32
		marker bool
		nalu   []byte
	}
	for _, test := range []struct {
		it      string
		packets []packet
		want    [][][]byte // NAL units of each picture
		gaps    []bool
	}{
		{"it joins what has one time", []packet{{1, 0, false, sps}, {2, 0, false, pps}, {3, 0, true, idr}}, [][][]byte{{sps, pps, idr}}, []bool{false}},
		{"it needs no markers", []packet{{1, 0, false, idr}, {2, 3600, false, p1}, {3, 7200, false, p1}}, [][][]byte{{idr}, {p1}}, []bool{false, false}},
		{"it joins parameter sets that have a marker", []packet{{1, 0, true, sps}, {2, 0, true, pps}, {3, 0, true, idr}}, [][][]byte{{sps, pps, idr}}, []bool{false}},
		{"it leaves out delimiters", []packet{{1, 0, false, []byte{9, 0xf0}}, {2, 0, true, idr}}, [][][]byte{{idr}}, []bool{false}},
		{"it leaves out pictures of nothing", []packet{{1, 0, true, []byte{9, 0xf0}}, {2, 3600, true, idr}}, [][][]byte{{idr}}, []bool{false}},
		{"it marks what follows a loss", []packet{{1, 0, true, idr}, {3, 7200, true, p1}}, [][][]byte{{idr}, {p1}}, []bool{false, true}},
		{"it drops a picture that lost its end", []packet{{1, 0, false, idr}, {3, 7200, true, p1}}, [][][]byte{{p1}}, []bool{true}},
		{"it drops a picture that lost its beginning", []packet{{1, 0, true, idr}, {3, 3600, true, p2}, {4, 7200, true, p1}}, [][][]byte{{idr}, {p1}}, []bool{false, true}},
		{"it drops a picture that lost its middle", []packet{{1, 0, false, idr}, {3, 0, true, p2}, {4, 7200, true, p1}}, [][][]byte{{p1}}, []bool{true}},
		{"it drops a picture with a broken fragment", []packet{{1, 0, true, idr}, {2, 3600, true, []byte{0x7c, 0x41, 1, 2}}, {3, 7200, true, p1}}, [][][]byte{{idr}, {p1}}, []bool{false, true}},
		{"it takes a packet once", []packet{{1, 0, true, idr}, {1, 0, true, idr}, {2, 3600, true, p1}}, [][][]byte{{idr}, {p1}}, []bool{false, false}},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			_, out, send := avc(t, &format.H264{PayloadTyp: 96, PacketizationMode: 1, SPS: sps, PPS: pps})
			for _, p := range test.packets {
				send(p.seq, p.ts, p.marker, p.nalu)
			}
			if len(out.units) != len(test.want) {
				t.Fatalf("got %d pictures; want %d", len(out.units), len(test.want))
			}
			for i, au := range out.units {
				var got [][]byte
				for n := range au.NALUs() {
					got = append(got, n)
				}
				if !bytes.Equal(bytes.Join(got, nil), bytes.Join(test.want[i], nil)) || len(got) != len(test.want[i]) {
					t.Errorf("got % x; want % x", got, test.want[i])
				}
				if au.Gap != test.gaps[i] {
					t.Errorf("got gap %v in picture %d; want %v", au.Gap, i, test.gaps[i])
				}
			}
		})
	}
}

func TestParameterSetsInBand(t *testing.T) {
	t.Parallel()
	sps, pps, idr := unhex(t, avcSPS), unhex(t, avcPPS), body("6588", 50, t)
	_, out, send := avc(t, &format.H264{PayloadTyp: 96, PacketizationMode: 1})
	if out.tracks[0].Configured() {
		t.Error("got a track that is configured; want none without parameter sets")
	}
	send(1, 0, false, sps)
	send(2, 0, false, pps)
	send(3, 0, true, idr)
	send(4, 3600, true, idr)
	pps2 := append(bytes.Clone(pps), 0x80)
	send(5, 7200, false, pps2)
	send(6, 7200, true, idr)
	if len(out.units) != 3 {
		t.Fatalf("got %d pictures; want 3", len(out.units))
	}
	a, b, c := out.units[0].Track, out.units[1].Track, out.units[2].Track
	if want := codec.AVCC([][]byte{sps}, [][]byte{pps}); !bytes.Equal(a.Config, want) {
		t.Errorf("got config % x; want % x", a.Config, want)
	}
	if a != b {
		t.Error("got another track where nothing changed")
	}
	if b == c || b.ID != c.ID || bytes.Equal(b.Config, c.Config) {
		t.Error("got the same track where the PPS changed; want another with the same ID")
	}
}

func TestReceiverChooses(t *testing.T) {
	t.Parallel()
	medias := []*description.Media{
		{Type: description.MediaTypeVideo, Formats: []format.Format{&format.VP8{PayloadTyp: 96}}},
		{Type: description.MediaTypeAudio, Formats: []format.Format{&format.Opus{PayloadTyp: 97, ChannelCount: 2}}},
		{Type: description.MediaTypeAudio, Formats: []format.Format{&format.Speex{PayloadTyp: 98, SampleRate: 8000}}},
		{Type: description.MediaTypeAudio, IsBackChannel: true, Formats: []format.Format{&format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}}},
	}
	choose, err := transmux.ParseSelection([]string{"audio"})
	if err != nil {
		t.Fatal(err)
	}
	in, skipped, err := NewReceiver(&sink{}, medias, choose, 0)
	if err != nil || len(skipped) != 1 {
		t.Fatalf("got %v, %v; want one media left out", err, skipped)
	}
	for i, want := range []bool{false, true, false, false} {
		if got := in.Wants(medias[i]); got != want {
			t.Errorf("got %v for media %d; want %v", got, i, want)
		}
	}
	if _, _, err := NewReceiver(&sink{}, medias[2:], nil, 0); !errors.Is(err, wire.ErrNoTrack) {
		t.Errorf("got %v; want %v", err, wire.ErrNoTrack)
	}
}

func TestMuxerTellsThatTracksChanged(t *testing.T) {
	t.Parallel()
	video, audio := avcTrack(t), aacTrack()
	changed := *video
	changed.Config = codec.AVCC([][]byte{unhex(t, avcSPS)}, [][]byte{append(unhex(t, avcPPS), 0x80)})
	other := *audio
	other.Config = codec.AAC(2, 44100, 2)
	for _, test := range []struct {
		it     string
		tracks []*transmux.Track
		want   bool
	}{
		{"it takes the same", []*transmux.Track{video, audio}, false},
		{"it takes other parameter sets", []*transmux.Track{&changed, audio}, false},
		{"it takes what RTP does not carry", []*transmux.Track{video, audio, {ID: 20, Codec: transmux.AMF}}, false},
		{"it misses a track", []*transmux.Track{video}, true},
		{"it sees a new track", []*transmux.Track{video, audio, {ID: 20, Codec: transmux.PCMA, Rate: 8000, Channels: 1}}, true},
		{"it sees another configuration", []*transmux.Track{video, &other}, true},
		{"it sees another codec", []*transmux.Track{{ID: video.ID, Codec: transmux.VP8}, audio}, true},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			m, err := NewMuxer([]*transmux.Track{video, audio})
			if err != nil {
				t.Fatal(err)
			}
			m.Tracks(test.tracks)
			got := false
			select {
			case <-m.Changed():
				got = true
			default:
			}
			if got != test.want {
				t.Errorf("got %v; want %v", got, test.want)
			}
		})
	}
}

func TestCarries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		it    string
		track *transmux.Track
		want  bool
	}{
		{"it carries what is not configured yet", &transmux.Track{Codec: transmux.H264}, true},
		{"it does not carry a broken configuration", &transmux.Track{Codec: transmux.H264, Config: []byte{1, 2}}, false},
		{"it does not carry AC-3 without a rate", &transmux.Track{Codec: transmux.AC3}, false},
		{"it does not carry FLAC", &transmux.Track{Codec: transmux.FLAC, Rate: 48000}, false},
		{"it does not carry screen video", &transmux.Track{Codec: transmux.Screen}, false},
		{"it does not carry Opus of six channels", &transmux.Track{Codec: transmux.Opus, Channels: 6}, false},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			if got := Carries(test.track) == nil; got != test.want {
				t.Errorf("got %v; want %v", got, test.want)
			}
		})
	}
}

// FuzzReceiver gives any packets to a receiver of every payload format.
func FuzzReceiver(f *testing.F) {
	var tracks []*transmux.Track
	for i, c := range []transmux.Codec{transmux.AV1, transmux.VP8, transmux.VP9, transmux.MPEG2Video, transmux.MJPEG, transmux.MP3, transmux.KLV,
		transmux.Opus, transmux.PCMA, transmux.G722, transmux.L16, transmux.AC3, transmux.EAC3} {
		tracks = append(tracks, &transmux.Track{ID: i, Codec: c, Rate: 48000, Channels: 2})
	}
	video, audio := avcTrack(f), aacTrack()
	video.ID, audio.ID = 50, 51
	tracks = append(tracks, video, audio)
	muxer, err := NewMuxer(tracks)
	if err != nil {
		f.Fatal(err)
	}
	seed := func(at int, t *transmux.Track, data []byte) {
		muxer.Mux(&transmux.AccessUnit{Track: t, Key: true, Data: data}, func(c *transmux.Chunk) {
			for _, b := range c.Bufs {
				f.Add(at, Packet(b), Packet(b))
			}
		})
	}
	seed(13, video, nal("6588", 3000, f))
	seed(14, audio, body("2110", 300, f))
	seed(4, tracks[4], picture(f))
	seed(12, tracks[12], body("0b7705ff3f86", 3072, f))
	medias := described(f, muxer)
	medias = append(medias, &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{&format.MPEGTS{}}})
	f.Fuzz(func(t *testing.T, media int, a, b []byte) {
		if media < 0 || media >= len(medias) {
			return
		}
		out := &sink{}
		in, _, err := NewReceiver(out, medias[media:media+1], nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, raw := range [][]byte{a, b, a} {
			p := new(rtp.Packet)
			if p.Unmarshal(raw) == nil {
				in.Packet(medias[media].Formats[0], p, time.Unix(int64(1e9+i), 0))
			}
		}
		for _, au := range out.units {
			if len(au.Data) == 0 || au.DTS > au.PTS {
				t.Errorf("got %d bytes, DTS %v, PTS %v", len(au.Data), au.DTS, au.PTS)
			}
		}
	})
}

func TestDecodeTimesOfReferences(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	d := newDecodeTime(&transmux.Track{Codec: transmux.MPEG2Video})
	for i, test := range []struct {
		kind      byte // I 1, P 2, B 3
		pts, want time.Duration
	}{
		{1, 80 * ms, 40 * ms}, {2, 200 * ms, 80 * ms}, {3, 120 * ms, 120 * ms}, {3, 160 * ms, 160 * ms},
		{2, 320 * ms, 200 * ms}, {3, 240 * ms, 240 * ms}, {1, 360 * ms, 320 * ms},
	} {
		if got := d.Next([]byte{0, 0, 1, 0, 0, test.kind << 3}, test.pts); got != test.want {
			t.Errorf("got %v for picture %d; want %v", got, i, test.want)
		}
	}
	if d := newDecodeTime(&transmux.Track{Codec: transmux.VP8}); d != nil {
		t.Error("got decoding times for VP8; want none")
	}
	v := newDecodeTime(&transmux.Track{Codec: transmux.MPEG4Video}).(*references)
	if got := v.kind([]byte{0, 0, 1, 0xb6, 0x90, 0}); got != 2 {
		t.Errorf("got kind %d of a B-VOP; want 2", got)
	}
}
