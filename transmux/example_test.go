package transmux_test

import (
	"context"
	"fmt"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
)

func ExampleStream() {
	s := transmux.NewStream("cam/gate", ring.Limits{})
	r := s.Reader()
	w := s.NewWriter()
	video := &transmux.Track{ID: 1, Codec: transmux.VP8}
	w.SetTracks([]*transmux.Track{video})
	for i := range 3 {
		at := time.Hour + time.Duration(i)*40*time.Millisecond // the camera's own clock
		_ = w.Write(transmux.AccessUnit{Track: video, DTS: at, PTS: at, Key: i == 1, Data: []byte{byte(i)}})
	}
	s.Close(nil)
	for {
		au, err := r.Next(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(au.Track.Codec, au.DTS, au.Key)
	}
	// Output:
	// vp8 1.04s true
	// vp8 1.08s false
	// EOF
}

func ExampleWriter() {
	s := transmux.NewStream("live/cam", ring.Limits{})
	first := s.NewWriter()
	second := s.NewWriter()
	audio := &transmux.Track{ID: 1, Codec: transmux.PCMA, Rate: 8000, Channels: 1}
	au := transmux.AccessUnit{Track: audio, Data: make([]byte, 160)}
	fmt.Println(first.Write(au))
	fmt.Println(second.Write(au))
	// Output:
	// another publisher took over
	// <nil>
}

// lines is a format that writes one line for each unit.
type lines struct{}

func (lines) Tracks([]*transmux.Track) {}

func (lines) Mux(au *transmux.AccessUnit, emit func(*transmux.Chunk)) {
	line := fmt.Appendf(nil, "%v %s", au.DTS, au.Track.Codec)
	emit(&transmux.Chunk{Bufs: [][]byte{line}, Size: len(line), Key: au.Key, DTS: au.DTS, Kind: au.Track.Kind(), Arrived: au.Arrived})
}

func ExampleFeed() {
	s := transmux.NewStream("live/cam", ring.Limits{})
	f := s.Feed("lines", nil, func() transmux.Muxer { return lines{} })
	defer f.Close()
	a, b := f.Reader(), f.Reader() // share what is muxed
	_ = s.NewWriter().Write(transmux.AccessUnit{Track: &transmux.Track{ID: 1, Codec: transmux.MP3}, Data: []byte{1}})
	for _, r := range []*ring.Reader[*transmux.Chunk]{a, b} {
		c, _ := r.Try()
		fmt.Printf("%s\n", c.Bufs[0])
	}
	// Output:
	// 1s mp3
	// 1s mp3
}

func ExampleSelection() {
	tracks := []*transmux.Track{
		{ID: 1, Codec: transmux.H264},
		{ID: 2, Codec: transmux.MP2, Lang: "deu"},
		{ID: 3, Codec: transmux.MP2, Lang: "eng"},
	}
	s, err := transmux.ParseSelection([]string{"audio:eng", "video"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s)
	for _, t := range s.Pick(tracks) {
		fmt.Println(t.ID, t.Codec, t.Lang)
	}
	// Output:
	// audio:eng,video
	// 3 mp2 eng
	// 1 h264
}

func ExampleAccessUnit() {
	au := transmux.AccessUnit{Data: []byte("\x00\x00\x00\x02\x67\x42\x00\x00\x00\x03\x65\x88\x84")}
	for nalu := range au.NALUs() {
		fmt.Printf("%x\n", nalu)
	}
	// Output:
	// 6742
	// 658884
}

func ExampleTrack() {
	t := transmux.Track{ID: 1, Codec: transmux.H264}
	fmt.Println(t.Kind(), t.Configured())
	// Output: video false
}

func ExampleCodec() {
	for _, c := range []transmux.Codec{transmux.AV1, transmux.Opus, transmux.SCTE35} {
		fmt.Println(c, c.Kind(), c.NeedsConfig())
	}
	// Output:
	// av1 video false
	// opus audio false
	// scte35 data false
}
