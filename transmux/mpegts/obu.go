package mpegts

import (
	"bytes"

	"weir/transmux"
	"weir/transmux/codec"
)

// av1 hands out the temporal unit of one PES packet. By "Carriage of AV1 in MPEG-2 TS" 3.2 each OBU stands after a start
// code with emulation prevention; plain OBUs, as some send them, are taken too.
func (s *stream) av1(b []byte, t stamp) {
	var obus [][]byte
	if startsHere(b) {
		obus = splitOBUs(b)
	} else {
		for o := range codec.OBUs(b) {
			obus = append(obus, o)
		}
	}
	for _, o := range obus {
		if len(o) > 0 && o[0]>>3&0xf == 1 { // OBU_SEQUENCE_HEADER
			if config := codec.AV1C(o); config != nil && !bytes.Equal(config, s.track.Config) {
				s.retrack(func(t *transmux.Track) { t.Config = config })
			}
		}
	}
	data := codec.TemporalUnit(obus)
	s.emit(data, t, codec.IsKey(transmux.AV1, data))
}

// splitOBUs takes start codes and emulation prevention away. It writes over b.
func splitOBUs(b []byte) (obus [][]byte) {
	at := bytes.Index(b, []byte{0, 0, 1})
	for at >= 0 {
		b = b[at+3:]
		one := b
		if at = bytes.Index(b, []byte{0, 0, 1}); at >= 0 {
			one = b[:at]
		}
		if one = unescape(one); len(one) > 0 {
			obus = append(obus, one)
		}
	}
	return obus
}

// unescape takes the 3 out of every 00 00 03, in place.
func unescape(b []byte) []byte {
	out, zeros := b[:0], 0
	for _, c := range b {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		zeros++
		if c != 0 {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}

// appendEscaped writes b with emulation prevention.
func appendEscaped(dst, b []byte) []byte {
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c <= 3 {
			dst = append(dst, 3)
			zeros = 0
		}
		zeros++
		if c != 0 {
			zeros = 0
		}
		dst = append(dst, c)
	}
	return dst
}
