// Package rtmp sends streams over RTMP: to players of our server, or by publishing to another.
package rtmp

import (
	"net"

	"weir/transmux"
	"weir/transmux/flv"
	"weir/wire/rtmp/chunk"
)

// streamID is the message stream ID that shared chunks are made for: that of the first createStream of a connection.
const streamID = 1

// Chunk streams. Each kind has its own, so that a receiver which interleaves by them can.
const (
	audioChunks = 4
	dataChunks  = 5
	videoChunks = 6
)

// muxer cuts the messages of a stream into chunks, once for all receivers of a dialect. Each transmux.Chunk is one RTMP
// message, and so is each element of its Init. Sequence headers have KindData: they are for everybody, also for who
// wants no pictures at the moment and does later.
type muxer struct {
	dialect dialect
	bodies  *flv.Bodies
	told    map[int]*transmux.Track // by the first Init, which nobody missed; removed by the first sequence header after it
}

var _ transmux.Muxer = (*muxer)(nil)

func newMuxer(d dialect) *muxer { return &muxer{dialect: d, bodies: flv.NewBodies(d.options())} }

// Tracks implements transmux.Muxer.
func (m *muxer) Tracks(tracks []*transmux.Track) {
	var carried []*transmux.Track
	for _, t := range tracks {
		if m.dialect.carries(t) == nil {
			carried = append(carried, t)
		}
	}
	m.bodies.Tracks(carried)
}

// Mux implements transmux.Muxer.
func (m *muxer) Mux(au *transmux.AccessUnit, emit func(*transmux.Chunk)) {
	m.bodies.Unit(au, func(t flv.Tag) {
		if t.Config && m.repeats(au.Track) {
			return
		}
		bufs := message(&t)
		c := &transmux.Chunk{Bufs: bufs, Size: bufs.Size(), Kind: au.Track.Kind(), DTS: au.DTS, Arrived: au.Arrived}
		if t.Config {
			c.Kind = transmux.KindData
		} else if c.Key = m.bodies.StartsAt(au); c.Key {
			m.tell()
			for _, head := range m.bodies.Init(au.DTS) {
				c.Init = append(c.Init, join(message(&head)))
			}
		}
		emit(c)
	})
}

// tell notes what receivers know who start at the first key chunk.
func (m *muxer) tell() {
	if m.told != nil {
		return
	}
	m.told = make(map[int]*transmux.Track)
	for _, t := range m.bodies.Carried() {
		m.told[t.ID] = t
	}
}

// repeats reports whether everybody has the sequence header of t already.
func (m *muxer) repeats(t *transmux.Track) bool {
	told := m.told[t.ID]
	delete(m.told, t.ID)
	return told == t
}

// message cuts one tag into chunks, which share the memory of its data.
func message(t *flv.Tag) chunk.Chunked {
	m := chunk.Message{Type: t.Kind, StreamID: streamID, Timestamp: t.Timestamp, ChunkID: audioChunks, Payload: t.Head}
	switch t.Kind {
	case flv.Video:
		m.ChunkID = videoChunks
	case flv.Data:
		m.ChunkID = dataChunks
	}
	return chunk.SplitTail(m, t.Data)
}

func join(c chunk.Chunked) []byte {
	b := make([]byte, 0, c.Size())
	for _, part := range c {
		b = append(b, part...)
	}
	return b
}

// appendInit appends what comes before a chunk if a receiver starts there, for its message stream.
func appendInit(dst net.Buffers, c *transmux.Chunk, id uint32) net.Buffers {
	for _, head := range c.Init {
		dst = chunk.Chunked{head}.AppendTo(dst, id)
	}
	return dst
}
