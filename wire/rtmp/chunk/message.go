// Package chunk cuts RTMP messages into chunks and joins chunks to messages (RTMP 1.0, section 5.3).
package chunk

// Types of messages (RTMP 1.0, sections 5.4, 6 and 7.1).
const (
	SetChunkSize     = 1
	Abort            = 2
	Acknowledgement  = 3
	UserControl      = 4
	WindowAckSize    = 5
	SetPeerBandwidth = 6
	Audio            = 8
	Video            = 9
	DataAMF3         = 15
	SharedObjectAMF3 = 16
	CommandAMF3      = 17
	DataAMF0         = 18
	SharedObjectAMF0 = 19
	CommandAMF0      = 20
	Aggregate        = 22
)

// MaxMessage is the longest payload that a message header can announce: 16 MiB - 1.
const MaxMessage = 1<<24 - 1

// A Message is one RTMP message. Whoever holds it may share its payload, and must not change it.
type Message struct {
	Type      uint8
	StreamID  uint32 // 0 is the connection itself
	Timestamp uint32 // in ms; it wraps at 2^32, see clock.Unwrap32
	ChunkID   uint32 // the chunk stream that carries it, 2 to 65599; writers take 3 for 0
	Payload   []byte
}
