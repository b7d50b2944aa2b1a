package udp

import (
	"time"

	"weir/transmux/clock"
	"weir/transmux/mpegts"
)

const (
	packetSize = mpegts.PacketSize
	nullPID    = 0x1fff
	firstPSI   = 0x10 // of the PIDs that DVB reserves for tables, next to PAT, CAT and TSDT
	lastPSI    = 0x1f
)

// pidOf, hasPayload, starts and control read the head of a packet (ISO 13818-1 2.4.3.2).
func pidOf(p []byte) uint16       { return uint16(p[1]&0x1f)<<8 | uint16(p[2]) }
func starts(p []byte) bool        { return p[1]&0x40 != 0 }
func hasPayload(p []byte) bool    { return p[3]&0x10 != 0 }
func hasClock(p []byte) bool      { return p[3]&0x20 != 0 && p[4] >= 7 && p[5]&0x10 != 0 }
func setCounter(p []byte, c byte) { p[3] = p[3]&0xf0 | c&0x0f }

// pmtOf returns the PID of the first program's map that a PAT packet tells; 0 if it tells none.
func pmtOf(p []byte) uint16 {
	at := 4
	if p[3]&0x20 != 0 {
		at += 1 + int(p[4])
	}
	if !starts(p) || at >= packetSize {
		return 0
	}
	at += 1 + int(p[at]) + 8 // pointer_field and the head of the section
	for ; at+4 <= packetSize-4; at += 4 {
		if number := uint16(p[at])<<8 | uint16(p[at+1]); number != 0 {
			return uint16(p[at+2]&0x1f)<<8 | uint16(p[at+3])
		}
	}
	return 0
}

// clockOf returns the PCR_PID that a PMT packet tells.
func clockOf(p []byte) uint16 {
	at := 4
	if p[3]&0x20 != 0 {
		at += 1 + int(p[4])
	}
	if !starts(p) || at >= packetSize {
		return nullPID
	}
	at += 1 + int(p[at]) + 8
	if at+2 > packetSize {
		return nullPID
	}
	return uint16(p[at]&0x1f)<<8 | uint16(p[at+1])
}

// setClock writes a PCR into the adaptation field of a packet that has one (2.4.3.5).
func setClock(p []byte, at time.Duration, discontinuity bool) {
	const wrap = 300 << 33
	ticks := clock.ToTicks(at, 27_000_000) % wrap
	if ticks < 0 {
		ticks += wrap
	}
	base, ext := uint64(ticks)/300, uint64(ticks)%300
	p[5] &^= 0x80
	if discontinuity {
		p[5] |= 0x80
	}
	p[6], p[7], p[8], p[9] = byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1)
	p[10], p[11] = byte(base<<7)|0x7e|byte(ext>>8), byte(ext)
}

// appendClockPacket appends a packet that carries nothing but the clock.
func appendClockPacket(b []byte, pid uint16, counter byte) []byte {
	b = append(b, 0x47, byte(pid>>8), byte(pid), 0x20|counter&0x0f, packetSize-5, 0x10)
	for range packetSize - 6 {
		b = append(b, 0xff)
	}
	return b
}

// appendNull appends a packet that fills a slot.
func appendNull(b []byte) []byte {
	b = append(b, 0x47, nullPID>>8, nullPID&0xff, 0x10)
	for range packetSize - 4 {
		b = append(b, 0xff)
	}
	return b
}
