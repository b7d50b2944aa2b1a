package mpegts

// adaptationField is what a demuxer reads of an adaptation field (ISO 13818-1 2.4.3.4).
type adaptationField struct {
	discontinuity bool
	randomAccess  bool
	hasPCR        bool
	pcr           uint64 // ticks of 27 MHz, modulo 2^33 * 300
}

// adaptation takes a packet of 188 bytes apart. payload is nil if the packet has none; ok is false if the packet is not
// possible.
func adaptation(p []byte) (a adaptationField, payload []byte, ok bool) {
	control := p[3] >> 4 & 3
	if control == 0 {
		return a, nil, false
	}
	payload = p[4:PacketSize]
	if control&2 != 0 {
		n := int(p[4])
		if n > PacketSize-5 {
			return a, nil, false
		}
		if n > 0 {
			a.discontinuity = p[5]&0x80 != 0
			a.randomAccess = p[5]&0x40 != 0
			if p[5]&0x10 != 0 && n >= 7 {
				a.hasPCR = true
				a.pcr = readPCR(p[6:12])
			}
		}
		payload = p[5+n : PacketSize]
	}
	if control&1 == 0 || len(payload) == 0 {
		return a, nil, true
	}
	return a, payload, true
}

func readPCR(b []byte) uint64 {
	base := uint64(b[0])<<25 | uint64(b[1])<<17 | uint64(b[2])<<9 | uint64(b[3])<<1 | uint64(b[4])>>7
	return base*300 + uint64(b[4]&1)<<8 + uint64(b[5])
}

// PCR returns the program clock reference that a packet of 188 bytes carries, in ticks of 27 MHz modulo 2^33 * 300, and
// the PID that carries it.
func PCR(packet []byte) (ticks uint64, pid uint16, ok bool) {
	if len(packet) < PacketSize || packet[0] != syncByte {
		return 0, 0, false
	}
	a, _, ok := adaptation(packet)
	return a.pcr, uint16(packet[1]&0x1f)<<8 | uint16(packet[2]), ok && a.hasPCR
}
