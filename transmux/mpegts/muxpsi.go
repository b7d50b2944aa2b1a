package mpegts

import (
	"bytes"
	"encoding/binary"
	"slices"

	"weir/transmux"
)

// tables are the sections of the program, ready to be sent.
type tables struct {
	pat, pmt, sdt []byte
	pmtPID        uint16
	program       uint16
	body          []byte // of the PMT
	version       byte
	has           bool
}

const maxPMT = 1021 - 9 // bytes of a PMT section between head and CRC

func (p *tables) begin(o *MuxOptions) {
	p.program = uint16(o.Program)
	p.pmtPID = 0x1000
	p.pat = section(tablePAT, 1, 0, []byte{byte(p.program >> 8), byte(p.program), 0xe0 | byte(p.pmtPID>>8), byte(p.pmtPID)})
	service := []byte{1} // digital television
	service = appendText(service, o.Provider)
	service = appendText(service, o.Service)
	body := []byte{0xff, 0x01, 0xff, byte(p.program >> 8), byte(p.program), 0xfc}
	n := len(service) + 2
	body = append(body, 0x80|byte(n>>8), byte(n), descService, byte(len(service)))
	p.sdt = section(tableSDT, 1, 0, append(body, service...))
}

// appendText writes a text of EN 300 468 annex A after its length, as UTF-8 where it is more than ASCII.
func appendText(b []byte, s string) []byte {
	s = s[:min(len(s), 100)]
	ascii := !bytes.ContainsFunc([]byte(s), func(r rune) bool { return r > 0x7e || r < 0x20 })
	if ascii {
		return append(append(b, byte(len(s))), s...)
	}
	return append(append(b, byte(len(s)+1), 0x15), s...)
}

// setPMT makes a new PMT, with another version if anything changed.
func (p *tables) setPMT(m *Muxer) {
	var info []byte
	if slices.ContainsFunc(m.tracks, func(t *muxTrack) bool { return t.codec == transmux.SCTE35 }) {
		info = registration(registeredSCTE)
	}
	body := []byte{0xe0 | byte(m.pcrPID>>8), byte(m.pcrPID), 0xf0, byte(len(info))}
	body = append(body, info...)
	m.tracks = slices.DeleteFunc(m.tracks, func(t *muxTrack) bool {
		desc := t.desc
		if len(body)+5+len(desc) > maxPMT {
			desc = nil
		}
		if len(body)+5 > maxPMT {
			return true // does not fit
		}
		body = append(body, t.streamType, 0xe0|byte(t.pid>>8), byte(t.pid), 0xf0|byte(len(desc)>>8), byte(len(desc)))
		body = append(body, desc...)
		return false
	})
	if p.has && bytes.Equal(body, p.body) {
		return
	}
	if p.has {
		p.version = (p.version + 1) & 0x1f
	}
	p.body, p.has = body, true
	p.pmt = section(tablePMT, p.program, p.version, body)
}

func (p *tables) packets() int {
	return 2 + len(p.sdt)/PacketSize + 1 + len(p.pmt)/(PacketSize-4)
}

// section puts head and CRC around a body (ISO 13818-1 2.4.4).
func section(id byte, extension uint16, version byte, body []byte) []byte {
	n := 5 + len(body) + 4
	b := make([]byte, 0, 3+n)
	mark := byte(0xb0)
	if id == tableSDT {
		mark = 0xf0
	}
	b = append(b, id, mark|byte(n>>8), byte(n), byte(extension>>8), byte(extension), 0xc1|version<<1, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, sectionCRC(b))
}
