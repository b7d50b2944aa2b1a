package mpegts

import (
	"bytes"

	"weir/transmux/codec"
)

// opus cuts PES packets into Opus packets, each after an opus_control_header (the mapping "Opus in MPEG-TS" that encoders
// follow: 11 bits 0x3ff, flags, size, trims, extension).
type opus struct{ next stamp }

func (o *opus) of(s *stream) func(b []byte, t stamp) {
	return func(b []byte, t stamp) {
		if t.ok {
			o.next = t
		}
		for len(b) > 0 {
			head, size, ok := parseOpusControl(b)
			if !ok || size > len(b)-head {
				s.d.n.Frame++
				s.gap = true
				o.next.ok = false
				return
			}
			data := bytes.Clone(b[head : head+size])
			b = b[head+size:]
			s.emit(data, o.next, true)
			d := codec.FrameDuration(s.track, data)
			o.next.pts, o.next.dts = o.next.pts+d, o.next.dts+d
			o.next.ok = o.next.ok && d > 0
		}
	}
}

// parseOpusControl returns the size of the control header and that of the packet after it.
func parseOpusControl(b []byte) (head, size int, ok bool) {
	if len(b) < 3 || b[0] != 0x7f || b[1]&0xe0 != 0xe0 {
		return 0, 0, false
	}
	flags := b[1]
	head = 2
	for {
		if head >= len(b) {
			return 0, 0, false
		}
		n := int(b[head])
		head++
		size += n
		if n < 255 {
			break
		}
	}
	for _, trim := range [2]byte{0x10, 0x08} {
		if flags&trim != 0 {
			head += 2
		}
	}
	if flags&0x04 != 0 {
		if head >= len(b) {
			return 0, 0, false
		}
		head += 1 + int(b[head])
	}
	return head, size, head <= len(b) && size > 0
}

func appendOpusControl(dst []byte, size int) []byte {
	dst = append(dst, 0x7f, 0xe0)
	for ; size >= 255; size -= 255 {
		dst = append(dst, 255)
	}
	return append(dst, byte(size))
}
