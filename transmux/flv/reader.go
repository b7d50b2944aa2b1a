package flv

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of what a Reader takes.
const (
	maxOffset  = 64 << 10 // bytes before the first tag
	maxUnknown = 16       // tags of unknown kinds in a row, after which it is not FLV any more
	firstBody  = 64 << 10 // bytes reserved for a body on its sender's word alone
)

// ErrNotFLV is wrapped by the errors of a Reader whose bytes are not FLV.
var ErrNotFLV = errors.New("this is not FLV")

// A Reader cuts an FLV byte stream (FLV 10.1 E.2, E.3) into tags for a Demuxer. What the header says of audio and video
// and what the back pointers say is not looked at, since it is often wrong. For one goroutine at a time.
type Reader struct {
	d       *Demuxer
	state   readState
	head    [tagHeader]byte
	have    int // bytes in head
	skip    int // bytes to pass over
	body    []byte
	size    int // of the body when it is whole
	unknown int
	err     error
}

type readState uint8

const (
	readHeader readState = iota
	readSkip
	readTag
	readBody
)

// NewReader returns a Reader that gives the tags to d.
func NewReader(d *Demuxer) *Reader { return &Reader{d: d} }

// Feed takes the next bytes of the stream, of any number, and does not keep them. arrived is when they came. An error is
// final: it wraps ErrNotFLV, or is the one that the Demuxer's Out returned.
func (r *Reader) Feed(b []byte, arrived time.Time) error {
	for r.err == nil && len(b) > 0 {
		switch r.state {
		case readHeader:
			if b = r.fill(b, 9); r.have == 9 {
				r.err = r.fileHeader()
			}
		case readSkip:
			n := min(r.skip, len(b))
			r.skip -= n
			b = b[n:]
			if r.skip == 0 {
				r.state = readTag
			}
		case readTag:
			if b = r.fill(b, tagHeader); r.have == tagHeader {
				r.err = r.tag(arrived)
			}
		case readBody:
			n := min(r.size-len(r.body), len(b))
			if cap(r.body)-len(r.body) < n {
				grown := make([]byte, len(r.body), min(r.size, max(2*cap(r.body), len(r.body)+n)))
				copy(grown, r.body)
				r.body = grown
			}
			r.body = append(r.body, b[:n]...)
			b = b[n:]
			if len(r.body) == r.size {
				r.err = r.finish(arrived)
			}
		}
	}
	return r.err
}

// fill takes bytes from b until head has n.
func (r *Reader) fill(b []byte, n int) []byte {
	got := copy(r.head[r.have:n], b)
	r.have += got
	return b[got:]
}

func (r *Reader) fileHeader() error {
	h := r.head[:9]
	if string(h[:3]) != "FLV" {
		return fmt.Errorf("%w: it begins with %x", ErrNotFLV, h[:4])
	}
	offset := int(h[5])<<24 | get24(h[6:])
	if offset < 9 || offset > maxOffset {
		return fmt.Errorf("%w: its header tells that tags begin at %d", ErrNotFLV, offset)
	}
	r.have, r.skip, r.state = 0, offset-9+backPointer, readSkip
	return nil
}

func (r *Reader) tag(arrived time.Time) error {
	if r.head[0]&0x20 != 0 {
		return fmt.Errorf("%w that can be read: its tags are encrypted", ErrNotFLV)
	}
	switch r.head[0] {
	case Audio, Video, Data, Data3:
		r.unknown = 0
	default:
		if r.unknown++; r.unknown > maxUnknown {
			return fmt.Errorf("%w any more: %d tags in a row are of unknown kinds", ErrNotFLV, r.unknown)
		}
		r.d.ignored++
		r.have, r.skip, r.state = 0, get24(r.head[1:])+backPointer, readSkip
		return nil
	}
	r.have, r.size, r.body = 0, get24(r.head[1:]), nil
	if r.size == 0 {
		return r.finish(arrived)
	}
	r.body = make([]byte, 0, min(r.size, firstBody))
	r.state = readBody
	return nil
}

func (r *Reader) finish(arrived time.Time) error {
	body := r.body
	r.body, r.skip, r.state = nil, backPointer, readSkip
	return r.d.Tag(r.head[0], getTimestamp(r.head[:]), body, arrived)
}
