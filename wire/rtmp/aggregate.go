package rtmp

import (
	"fmt"
	"iter"

	"weir/wire/rtmp/chunk"
)

// split yields the messages of an aggregate (RTMP 1.0, 7.1.6): FLV tags, whose times count from the first one's, which
// is the aggregate's. Views of the payload, no copies. What is cut short at the end yields an error.
func split(m chunk.Message) iter.Seq2[chunk.Message, error] {
	return func(yield func(chunk.Message, error) bool) {
		b := m.Payload
		var first uint32
		for i := 0; len(b) > 0; i++ {
			if len(b) < 11 {
				yield(chunk.Message{}, fmt.Errorf("split aggregate: %d bytes are left, too few for a tag: %w", len(b), ErrProtocol))
				return
			}
			n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
			ts := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
			if i == 0 {
				first = ts
			}
			if n > len(b)-11 {
				yield(chunk.Message{}, fmt.Errorf("split aggregate: a tag of %d bytes is cut short: %w", n, ErrProtocol))
				return
			}
			part := chunk.Message{Type: b[0], StreamID: m.StreamID, Timestamp: m.Timestamp + ts - first, ChunkID: m.ChunkID, Payload: b[11 : 11+n : 11+n]}
			if part.Type != chunk.Aggregate && !yield(part, nil) {
				return
			}
			b = b[11+n:]
			b = b[min(4, len(b)):] // the back pointer; some leave out the last one
		}
	}
}
