package rtp

import "weir/transmux/codec"

// obuSequenceHeader is an OBU type (AV1 bitstream specification 6.2.2).
const obuSequenceHeader = 1

// av1Config returns the configuration record of the sequence header in a temporal unit, nil if there is none.
func av1Config(data []byte) []byte {
	for o := range codec.OBUs(data) {
		if o[0]>>3&0xf == obuSequenceHeader {
			return codec.AV1C(o)
		}
	}
	return nil
}

// withoutSize returns a copy of an OBU without its size field, as RTP carries it (AV1 RTP 4.5).
func withoutSize(o []byte) []byte {
	if o[0]&2 == 0 {
		return o
	}
	header := 1
	if o[0]&4 != 0 {
		header = 2
	}
	body := header
	for body < len(o) && o[body]&0x80 != 0 {
		body++
	}
	if body++; body > len(o) {
		return o
	}
	out := make([]byte, 0, len(o))
	out = append(out, o[0]&^2)
	out = append(out, o[1:header]...)
	return append(out, o[body:]...)
}
