package mpegts

import (
	"bytes"

	"weir/transmux"
)

func newPictures(s *stream) framer {
	if s.track.Codec == transmux.MPEG4Video {
		return newVideo(s, mpeg4{})
	}
	return newVideo(s, new(mpeg2))
}

// mpeg2 is the syntax of MPEG-1 and MPEG-2 video (ISO 13818-2 6.2).
type mpeg2 struct {
	head      bool // a picture header came, no slice yet
	structure byte // picture_structure of the newest picture: 1 top, 2 bottom, 3 frame
	field     byte // the field that the unit has, if it waits for the other
}

func (m *mpeg2) reset()     { *m = mpeg2{} }
func (m *mpeg2) open() bool { return m.field != 0 }

func (m *mpeg2) class(b []byte) class {
	if len(b) == 0 {
		return other
	}
	switch code := b[0]; {
	case code == 0x00: // picture_start_code
		m.head, m.structure = true, 3
		return opener
	case code == 0xb3, code == 0xb8: // sequence and group headers
		return opener
	case code == 0xb5 && len(b) >= 4 && b[1]>>4 == 8: // picture_coding_extension
		m.structure = b[3] & 3
	case code >= 0x01 && code <= 0xaf:
		if !m.head {
			return more
		}
		m.head = false
		if m.structure != 3 && m.field != 0 && m.field != m.structure {
			m.field = 0
			return more // the second field of the frame
		}
		m.field = 0
		if m.structure != 3 {
			m.field = m.structure
		}
		return picture
	}
	return other
}

func (m *mpeg2) unit(_ *stream, buf []byte, pieces []int, end int) []byte {
	return bytes.Clone(buf[pieces[0]-3 : end])
}

// mpeg4 is the syntax of MPEG-4 part 2 (ISO 14496-2 6.2).
type mpeg4 struct{}

func (mpeg4) reset()     {}
func (mpeg4) open() bool { return false }

func (mpeg4) class(b []byte) class {
	if len(b) == 0 {
		return other
	}
	switch code := b[0]; {
	case code == 0xb6: // vop_start_code
		return picture
	case code <= 0x2f, code == 0xb0, code == 0xb3, code == 0xb5:
		return opener
	}
	return other
}

func (mpeg4) unit(s *stream, buf []byte, pieces []int, end int) []byte {
	from := pieces[0] - 3
	vol := false
	for _, at := range pieces {
		code := buf[at]
		if code >= 0x20 && code <= 0x2f {
			vol = true
		}
		if code == 0xb3 || code == 0xb6 {
			if config := buf[from : at-3]; vol && !bytes.Equal(config, s.track.Config) {
				s.retrack(func(t *transmux.Track) { t.Config = bytes.Clone(config) })
			}
			break
		}
	}
	return bytes.Clone(buf[from:end])
}
