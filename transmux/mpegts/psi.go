package mpegts

import "encoding/binary"

const (
	tablePAT = 0x00
	tablePMT = 0x02
	tableSDT = 0x42 // of the stream itself
)

// table is the head that the sections of PAT, PMT and SDT share (ISO 13818-1 2.4.4).
type table struct {
	id        uint8
	extension uint16 // transport_stream_id or program_number
	version   int
	current   bool
	number    uint8
	last      uint8
	body      []byte // between head and CRC
}

func parseTable(s []byte) (t table, ok bool) {
	if len(s) < 12 || s[1]&0x80 == 0 || 3+int(binary.BigEndian.Uint16(s[1:])&0x0fff) != len(s) {
		return t, false
	}
	return table{
		id:        s[0],
		extension: binary.BigEndian.Uint16(s[3:]),
		version:   int(s[5] >> 1 & 0x1f),
		current:   s[5]&1 != 0,
		number:    s[6],
		last:      s[7],
		body:      s[8 : len(s)-4],
	}, true
}

// patEntry is one program of a PAT (2.4.4.3).
type patEntry struct{ number, pid uint16 }

// parsePAT returns the programs of one section, without the network PID.
func parsePAT(body []byte) (list []patEntry) {
	for ; len(body) >= 4; body = body[4:] {
		e := patEntry{binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:]) & 0x1fff}
		if e.number != 0 && e.pid >= 0x10 && e.pid != nullPID {
			list = append(list, e)
		}
	}
	return list
}

// pmtEntry is one elementary stream of a PMT (2.4.4.8).
type pmtEntry struct {
	streamType  uint8
	pid         uint16
	descriptors []byte
}

// parsePMT copies what it returns.
func parsePMT(body []byte) (pcrPID uint16, descriptors []byte, list []pmtEntry, ok bool) {
	if len(body) < 4 {
		return 0, nil, nil, false
	}
	body = append([]byte(nil), body...)
	pcrPID = binary.BigEndian.Uint16(body) & 0x1fff
	n := int(binary.BigEndian.Uint16(body[2:]) & 0x0fff)
	if 4+n > len(body) {
		return 0, nil, nil, false
	}
	descriptors = body[4 : 4+n : 4+n]
	for body = body[4+n:]; len(body) >= 5; {
		e := pmtEntry{streamType: body[0], pid: binary.BigEndian.Uint16(body[1:]) & 0x1fff}
		n := int(binary.BigEndian.Uint16(body[3:]) & 0x0fff)
		if 5+n > len(body) {
			return 0, nil, nil, false
		}
		e.descriptors = body[5 : 5+n : 5+n]
		body = body[5+n:]
		if e.pid >= 0x10 && e.pid != nullPID {
			list = append(list, e)
		}
	}
	return pcrPID, descriptors, list, len(body) == 0
}

// sdtEntry is one service of an SDT (EN 300 468 5.2.3).
type sdtEntry struct {
	number         uint16
	name, provider string
}

func parseSDT(body []byte) (list []sdtEntry) {
	if len(body) < 3 {
		return nil
	}
	for body = body[3:]; len(body) >= 5; {
		e := sdtEntry{number: binary.BigEndian.Uint16(body)}
		n := int(binary.BigEndian.Uint16(body[3:]) & 0x0fff)
		if 5+n > len(body) {
			return list
		}
		if b, ok := descriptor(body[5:5+n], descService); ok && len(b) >= 2 {
			if p := int(b[1]); 2+p < len(b) {
				e.provider = dvbText(b[2 : 2+p])
				b = b[2+p:]
				if s := int(b[0]); 1+s <= len(b) {
					e.name = dvbText(b[1 : 1+s])
				}
			}
		}
		list = append(list, e)
		body = body[5+n:]
	}
	return list
}
