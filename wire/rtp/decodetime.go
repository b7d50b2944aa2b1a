package rtp

import (
	"bytes"
	"time"

	"weir/transmux"
	"weir/transmux/codec"
)

// A decodeTime tells the DTS of the next unit in decoding order; RTP tells only the PTS.
type decodeTime interface {
	Next(data []byte, pts time.Duration) time.Duration
}

// newDecodeTime returns nil for codecs whose units are never reordered.
func newDecodeTime(t *transmux.Track) decodeTime {
	switch t.Codec {
	case transmux.H264, transmux.H265:
		return codec.NewDTS(t.Codec, t.Config)
	case transmux.MPEG2Video:
		return &references{start: 0x00, shift: 3, mask: 7, b: 3} // after temporal_reference of 10 bits (13818-2 6.2.3)
	case transmux.MPEG4Video:
		return &references{start: 0xb6, shift: 14, mask: 3, b: 2} // first in a VOP (14496-2 6.2.5)
	}
	return nil
}

// firstFrame is how much earlier than shown the first picture is decoded, before any distance is known.
const firstFrame = 40 * time.Millisecond

// references derives DTS where at most one reference picture waits for the B-pictures before it: a B-picture is decoded
// when it is shown, a reference when the reference before it is shown (ISO 13818-2 6.1.1.11).
type references struct {
	start byte // code of a picture's header
	shift int  // of the coding type in the 16 bits after the code
	mask  int
	b     int // coding type of B-pictures

	last  time.Duration // PTS of the newest reference
	begun bool
}

func (r *references) Next(data []byte, pts time.Duration) time.Duration {
	if r.kind(data) == r.b {
		return pts
	}
	dts := r.last
	if d := pts - r.last; !r.begun || d <= 0 || d > time.Second {
		dts = pts - firstFrame
	}
	r.last, r.begun = pts, true
	return dts
}

// kind is the coding type of the first picture in data, -1 if there is none.
func (r *references) kind(data []byte) int {
	i := bytes.Index(data, []byte{0, 0, 1, r.start})
	if i < 0 || i+6 > len(data) {
		return -1
	}
	return (int(data[i+4])<<8 | int(data[i+5])) >> r.shift & r.mask
}
