package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Bounds of what a Reader takes from a peer.
const (
	DefaultChunkSize = 128      // until SetChunkSize comes (RTMP 1.0, 5.4.1)
	MaxChunkStreams  = 128      // chunk streams that a peer may use; encoders use fewer than 10
	MaxPartial       = 32 << 20 // bytes held for messages that are not complete, all chunk streams together
	firstAllocation  = 64 << 10 // bytes allocated for a message before its bytes are there
	smallBuffer      = 4 << 10
	largeBuffer      = 64 << 10
)

// Errors of a Reader. After one of them the connection is of no use.
var (
	ErrMessageSize = errors.New("the message is larger than allowed here")
	ErrPartial     = errors.New("the peer leaves too many messages incomplete")
	ErrStreams     = errors.New("the peer uses too many chunk streams")
	ErrHeader      = errors.New("the chunk header continues a message that never began")
	ErrControl     = errors.New("the protocol control message is malformed")
)

// A Reader joins the chunks of one connection to messages. It obeys SetChunkSize and Abort itself and hands out all
// messages, those two too. Not safe for concurrent use.
type Reader struct {
	src     io.Reader
	buf     []byte // what was read from src and not yet used is buf[r:w]
	r, w    int
	streams map[uint32]*stream
	last    *stream // the most recent one, since most chunks are of the same
	size    uint32  // the peer's chunk size
	limit   int
	largest int // largest complete message so far
	partial int // bytes allocated for incomplete messages
	dropped uint64
}

type stream struct {
	id        uint32
	began     bool // a header with a type has come
	typ       uint8
	streamID  uint32
	length    uint32
	timestamp uint32
	delta     uint32
	extended  bool   // the last header of form 0, 1 or 2 had an extended timestamp
	field     uint32 // its value
	payload   []byte
	missing   uint32    // bytes of the message still to come; 0 if none is under way
	since     time.Time // when it began
}

// NewReader returns a Reader with the default chunk size that takes messages of any size.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, streams: make(map[uint32]*stream), size: DefaultChunkSize, limit: MaxMessage}
}

// Limit sets the largest payload taken, in bytes. A message beyond it ends Read with ErrMessageSize when its header
// comes. It may be changed between calls of Read.
func (r *Reader) Limit(n int) { r.limit = min(max(n, 0), MaxMessage) }

// Large makes room to read a publisher's media with few system calls: 64 KiB instead of 4.
func (r *Reader) Large() {
	if len(r.buf) < largeBuffer {
		b := make([]byte, largeBuffer)
		r.w = copy(b, r.buf[r.r:r.w])
		r.r = 0
		r.buf = b
	}
}

// Stalled tells since when the oldest incomplete message is under way; zero if none is. It may be called from within
// the source's Read.
func (r *Reader) Stalled() time.Time {
	var oldest time.Time
	for _, s := range r.streams {
		if s.missing > 0 && (oldest.IsZero() || s.since.Before(oldest)) {
			oldest = s.since
		}
	}
	return oldest
}

// Dropped counts messages that were abandoned incomplete because another began on their chunk stream.
func (r *Reader) Dropped() uint64 { return r.dropped }

// Read returns the next complete message. Its payload is its own allocation, which the caller may keep. io.EOF means
// that the source ended between chunks; within one it is io.ErrUnexpectedEOF.
func (r *Reader) Read() (Message, error) {
	for {
		m, whole, err := r.chunk()
		if err != nil {
			return Message{}, err
		}
		if !whole {
			continue
		}
		return m, r.control(m)
	}
}

// control obeys the messages that concern chunks.
func (r *Reader) control(m Message) error {
	switch m.Type {
	case SetChunkSize:
		if len(m.Payload) < 4 {
			return fmt.Errorf("read chunk size: %w", ErrControl)
		}
		n := binary.BigEndian.Uint32(m.Payload) & 0x7fffffff
		if n == 0 {
			return fmt.Errorf("read chunk size 0: %w", ErrControl)
		}
		r.size = min(n, MaxMessage)
	case Abort:
		if len(m.Payload) < 4 {
			return fmt.Errorf("read abort: %w", ErrControl)
		}
		if s := r.streams[binary.BigEndian.Uint32(m.Payload)]; s != nil {
			r.abandon(s)
		}
	}
	return nil
}

func (r *Reader) abandon(s *stream) {
	r.partial -= cap(s.payload)
	s.payload, s.missing = nil, 0
}

// chunk reads one chunk, and returns the message if it was its last.
func (r *Reader) chunk() (Message, bool, error) {
	b, err := r.peek(1)
	if err != nil {
		return Message{}, false, err // io.EOF stays: nothing was begun
	}
	s, err := r.header(b[0])
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, false, fmt.Errorf("read chunk header: %w", err)
	}
	n := min(s.missing, r.size)
	if err := r.body(s, int(n)); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, false, fmt.Errorf("read chunk: %w", err)
	}
	if s.missing > 0 {
		return Message{}, false, nil
	}
	m := Message{Type: s.typ, StreamID: s.streamID, Timestamp: s.timestamp, ChunkID: s.id, Payload: s.payload}
	r.largest = max(r.largest, len(s.payload))
	r.abandon(s)
	return m, true, nil
}

// header reads basic header, message header and extended timestamp (5.3.1).
func (r *Reader) header(first byte) (*stream, error) {
	form, id, size := first>>6, uint32(first&0x3f), 1
	switch id {
	case 0:
		size = 2
	case 1:
		size = 3
	}
	if size > 1 {
		b, err := r.peek(size)
		if err != nil {
			return nil, err
		}
		id = 64 + uint32(b[1])
		if size == 3 {
			id += uint32(b[2]) << 8
		}
	}
	r.r += size
	s := r.last
	if s == nil || s.id != id {
		if s = r.streams[id]; s == nil {
			if form > 1 {
				return nil, fmt.Errorf("chunk stream %d: %w", id, ErrHeader)
			}
			if len(r.streams) >= MaxChunkStreams {
				return nil, ErrStreams
			}
			s = &stream{id: id}
			r.streams[id] = s
		}
		r.last = s
	}
	if form == 3 {
		return s, r.continued(s)
	}
	// Form 1 as the first header of a chunk stream is wrong by the letter, but librtmp sends it; time starts at 0 then.
	if form == 2 && !s.began {
		return nil, fmt.Errorf("chunk stream %d: %w", id, ErrHeader)
	}
	return s, r.fresh(s, form)
}

// fresh reads a header of form 0, 1 or 2, which begins a message.
func (r *Reader) fresh(s *stream, form byte) error {
	size := [3]int{11, 7, 3}[form]
	b, err := r.peek(size)
	if err != nil {
		return err
	}
	if s.missing > 0 {
		r.dropped++
		r.abandon(s)
	}
	field := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	if form < 2 {
		s.length = uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
		s.typ = b[6]
		s.began = true
	}
	if form == 0 {
		s.streamID = binary.LittleEndian.Uint32(b[7:])
	}
	r.r += size
	s.extended = field == 0xffffff
	if s.extended {
		if b, err = r.peek(4); err != nil {
			return err
		}
		field = binary.BigEndian.Uint32(b)
		r.r += 4
	}
	s.field = field
	if form == 0 {
		// By the letter the delta of a following form 3 is this timestamp; nobody who sends that means to double the
		// time, so it means the same time.
		s.timestamp, s.delta = field, 0
	} else {
		s.delta = field
		s.timestamp += field
	}
	return r.begin(s)
}

// continued reads what follows a basic header of form 3: nothing, or the extended timestamp once more.
func (r *Reader) continued(s *stream) error {
	if !s.began {
		return fmt.Errorf("chunk stream %d: %w", s.id, ErrHeader)
	}
	if s.missing > 0 {
		if !s.extended {
			return nil
		}
		// Old senders leave the field out within a message. Payload that happens to equal it is rare enough.
		b, err := r.peek(4)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(b) == s.field {
			r.r += 4
		}
		return nil
	}
	if s.extended {
		if _, err := r.peek(4); err != nil {
			return err
		}
		r.r += 4
	}
	s.timestamp += s.delta
	return r.begin(s)
}

// begin prepares for a message whose header is known.
func (r *Reader) begin(s *stream) error {
	if int(s.length) > r.limit {
		return fmt.Errorf("%d bytes of type %d: %w", s.length, s.typ, ErrMessageSize)
	}
	s.missing = s.length
	s.since = time.Now()
	return nil
}

// body reads n bytes of a message. Room is made for as much as the peer has shown to send, then as bytes arrive.
func (r *Reader) body(s *stream, n int) error {
	for n > 0 {
		if len(s.payload) == cap(s.payload) {
			if err := r.grow(s); err != nil {
				return err
			}
		}
		room := s.payload[len(s.payload):min(cap(s.payload), len(s.payload)+n)]
		got := copy(room, r.buf[r.r:r.w])
		r.r += got
		if got == 0 {
			var err error
			if len(room) < len(r.buf) {
				if err := r.fill(); err != nil {
					return err
				}
				continue
			}
			if got, err = r.src.Read(room); got == 0 {
				if err == nil {
					err = io.ErrNoProgress
				}
				return err
			}
		}
		s.payload = s.payload[:len(s.payload)+got]
		s.missing -= uint32(got)
		n -= got
	}
	return nil
}

func (r *Reader) grow(s *stream) error {
	whole := len(s.payload) + int(s.missing)
	size := min(whole, max(firstAllocation, 2*r.largest, 2*len(s.payload)))
	if r.partial+size > MaxPartial {
		return ErrPartial
	}
	r.partial += size - cap(s.payload)
	b := make([]byte, len(s.payload), size)
	copy(b, s.payload)
	s.payload = b
	return nil
}

// peek returns the next n bytes, at most 11, without using them up. io.EOF means that the source ended before them.
func (r *Reader) peek(n int) ([]byte, error) {
	for r.w-r.r < n {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	return r.buf[r.r : r.r+n], nil
}

// fill reads more into the buffer, at least one byte.
func (r *Reader) fill() error {
	if r.buf == nil {
		r.buf = make([]byte, smallBuffer)
	}
	if r.r > 0 {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
