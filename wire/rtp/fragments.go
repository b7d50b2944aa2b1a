package rtp

import (
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/pion/rtp"
)

func moreNALU(err error) bool {
	return errors.Is(err, rtph264.ErrMorePacketsNeeded) || errors.Is(err, rtph265.ErrMorePacketsNeeded)
}

// eac3Header is the length of the payload header of E-AC-3 (RFC 4598 4.1.1): seven reserved bits, a bit that says that
// the payload is a fragment, and the number of frames or of fragments.
const eac3Header = 2

// maxFragments bounds a frame: E-AC-3 frames have at most 4096 bytes.
const maxFragments = 64

// fragments collects E-AC-3 frames. Several frames in one payload are taken apart by their own headers.
type fragments struct {
	header int
	frame  []byte
	count  int // fragments collected
	want   int
}

func (d *fragments) push(p *rtp.Packet, lost bool, emit func(unit)) error {
	if len(p.Payload) <= d.header {
		return errors.New("an E-AC-3 payload is too short")
	}
	fragment, number, body := p.Payload[0]&1 == 1, int(p.Payload[1]), p.Payload[d.header:]
	if lost {
		d.frame, d.count = nil, 0
	}
	if !fragment {
		d.frame, d.count = nil, 0
		emit(unit{splitEAC3(body), p.Timestamp})
		return nil
	}
	starts := len(body) >= 2 && body[0] == 0x0b && body[1] == 0x77
	if d.count == 0 {
		if !starts || number < 1 || number > maxFragments {
			return errors.New("an E-AC-3 fragment has no beginning")
		}
		d.want = number
	}
	d.frame = append(d.frame, body...)
	if d.count++; d.count < d.want && !p.Marker {
		return nil
	}
	frame := d.frame
	d.frame, d.count = nil, 0
	if len(frame) != eac3Size(frame) {
		return fmt.Errorf("an E-AC-3 frame has %d bytes and announces %d", len(frame), eac3Size(frame))
	}
	emit(unit{[][]byte{frame}, p.Timestamp})
	return nil
}

// eac3Size is the size of the frame that begins b (ETSI TS 102 366 E.1.2.2, frmsiz); 0 if it is none.
func eac3Size(b []byte) int {
	if len(b) < 4 || b[0] != 0x0b || b[1] != 0x77 {
		return 0
	}
	return (int(b[2]&7)<<8 | int(b[3]) + 1) * 2
}

func splitEAC3(b []byte) (frames [][]byte) {
	for len(b) > 0 {
		n := eac3Size(b)
		if n == 0 || n > len(b) {
			break
		}
		frames = append(frames, b[:n:n])
		b = b[n:]
	}
	return frames
}

// packetsEAC3 cuts one frame into payloads of at most room bytes.
func packetsEAC3(frame []byte, room int) [][]byte {
	room -= eac3Header
	if len(frame) <= room {
		return [][]byte{append([]byte{0, 1}, frame...)}
	}
	n := (len(frame) + room - 1) / room
	out := make([][]byte, 0, n)
	for len(frame) > 0 {
		k := min(room, len(frame))
		out = append(out, append([]byte{1, byte(n)}, frame[:k]...))
		frame = frame[k:]
	}
	return out
}
