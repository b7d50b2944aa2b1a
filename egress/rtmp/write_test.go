package rtmp

import (
	"net"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

// benchmarkPlayers reports what one chunk to one player costs.
func benchmarkPlayers(b *testing.B, players int, id uint32) {
	s := transmux.NewStream("it", ring.Limits{Bytes: 1 << 20})
	w := s.NewWriter()
	w.SetTracks([]*transmux.Track{h264, aac})
	feed := s.Feed("rtmp", nil, func() transmux.Muxer { return newMuxer(dialect{}) })
	defer feed.Close()
	all := make([]*sender, players)
	for i := range all {
		all[i] = &sender{reader: feed.Reader(), id: id, write: func(net.Buffers) error { return nil }, meter: new(wire.Meter)}
	}
	au := transmux.AccessUnit{Track: h264, Key: true, Data: make([]byte, 10_000)}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(au); err != nil {
			b.Fatal(err)
		}
		au.DTS += 40 * time.Millisecond
		au.PTS, au.Key = au.DTS, au.DTS%(2*time.Second) == 0
		for _, p := range all {
			if err := p.batch(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(players), "ns/chunk")
}
