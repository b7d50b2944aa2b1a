package mpegts

import (
	"encoding/binary"

	"weir/transmux"
	"weir/transmux/codec"
)

// nals is the syntax of H.264 and H.265 (annex B of both).
type nals struct {
	codec  transmux.Codec
	params *codec.Params
}

func newNALs(s *stream) framer {
	c := s.track.Codec
	return newVideo(s, &nals{codec: c, params: codec.NewParams(c, s.track.Config)})
}

func (n *nals) reset()     {}
func (n *nals) open() bool { return false }

// class follows H.264 7.4.1.2.3 and H.265 7.4.2.4.4. Slices in arbitrary order are not known.
func (n *nals) class(b []byte) class {
	if n.codec == transmux.H265 {
		return hevcClass(b)
	}
	if len(b) == 0 {
		return other
	}
	switch t := b[0] & 0x1f; t {
	case 1, 2, 5:
		if len(b) > 1 && b[1]&0x80 != 0 { // first_mb_in_slice is 0
			return picture
		}
		return more
	case 6, 7, 8, 14, 15, 16, 17, 18:
		return opener
	case 9:
		return delimiter
	}
	return other
}

func hevcClass(b []byte) class {
	if len(b) < 2 {
		return other
	}
	if b[0]&1 != 0 || b[1]&0xf8 != 0 {
		return other // of an enhancement layer
	}
	switch t := b[0] >> 1 & 0x3f; {
	case t < 32:
		if len(b) > 2 && b[2]&0x80 != 0 { // first_slice_segment_in_pic_flag
			return picture
		}
		return more
	case t == 35:
		return delimiter
	case t <= 34, t == 39, t >= 41 && t <= 44, t >= 48 && t <= 55:
		return opener
	}
	return other
}

// unit puts lengths before NAL units, and leaves delimiters out.
func (n *nals) unit(s *stream, buf []byte, pieces []int, end int) []byte {
	size := 0
	for i := range pieces {
		if nalu := piece(buf, pieces, i, end); len(nalu) > 0 && !codec.IsAUD(n.codec, nalu) {
			size += 4 + len(nalu)
		}
	}
	data := make([]byte, 0, size)
	for i := range pieces {
		nalu := piece(buf, pieces, i, end)
		if len(nalu) == 0 || codec.IsAUD(n.codec, nalu) {
			continue
		}
		if codec.IsParameterSet(n.codec, nalu) {
			n.params.Note(nalu)
		}
		data = binary.BigEndian.AppendUint32(data, uint32(len(nalu)))
		data = append(data, nalu...)
	}
	if config, changed := n.params.Config(); changed {
		s.retrack(func(t *transmux.Track) { t.Config = config })
	}
	return data
}

// piece returns piece i without the zeros that follow a NAL unit.
func piece(buf []byte, pieces []int, i, end int) []byte {
	if i+1 < len(pieces) {
		end = pieces[i+1] - 3
	}
	from := pieces[i]
	for end > from && buf[end-1] == 0 {
		end--
	}
	return buf[from:max(from, end)]
}
