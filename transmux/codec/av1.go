package codec

import (
	"iter"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
)

// AV1 OBU types (AV1 bitstream specification 6.2.2).
const (
	obuSequenceHeader    = 1
	obuTemporalDelimiter = 2
	obuFrameHeader       = 3
	obuFrame             = 6
	obuTileList          = 8
	obuPadding           = 15
)

// maxLEB128 is the length of the longest number that an OBU size may be (AV1 4.10.5).
const maxLEB128 = 8

// AV1C returns an AV1CodecConfigurationRecord (AV1 in ISOBMFF 2.3.3) that holds the sequence header OBU, which may come
// with or without its size field. It is nil if that is malformed.
func AV1C(seqHeaderOBU []byte) []byte {
	h, ok := parseSequenceHeader(seqHeaderOBU)
	if !ok {
		return nil
	}
	var level, tier byte
	if len(h.SeqLevelIdx) > 0 {
		level = h.SeqLevelIdx[0]
	}
	if len(h.SeqTier) > 0 && h.SeqTier[0] {
		tier = 1
	}
	c := h.ColorConfig
	flags := tier << 7
	for i, set := range []bool{c.HighBitDepth, c.TwelveBit, c.MonoChrome, c.SubsamplingX, c.SubsamplingY} {
		if set {
			flags |= 0x40 >> i
		}
	}
	flags |= byte(c.ChromaSamplePosition) & 3
	b := []byte{0x81, h.SeqProfile<<5 | level&0x1f, flags, 0}
	return append(b, TemporalUnit([][]byte{seqHeaderOBU})...)
}

// parseSequenceHeader reads a sequence header OBU, with or without size field.
func parseSequenceHeader(obu []byte) (h av1.SequenceHeader, ok bool) {
	if len(obu) < 2 || len(obu) > 1024 || obuType(obu) != obuSequenceHeader || obu[0]&4 != 0 {
		return h, false
	}
	return h, h.Unmarshal(obu) == nil
}

// TemporalUnit joins OBUs, which may come with or without size fields, in the low-overhead form in which all have one
// (AV1 5.2). Temporal delimiters, tile lists and padding are left out, as containers want it.
func TemporalUnit(obus [][]byte) []byte {
	n := 0
	for _, o := range obus {
		n += len(o) + maxLEB128
	}
	b := make([]byte, 0, n)
	for _, o := range obus {
		if len(o) == 0 {
			continue
		}
		switch obuType(o) {
		case obuTemporalDelimiter, obuTileList, obuPadding:
			continue
		}
		if o[0]&2 != 0 {
			b = append(b, o...)
			continue
		}
		head := 1
		if o[0]&4 != 0 {
			head = 2
		}
		if len(o) < head {
			continue
		}
		b = append(b, o[0]|2)
		b = append(b, o[1:head]...)
		b = appendLEB128(b, uint64(len(o)-head))
		b = append(b, o[head:]...)
	}
	return b
}

// OBUs yields views of the OBUs in data, each with its header and size field. It stops at a size that does not fit. An
// OBU without size field reaches to the end.
func OBUs(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			_, end, ok := splitOBU(data)
			if !ok || !yield(data[:end:end]) {
				return
			}
			data = data[end:]
		}
	}
}

// splitOBU returns where the payload of the first OBU in data begins and ends.
func splitOBU(data []byte) (begin, end int, ok bool) {
	begin = 1
	if data[0]&4 != 0 {
		begin = 2
	}
	if len(data) < begin {
		return 0, 0, false
	}
	if data[0]&2 == 0 {
		return begin, len(data), true
	}
	size, n := leb128(data[begin:])
	begin += n
	if n == 0 || size > uint64(len(data)-begin) {
		return 0, 0, false
	}
	return begin, begin + int(size), true
}

func obuType(obu []byte) int { return int(obu[0] >> 3 & 15) }

func isKeyAV1(data []byte) bool {
	for o := range OBUs(data) {
		switch obuType(o) {
		case obuSequenceHeader:
			return true
		case obuFrame, obuFrameHeader:
			begin, end, _ := splitOBU(o)
			if begin >= end {
				return false
			}
			// show_existing_frame 0, frame_type KEY_FRAME, show_frame 1 (AV1 5.9.2)
			return o[begin]&0xf0 == 0x10
		}
	}
	return false
}

// leb128 reads a number of at most 8 bytes; n is 0 if it is malformed.
func leb128(b []byte) (v uint64, n int) {
	for i := 0; i < len(b) && i < maxLEB128; i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

func appendLEB128(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
