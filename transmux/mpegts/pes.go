package mpegts

import "encoding/binary"

// pesHeader is what a demuxer reads of a PES packet's head (ISO 13818-1 2.4.3.6).
type pesHeader struct {
	streamID       uint8
	length         int // bytes of payload; -1 if not told
	scrambled      bool
	aligned        bool
	hasPTS, hasDTS bool
	pts, dts       uint64 // 90 kHz, modulo 2^33
}

// parsePES reads the head of a PES packet. size is its length in bytes, 0 if more bytes must come; ok is false if this is
// no PES packet.
func parsePES(b []byte) (h pesHeader, size int, ok bool) {
	prefix := [3]byte{0, 0, 1}
	for i := range min(3, len(b)) {
		if b[i] != prefix[i] {
			return h, 0, false
		}
	}
	if len(b) < 6 {
		return h, 0, true
	}
	h.streamID = b[3]
	told := int(binary.BigEndian.Uint16(b[4:]))
	h.length = told
	switch h.streamID {
	case 0xbc, 0xbe, 0xbf, 0xf0, 0xf1, 0xf2, 0xf8, 0xff: // no further head
		return h, 6, true
	}
	if h.streamID < 0xbc {
		return h, 0, false
	}
	if len(b) < 9 {
		return h, 0, true
	}
	if b[6]&0xc0 != 0x80 {
		return h, 0, false
	}
	size = 9 + int(b[8])
	if told == 0 {
		h.length = -1
	} else if h.length = told - (size - 6); h.length < 0 {
		return h, 0, false
	}
	if len(b) < size {
		return h, 0, true
	}
	h.scrambled = b[6]&0x30 != 0
	h.aligned = b[6]&0x04 != 0
	opt := b[9:size]
	if b[7]&0x80 != 0 && len(opt) >= 5 {
		h.pts, h.hasPTS = readTime(opt)
		if b[7]&0x40 != 0 && len(opt) >= 10 && h.hasPTS {
			h.dts, h.hasDTS = readTime(opt[5:])
		}
	}
	return h, size, true
}

// readTime reads 33 bits in 5 bytes; ok is false if a marker bit is missing.
func readTime(b []byte) (v uint64, ok bool) {
	v = uint64(b[0]>>1&7)<<30 | uint64(b[1])<<22 | uint64(b[2]>>1)<<15 | uint64(b[3])<<7 | uint64(b[4]>>1)
	return v, b[0]&b[2]&b[4]&1 != 0
}

// appendTime writes 33 bits in 5 bytes after a mark of 4 bits.
func appendTime(b []byte, mark byte, v uint64) []byte {
	return append(b, mark<<4|byte(v>>29)&0x0e|1, byte(v>>22), byte(v>>14)|1, byte(v>>7), byte(v<<1)|1)
}
