package mpegts

import (
	"time"

	"weir/transmux"
)

// counter is the continuity counter of the last packet of a PID that had a payload.
func (m *Muxer) counter(pid uint16) *uint8 {
	c := m.cc[pid]
	if c == nil {
		c = new(uint8)
		*c = 15
		m.cc[pid] = c
	}
	return c
}

// writePCR writes a packet that carries only the clock. Its continuity counter stands still.
func (m *Muxer) writePCR(at time.Duration) {
	if m.pcrPID == noPID {
		return
	}
	m.out = append(m.out, syncByte, byte(m.pcrPID>>8), byte(m.pcrPID), 0x20|*m.counter(m.pcrPID), PacketSize-5)
	m.appendClock(at, 0)
	for range PacketSize - 12 {
		m.out = append(m.out, 0xff)
	}
}

// appendClock writes the flags of an adaptation field and its PCR.
func (m *Muxer) appendClock(at time.Duration, flags byte) {
	if m.broken {
		flags |= 0x80
		m.broken = false
	}
	base, ext := ticks27(at)
	m.out = append(m.out, flags|0x10, byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1),
		byte(base<<7)|0x7e|byte(ext>>8), byte(ext))
	m.pcr, m.hasPCR = at, true
}

// writePSI writes PAT and PMT, and the SDT when it is due.
func (m *Muxer) writePSI(at time.Duration, all bool) {
	m.writeSection(patPID, m.psi.pat)
	m.writeSection(m.psi.pmtPID, m.psi.pmt)
	if all || !m.hasPSI || at-m.sdtAt >= sdtEvery-psiEvery || at < m.sdtAt {
		m.writeSection(sdtPID, m.psi.sdt)
		m.sdtAt = at
	}
	m.psiAt, m.hasPSI = at, true
}

// writeSection writes a section into packets of its own.
func (m *Muxer) writeSection(pid uint16, section []byte) {
	start := byte(0x40)
	cc := m.counter(pid)
	for len(section) > 0 {
		*cc = (*cc + 1) & 0x0f
		m.out = append(m.out, syncByte, start|byte(pid>>8), byte(pid), 0x10|*cc)
		room := PacketSize - 4
		if start != 0 {
			m.out = append(m.out, 0) // pointer_field
			room--
			start = 0
		}
		n := min(room, len(section))
		m.out = append(m.out, section[:n]...)
		section = section[n:]
		for range room - n {
			m.out = append(m.out, 0xff)
		}
	}
}

// writePES writes the payload as one PES packet.
func (m *Muxer) writePES(t *muxTrack, au *transmux.AccessUnit, at time.Duration) {
	m.head = appendPESHead(m.head[:0], t, au, m.pay.size)
	m.pay.parts[0] = m.head
	left := len(m.head) + m.pay.size
	part, off := 0, 0
	cc := m.counter(t.pid)
	for first := true; left > 0; first = false {
		var flags, field byte // field: bytes of the adaptation field, its length byte too
		clock := false
		start := byte(0)
		if first {
			start = 0x40
			if t.kind == transmux.KindVideo && au.Key {
				flags, field = 0x40, 2
			}
			if t.pid == m.pcrPID && (!m.hasPCR || m.broken || at > m.pcr) {
				clock, field = true, 8
			}
		}
		room := PacketSize - 4 - int(field)
		stuffing := 0
		if left < room {
			stuffing = room - left
			room = left
		}
		control := byte(0x10)
		if field > 0 || stuffing > 0 {
			control = 0x30
		}
		*cc = (*cc + 1) & 0x0f
		m.out = append(m.out, syncByte, start|byte(t.pid>>8), byte(t.pid), control|*cc)
		if control == 0x30 {
			m.out = append(m.out, byte(int(field)+stuffing-1))
			switch {
			case clock:
				m.appendClock(at, flags)
			case field > 0:
				m.out = append(m.out, flags)
			default:
				stuffing--
				if stuffing > 0 {
					m.out = append(m.out, 0)
					stuffing--
				}
			}
			for range stuffing {
				m.out = append(m.out, 0xff)
			}
		}
		left -= room
		for room > 0 {
			p := m.pay.parts[part][off:]
			n := min(room, len(p))
			m.out = append(m.out, p[:n]...)
			room -= n
			off += n
			if off == len(m.pay.parts[part]) {
				part, off = part+1, 0
			}
		}
	}
}

// appendPESHead writes the head of a PES packet (ISO 13818-1 2.4.3.6). Video that is too long tells no length, which only
// video may.
func appendPESHead(b []byte, t *muxTrack, au *transmux.AccessUnit, size int) []byte {
	pts, dts := ticks90(au.PTS), ticks90(au.DTS)
	flags, opt := byte(0x80), 5
	if pts != dts && t.kind == transmux.KindVideo {
		flags, opt = 0xc0, 10
	}
	if t.codec == transmux.Teletext {
		opt = 36 // EN 300 472 4.2
	}
	told := 3 + opt + size
	if told > 0xffff {
		told = 0
	}
	b = append(b, 0, 0, 1, t.streamID, byte(told>>8), byte(told), 0x84, flags, byte(opt))
	from := len(b)
	if flags == 0xc0 {
		b = appendTime(b, 3, pts)
		b = appendTime(b, 1, dts)
	} else {
		b = appendTime(b, 2, pts)
	}
	for len(b)-from < opt {
		b = append(b, 0xff)
	}
	return b
}
