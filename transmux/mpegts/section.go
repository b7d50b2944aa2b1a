package mpegts

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// assembler joins the sections of one PID (ISO 13818-1 2.4.4).
type assembler struct {
	n      *Counters
	got    func(section []byte, again bool) // again: equal to the one before
	all    bool                             // sections of any form, as private data: the CRC is checked if there is one
	buf    []byte
	prev   []byte
	active bool
}

func (a *assembler) packet(payload []byte, start bool) {
	if !start {
		if a.active {
			a.add(payload)
		}
		return
	}
	pointer := int(payload[0])
	payload = payload[1:]
	if pointer > len(payload) {
		a.n.Section++
		a.reset()
		return
	}
	if a.active {
		a.add(payload[:pointer])
		if a.active {
			a.n.Section++
			a.reset()
		}
	}
	payload = payload[pointer:]
	for len(payload) > 0 && payload[0] != 0xff {
		a.active = true
		payload = a.add(payload)
	}
}

// lost drops a section that is not complete.
func (a *assembler) lost() {
	if a.active {
		a.n.Section++
	}
	a.reset()
}

func (a *assembler) reset() {
	a.active = false
	a.buf = a.buf[:0]
}

// add takes what belongs to the section and returns the rest.
func (a *assembler) add(b []byte) (rest []byte) {
	if missing := 3 - len(a.buf); missing > 0 {
		n := min(missing, len(b))
		a.buf = append(a.buf, b[:n]...)
		b = b[n:]
		if len(a.buf) < 3 {
			return nil
		}
	}
	size := 3 + int(binary.BigEndian.Uint16(a.buf[1:])&0x0fff)
	n := min(size-len(a.buf), len(b))
	a.buf = append(a.buf, b[:n]...)
	if len(a.buf) == size {
		a.check()
		a.reset()
	}
	return b[n:]
}

func (a *assembler) check() {
	s := a.buf
	long := s[1]&0x80 != 0
	again := bytes.Equal(s, a.prev)
	switch {
	case again:
	case a.all && !long && s[0] != 0xfc: // no CRC in the short form, but for splice_info_section
	case !a.all && (!long || len(s) < 12) || len(s) < 7:
		a.n.Section++
		return
	case sectionCRC(s) != 0:
		a.n.CRC++
		return
	}
	if !again {
		a.prev = append(a.prev[:0], s...)
	}
	a.got(s, again)
}

// sectionCRC is the CRC_32 of annex A. Over a section with its CRC it is zero. It is the mirror image of the CRC that the
// standard library has tables for.
func sectionCRC(b []byte) uint32 {
	crc := uint32(0)
	var mirror [256]byte
	for len(b) > 0 {
		n := min(len(b), len(mirror))
		for i, v := range b[:n] {
			mirror[i] = bits.Reverse8(v)
		}
		crc = crc32.Update(crc, crc32.IEEETable, mirror[:n])
		b = b[n:]
	}
	return bits.Reverse32(^crc)
}
