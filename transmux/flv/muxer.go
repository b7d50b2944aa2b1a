package flv

import (
	"encoding/binary"

	"weir/transmux"
)

// A Muxer writes an FLV byte stream, without its file header (see [Header]). Each chunk is one tag, and so is each
// element of Chunk.Init; the first piece of each begins with the tag's header, see [Shift].
type Muxer struct{ bodies *Bodies }

var _ transmux.Muxer = (*Muxer)(nil)

// NewMuxer returns a Muxer for receivers that understand what o says.
func NewMuxer(o Options) *Muxer { return &Muxer{bodies: NewBodies(o)} }

// Tracks implements transmux.Muxer.
func (m *Muxer) Tracks(tracks []*transmux.Track) { m.bodies.Tracks(tracks) }

// Carried returns the tracks that are in the byte stream.
func (m *Muxer) Carried() []*transmux.Track { return m.bodies.Carried() }

// Mux implements transmux.Muxer.
func (m *Muxer) Mux(au *transmux.AccessUnit, emit func(*transmux.Chunk)) {
	b := m.bodies
	l := b.lane(au.Track.ID)
	if l == nil || !au.Track.Configured() {
		return
	}
	l.follow(au.Track)
	l.learn(au)
	ms := Milliseconds(au.DTS)
	if header, isNew := b.header(l); isNew && header != nil {
		tag := wholeTag(Tag{Kind: kindOf(l.track), Timestamp: ms, Head: header})
		emit(&transmux.Chunk{
			Bufs: [][]byte{tag}, Size: len(tag), Kind: l.track.Kind(), DTS: au.DTS, Arrived: au.Arrived,
		})
	}
	// One allocation holds the chunk, its list of pieces, and the bytes around the unit's own.
	c := new(struct {
		transmux.Chunk
		bufs [3][]byte
		mem  [tagHeader + 12 + backPointer]byte
	})
	head, ok := b.appendHead(c.mem[:tagHeader], l, au)
	size := len(head) - tagHeader + len(au.Data)
	if !ok || size > MaxBody {
		return
	}
	head[0] = kindOf(l.track)
	put24(head[1:], size)
	putTimestamp(head, ms)
	tail := c.mem[len(c.mem)-backPointer:]
	binary.BigEndian.PutUint32(tail, uint32(tagHeader+size))
	c.bufs = [3][]byte{head[:len(head):len(head)], au.Data, tail}
	c.Chunk = transmux.Chunk{
		Bufs: c.bufs[:], Size: tagHeader + size + backPointer, Key: b.StartsAt(au), Kind: l.track.Kind(),
		DTS: au.DTS, Arrived: au.Arrived,
	}
	if c.Key {
		for _, t := range b.Init(au.DTS) {
			c.Init = append(c.Init, wholeTag(t))
		}
	}
	emit(&c.Chunk)
}

// wholeTag returns the tag as one piece.
func wholeTag(t Tag) []byte {
	b := make([]byte, tagHeader, tagHeader+t.Size()+backPointer)
	b[0] = t.Kind
	put24(b[1:], t.Size())
	putTimestamp(b, t.Timestamp)
	b = append(append(b, t.Head...), t.Data...)
	return binary.BigEndian.AppendUint32(b, uint32(len(b)))
}

// Shift returns the pieces of one tag with its timestamp moved back by ms milliseconds, modulo 2^32, for receivers whose
// time begins at 0. The pieces are shared but for the first. onMetaData stays at 0.
func Shift(bufs [][]byte, ms uint32) [][]byte {
	if len(bufs) == 0 || len(bufs[0]) < tagHeader || bufs[0][0] == Data && getTimestamp(bufs[0]) == 0 {
		return bufs
	}
	out := append([][]byte(nil), bufs...)
	out[0] = append([]byte(nil), bufs[0]...)
	putTimestamp(out[0], getTimestamp(out[0])-ms)
	return out
}
