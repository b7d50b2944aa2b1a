package chunk

import (
	"encoding/binary"
	"net"
)

// OutChunkSize is the chunk size of all that Split makes, in bytes. It must be announced by SetChunkSize before.
const OutChunkSize = 60000

const (
	noTimestamp = 0xffffff       // stands for a timestamp that does not fit in 24 bits
	maxHeader   = 3 + 11 + 4     // a full header: chunk stream, message, extended timestamp
	maxNext     = maxHeader - 11 // the header of a further chunk
)

// A Chunked is one message cut for the wire: its header, then views of its payload with the headers of further chunks
// between them. It depends on no connection, so all receivers share it. Nobody may change its bytes.
type Chunked [][]byte

// Split cuts m into chunks of OutChunkSize. The header is always the full one with an absolute timestamp, so that what
// came before on the connection does not matter. The payload is not copied.
func Split(m Message) Chunked { return cut(m, nil, m.Payload) }

// SplitTail is [Split] for a payload in two pieces: that of m, which is short and copied, and tail, which is not.
func SplitTail(m Message, tail []byte) Chunked {
	if len(m.Payload) > OutChunkSize {
		return cut(m, nil, append(m.Payload[:len(m.Payload):len(m.Payload)], tail...))
	}
	return cut(m, m.Payload, tail)
}

// cut puts head, which fits in one chunk, into the slice of the first header.
func cut(m Message, head, rest []byte) Chunked {
	further := 0
	if n := len(head) + len(rest); n > OutChunkSize {
		further = (n - 1) / OutChunkSize
	}
	out := make(Chunked, 0, 2+2*further)
	mem := make([]byte, 0, maxHeader+len(head)+maxNext)
	header := append(appendHeader(mem, m, len(head)+len(rest)), head...)
	out = append(out, header[:len(header):len(header)])
	var next []byte
	if further > 0 {
		next = appendNext(header[len(header):], m) // all further headers are equal
	}
	for room := OutChunkSize - len(head); len(rest) > 0; room = OutChunkSize {
		k := min(len(rest), room)
		if k > 0 {
			out = append(out, rest[:k])
		}
		if rest = rest[k:]; len(rest) > 0 {
			out = append(out, next)
		}
	}
	return out
}

// Size is the number of bytes on the wire.
func (c Chunked) Size() int {
	n := 0
	for _, b := range c {
		n += len(b)
	}
	return n
}

// AppendTo appends c's slices to dst, for a connection on which the message stream has the given ID. Only the header is
// copied, and only if c was made for another ID.
func (c Chunked) AppendTo(dst net.Buffers, streamID uint32) net.Buffers {
	if len(c) == 0 {
		return dst
	}
	head := c[0]
	at := 8
	switch head[0] & 0x3f {
	case 0:
		at = 9
	case 1:
		at = 10
	}
	if binary.LittleEndian.Uint32(head[at:]) != streamID {
		head = append(make([]byte, 0, len(head)), head...)
		binary.LittleEndian.PutUint32(head[at:], streamID)
	}
	return append(append(dst, head), c[1:]...)
}

// Append appends m to b, cut into chunks of size bytes with a full header first. It is for commands and control
// messages; media go through Split.
func Append(b []byte, m Message, size int) []byte {
	b = appendHeader(b, m, len(m.Payload))
	rest := m.Payload
	for len(rest) > size {
		b = append(b, rest[:size]...)
		rest = rest[size:]
		b = appendNext(b, m)
	}
	return append(b, rest...)
}

// appendHeader appends the full header of m with a payload of n bytes.
func appendHeader(b []byte, m Message, n int) []byte {
	b = appendBasic(b, 0, m.ChunkID)
	ts := min(m.Timestamp, noTimestamp)
	b = append(b, byte(ts>>16), byte(ts>>8), byte(ts), byte(n>>16), byte(n>>8), byte(n), m.Type)
	b = binary.LittleEndian.AppendUint32(b, m.StreamID)
	if ts == noTimestamp {
		b = binary.BigEndian.AppendUint32(b, m.Timestamp)
	}
	return b
}

// appendNext appends the header of a further chunk, which repeats an extended timestamp.
func appendNext(b []byte, m Message) []byte {
	b = appendBasic(b, 3, m.ChunkID)
	if m.Timestamp >= noTimestamp {
		b = binary.BigEndian.AppendUint32(b, m.Timestamp)
	}
	return b
}

func appendBasic(b []byte, form byte, id uint32) []byte {
	if id == 0 {
		id = 3
	}
	switch {
	case id < 64:
		return append(b, form<<6|byte(id))
	case id < 64+256:
		return append(b, form<<6, byte(id-64))
	}
	return append(b, form<<6|1, byte(id-64), byte((id-64)>>8))
}
