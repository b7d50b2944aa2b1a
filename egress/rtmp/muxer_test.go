package rtmp

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"weir/transmux"
	"weir/wire/rtmp/chunk"
)

// messages reads what a receiver with the given message stream gets of a muxer's chunks, from a key chunk on.
func messages(t *testing.T, id uint32, units ...*transmux.AccessUnit) []chunk.Message {
	t.Helper()
	m := newMuxer(dialect{})
	m.Tracks([]*transmux.Track{h264, aac})
	var bufs net.Buffers
	bufs = append(bufs, chunk.Append(nil, chunk.Message{Type: chunk.SetChunkSize, ChunkID: 2, Payload: []byte{0, 0, chunk.OutChunkSize >> 8, chunk.OutChunkSize & 0xff}}, 128))
	for _, au := range units {
		m.Mux(au, func(c *transmux.Chunk) {
			size := 0
			for _, b := range c.Bufs {
				size += len(b)
			}
			if c.Size != size {
				t.Errorf("got size %d; want %d", c.Size, size)
			}
			bufs = appendInit(bufs, c, id)
			bufs = chunk.Chunked(c.Bufs).AppendTo(bufs, id)
		})
	}
	r := chunk.NewReader(&bufs)
	var out []chunk.Message
	for {
		msg, err := r.Read()
		if err != nil {
			return out[1:]
		}
		out = append(out, msg)
	}
}

func TestTimestamps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		at   time.Duration
		want uint32
	}{
		{"it writes 0", 0, 0},
		{"it rounds to the nearest millisecond", 40*time.Millisecond + 600*time.Microsecond, 41},
		{"it writes 2^24 - 2", (1<<24 - 2) * time.Millisecond, 1<<24 - 2},
		{"it extends from 2^24 - 1 on", (1<<24 - 1) * time.Millisecond, 1<<24 - 1},
		{"it goes beyond 2^24", (1<<24 + 1) * time.Millisecond, 1<<24 + 1},
		{"it writes 2^32 - 1", (1<<32 - 1) * time.Millisecond, 1<<32 - 1},
		{"it wraps at 2^32", (1<<32 + 5) * time.Millisecond, 5},
	} {
		for _, size := range []int{10, chunk.OutChunkSize + 10} { // a further chunk repeats an extended timestamp
			t.Run(fmt.Sprint(c.name, " with ", size, " bytes"), func(t *testing.T) {
				t.Parallel()
				data := bytes.Repeat([]byte{0xc7}, size)
				au := &transmux.AccessUnit{Track: h264, DTS: c.at, PTS: c.at + 80*time.Millisecond, Key: true, Data: data}
				got := messages(t, 7, au)
				last := got[len(got)-1]
				if last.Timestamp != c.want || last.StreamID != 7 {
					t.Errorf("got %d on stream %d; want %d on 7", last.Timestamp, last.StreamID, c.want)
				}
				if cts := last.Payload[2:5]; !bytes.Equal(cts, []byte{0, 0, 80}) || !bytes.Equal(last.Payload[5:], data) {
					t.Errorf("got composition %v and %d bytes; want 80 and the picture", cts, len(last.Payload)-5)
				}
			})
		}
	}
}

// BenchmarkMux cuts one picture of 10 kB, for all players of a dialect together.
func BenchmarkMux(b *testing.B) {
	m := newMuxer(dialect{})
	m.Tracks([]*transmux.Track{h264, aac})
	au := &transmux.AccessUnit{Track: h264, Data: make([]byte, 10_000)}
	b.ReportAllocs()
	for b.Loop() {
		m.Mux(au, func(*transmux.Chunk) {})
	}
}

// BenchmarkPlayers hands one picture to each of n players, without their sockets.
func BenchmarkPlayers(b *testing.B) {
	for _, n := range []int{1, 100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkPlayers(b, n, streamID) })
	}
	b.Run("100 on another message stream", func(b *testing.B) { benchmarkPlayers(b, 100, 2) })
}
