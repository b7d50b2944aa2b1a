package mpegts

import (
	"encoding/binary"

	"weir/transmux"
	"weir/transmux/codec"
)

// ac3 is AC-3 and E-AC-3 (ETSI TS 102 366). An E-AC-3 unit is the frame of the first independent substream together with
// the frames of all other substreams that follow it.
type ac3 struct {
	head  [3]byte
	joins bool // there are further substreams
}

func (f *ac3) size(b []byte, final bool) int {
	n, joined := syncframe(b)
	if n <= 0 || joined {
		return n
	}
	for range 15 { // substreams at most
		if n >= len(b) || len(b)-n < 6 {
			if f.joins && !final {
				return 0
			}
			return n
		}
		m, joined := syncframe(b[n:])
		if !joined {
			return n
		}
		f.joins = true
		n += m
	}
	return n
}

func (f *ac3) frame(a *audio, b []byte) {
	n, joined := syncframe(b)
	if joined { // what it belongs to has gone already
		f.joins = true
		a.s.gap = true
		return
	}
	if head := [3]byte{b[4] & 0xc0, b[5] & 0xf8, b[6] & 0xe0}; head != f.head {
		f.head = head
		c := transmux.AC3
		if b[5]>>3 > 10 {
			c = transmux.EAC3
		}
		a.describe(c, a.s.track.Rate, a.s.track.Channels)
		info := codec.DescribeUnit(a.s.track, b[:n])
		a.describe(c, info.Rate, info.Channels)
	}
	a.emit(b)
}

// syncframe returns the size of the frame at b[0], as form.size does, and whether it belongs to the frame before.
func syncframe(b []byte) (n int, joined bool) {
	if b[0] != 0x0b || len(b) > 1 && b[1] != 0x77 {
		return -1, false
	}
	if len(b) < 8 {
		return 0, false
	}
	switch id := b[5] >> 3; { // bsid
	case id > 16:
		return -1, false
	case id > 10:
		n = 2 * (int(binary.BigEndian.Uint16(b[2:])&0x07ff) + 1)
		if n < 8 {
			return -1, false
		}
		kind, sub := b[2]>>6, b[2]>>3&7
		return n, kind == 1 || kind == 0 && sub > 0
	}
	rate, code := b[4]>>6, int(b[4]&0x3f)
	if rate == 3 || code > 37 {
		return -1, false
	}
	kbps := [...]int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640}[code>>1]
	switch rate {
	case 0: // 48 kHz
		n = kbps * 4
	case 1: // 44.1 kHz
		n = 2 * (kbps*96000/44100 + code&1)
	default: // 32 kHz
		n = kbps * 6
	}
	return n, false
}
