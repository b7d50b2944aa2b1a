package udp

import (
	"encoding/binary"
	"time"
)

const (
	// PayloadMP2T is the static RTP payload type of MPEG-TS (RFC 3551 6).
	PayloadMP2T = 33

	// HeaderSize is the length of an RTP header without extensions.
	HeaderSize = 12

	syncByte = 0x47 // first byte of a TS packet (ISO 13818-1 2.4.3.2)
)

// A Header is the fixed part of an RTP header (RFC 3550 5.1).
type Header struct {
	PayloadType uint8 // 7 bits
	Marker      bool
	Sequence    uint16
	Timestamp   uint32
	SSRC        uint32
}

// Append writes the header behind b.
func (h Header) Append(b []byte) []byte {
	second := h.PayloadType & 0x7f
	if h.Marker {
		second |= 0x80
	}
	b = append(b, 0x80, second)
	b = binary.BigEndian.AppendUint16(b, h.Sequence)
	b = binary.BigEndian.AppendUint32(b, h.Timestamp)
	return binary.BigEndian.AppendUint32(b, h.SSRC)
}

// ParseRTP returns the header and a view of the payload, without contributors, extension and padding. ok is false if b
// is not one whole RTP packet.
func ParseRTP(b []byte) (h Header, payload []byte, ok bool) {
	if len(b) < HeaderSize || b[0]>>6 != 2 {
		return h, nil, false
	}
	h = Header{
		PayloadType: b[1] & 0x7f,
		Marker:      b[1]&0x80 != 0,
		Sequence:    binary.BigEndian.Uint16(b[2:]),
		Timestamp:   binary.BigEndian.Uint32(b[4:]),
		SSRC:        binary.BigEndian.Uint32(b[8:]),
	}
	begin, end := HeaderSize+4*int(b[0]&0x0f), len(b)
	if b[0]&0x10 != 0 { // extension, 5.3.1
		if begin+4 > len(b) {
			return h, nil, false
		}
		begin += 4 + 4*int(binary.BigEndian.Uint16(b[begin+2:]))
	}
	if b[0]&0x20 != 0 { // padding
		pad := int(b[len(b)-1])
		if pad == 0 {
			return h, nil, false
		}
		end -= pad
	}
	if begin > end {
		return h, nil, false
	}
	return h, b[begin:end], true
}

// Encapsulation is how datagrams carry MPEG-TS.
type Encapsulation uint8

const (
	Undecided Encapsulation = iota
	Raw                     // TS packets, nothing else
	RTP                     // TS packets after an RTP header (RFC 2250)
)

// String is the name in logs: "raw", "rtp" or "undecided".
func (e Encapsulation) String() string {
	switch e {
	case Raw:
		return "raw"
	case RTP:
		return "rtp"
	}
	return "undecided"
}

// undecidedLimit is how many datagrams in a row may look like neither before they are taken for a raw stream whose
// packets are cut anywhere.
const undecidedLimit = 8

// classify looks at one datagram. TS packets of 188 and 204 bytes begin with 0x47, which no RTP packet does. Those of 192
// bytes begin with four bytes that may look like anything, so RTP is tried before them.
func classify(b []byte) Encapsulation {
	if starts188(b) {
		return Raw
	}
	if _, payload, ok := ParseRTP(b); ok && (starts188(payload) || starts192(payload)) {
		return RTP
	}
	if starts192(b) {
		return Raw
	}
	return Undecided
}

// starts188 reports whether b begins with a TS packet of 188 or 204 bytes, and with a second one where there is room.
func starts188(b []byte) bool {
	if len(b) < 188 || b[0] != syncByte {
		return false
	}
	for _, size := range [...]int{188, 204} {
		if len(b) == size || len(b) > size && b[size] == syncByte {
			return true
		}
	}
	return false
}

// starts192 reports whether b is whole packets of 192 bytes: four bytes of time, then a TS packet.
func starts192(b []byte) bool {
	return len(b) > 0 && len(b)%192 == 0 && b[4] == syncByte && b[len(b)-188] == syncByte
}

// An Unwrapper takes MPEG-TS out of datagrams: it finds out whether they are RTP, and puts those that are in order. It
// belongs to one goroutine.
type Unwrapper struct {
	mode      Encapsulation
	undecided int
	foreign   uint64
	reorder   Reorderer
}

// Push takes one datagram that came in at now, and calls emit with the TS packets that are due, in order. They are valid
// during the call. lost tells that datagrams are missing before these.
func (u *Unwrapper) Push(b []byte, now time.Time, emit func(packets []byte, lost bool)) {
	kind := classify(b)
	switch {
	case kind != Undecided:
		u.undecided = 0
		u.mode = kind
	case u.mode == Raw:
		kind = Raw
	default:
		u.undecided++
		if u.mode == Undecided && u.undecided > undecidedLimit {
			u.mode, kind = Raw, Raw
		}
	}
	switch kind {
	case Raw:
		emit(b, false)
	case RTP:
		h, payload, _ := ParseRTP(b)
		u.reorder.Push(h, payload, now, emit)
	default:
		u.foreign++
	}
}

// Expire hands on datagrams that have waited too long for one before them. It returns when to call again; zero if
// nothing waits.
func (u *Unwrapper) Expire(now time.Time, emit func(packets []byte, lost bool)) time.Time {
	return u.reorder.Expire(now, emit)
}

// Encapsulation is what the datagrams were found to be.
func (u *Unwrapper) Encapsulation() Encapsulation { return u.mode }

// Stats returns what was counted so far.
func (u *Unwrapper) Stats() RTPStats {
	s := u.reorder.stats
	s.Foreign = u.foreign
	return s
}
