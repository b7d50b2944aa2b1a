package flv

import (
	"bytes"
	"encoding/binary"
	"time"

	"weir/transmux"
	"weir/transmux/codec"
)

// Codec ids of video that were used before there was a standard for them.
const (
	idAVC  = 7
	idHEVC = 12
	idAV1  = 13
)

func (d *Demuxer) video(b []byte) error {
	if b[0]&0x80 != 0 {
		return d.enhancedVideo(b)
	}
	frame, id := b[0]>>4, b[0]&15
	if frame == frameCommand {
		return d.ignore()
	}
	key := frame == frameKey
	var c transmux.Codec
	switch id {
	case 2:
		c = transmux.SorensonH263
	case 3:
		c = transmux.Screen
	case 4:
		c = transmux.VP6
	case 5:
		c = transmux.VP6A
	case 6:
		c = transmux.Screen2
	case idAVC, idHEVC, idAV1:
		return d.classicAVC(id, key, b[1:])
	default:
		return d.ignore()
	}
	s := d.slot(VideoID)
	if s == nil || len(b) < 2 {
		return d.ignore()
	}
	d.use(s, transmux.Track{Codec: c})
	return d.write(s, b[1:], key, 0)
}

// classicAVC takes a body after its first byte that is built like AVCVIDEOPACKET (FLV 10.1 E.4.3.2).
func (d *Demuxer) classicAVC(id byte, key bool, b []byte) error {
	s := d.slot(VideoID)
	if s == nil || len(b) < 5 {
		return d.ignore()
	}
	packet, composition, b := b[0], signed24(b[1:]), b[4:]
	c := transmux.H264
	switch {
	case id == idHEVC, id == idAVC && packet == packetStart && isHVCC(b):
		c = transmux.H265
	case id == idAV1:
		c = transmux.AV1
	case packet != packetStart && s.track != nil && s.track.Codec == transmux.H265:
		c = transmux.H265 // H.265 under the id of H.264, as its sequence header said
	}
	return d.picture(s, c, packet, key, composition, b)
}

// picture takes what a video packet of any signalling holds.
func (d *Demuxer) picture(s *slot, c transmux.Codec, packet byte, key bool, composition time.Duration, b []byte) error {
	switch packet {
	case packetStart:
		return d.videoConfig(s, c, b)
	case packetFrames:
	default:
		return d.ignore()
	}
	switch c {
	case transmux.H264, transmux.H265:
		b = d.nalUnits(s, c, b)
	case transmux.AV1:
		b = temporalUnit(b)
		if s.track == nil || s.track.Codec != c || s.track.Config == nil {
			d.use(s, transmux.Track{Codec: c, Config: sequenceHeader(b)})
		}
	default:
		if s.track == nil || s.track.Codec != c {
			d.use(s, transmux.Track{Codec: c})
		}
	}
	return d.write(s, b, key || codec.IsKey(c, b), composition)
}

// videoConfig takes a sequence header.
func (d *Demuxer) videoConfig(s *slot, c transmux.Codec, config []byte) error {
	if len(config) == 0 {
		return d.ignore()
	}
	switch c {
	case transmux.H264, transmux.H265:
		size, complete, err := checkRecord(c, config)
		if err != nil {
			return d.ignore()
		}
		s.lengthSize = size
		if size != 4 {
			config = withLengthSize4(c, config)
		}
		if s.track != nil && s.track.Codec == c && bytes.Equal(s.track.Config, config) {
			return nil
		}
		s.params = codec.NewParams(c, config)
		if !complete {
			return nil // the parameter sets that are missing are hoped to come in band
		}
	}
	d.use(s, transmux.Track{Codec: c, Config: config})
	return nil
}

// checkRecord reads an avcC or hvcC; complete tells that it has all kinds of parameter sets.
func checkRecord(c transmux.Codec, config []byte) (lengthSize int, complete bool, err error) {
	if c == transmux.H264 {
		sps, pps, size, err := codec.ParseAVCC(config)
		return size, len(sps) > 0 && len(pps) > 0, err
	}
	_, sps, pps, size, err := codec.ParseHVCC(config)
	return size, len(sps) > 0 && len(pps) > 0, err
}

func withLengthSize4(c transmux.Codec, config []byte) []byte {
	config = bytes.Clone(config)
	at := 4
	if c == transmux.H265 {
		at = 21
	}
	config[at] |= 3
	return config
}

// isHVCC tells the record of H.265 from that of H.264, since some encoders send it under the id of H.264.
func isHVCC(config []byte) bool {
	if sps, _, _, err := codec.ParseAVCC(config); err == nil && (len(sps) == 0 || sps[0][0]&0x1f == 7) {
		return false
	}
	_, sps, _, _, err := codec.ParseHVCC(config)
	return err == nil && len(sps) > 0 && codec.IsParameterSet(transmux.H265, sps[0])
}

// nalUnits brings the NAL units of a frame into the form of access units, mostly without a copy: lengths of 4 bytes,
// without access unit delimiters, empty units and what does not fit. It follows parameter sets that come in band.
func (d *Demuxer) nalUnits(s *slot, c transmux.Codec, b []byte) []byte {
	if s.params == nil || s.track != nil && s.track.Codec != c {
		s.params = codec.NewParams(c, nil)
	}
	if s.lengthSize == 0 {
		s.lengthSize = 4
	}
	var out []byte
	begin, end, clean := 0, 0, s.lengthSize == 4
	for end+s.lengthSize <= len(b) {
		size := naluLength(b[end:], s.lengthSize)
		if size > len(b)-end-s.lengthSize {
			break
		}
		nalu := b[end+s.lengthSize:][:size]
		end += s.lengthSize + size
		switch {
		case size > 0 && !codec.IsAUD(c, nalu):
			s.params.Note(nalu)
		case clean && begin == end-s.lengthSize-size:
			begin = end
		default:
			clean = false
		}
	}
	switch {
	case end < len(b) && (bytes.HasPrefix(b, []byte{0, 0, 0, 1}) || bytes.HasPrefix(b, []byte{0, 0, 1})):
		// Some encoders send a byte stream here, against the standard.
		for nalu := range codec.AnnexB(b) {
			if !codec.IsAUD(c, nalu) {
				s.params.Note(nalu)
				out = codec.AppendNALU(out, nalu)
			}
		}
	case clean:
		out = b[begin:end:end]
	default:
		out = repack(c, b[:end], s.lengthSize)
	}
	if config, changed := s.params.Config(); changed || s.track == nil || s.track.Codec != c {
		d.use(s, transmux.Track{Codec: c, Config: config})
	}
	return out
}

// repack copies NAL units after lengths of size bytes, all of which fit.
func repack(c transmux.Codec, b []byte, size int) []byte {
	out := make([]byte, 0, len(b)+64)
	for len(b) >= size {
		n := naluLength(b, size)
		nalu := b[size : size+n]
		if n > 0 && !codec.IsAUD(c, nalu) {
			out = codec.AppendNALU(out, nalu)
		}
		b = b[size+n:]
	}
	return out
}

func naluLength(b []byte, size int) int {
	switch size {
	case 1:
		return int(b[0])
	case 2:
		return int(binary.BigEndian.Uint16(b))
	}
	return int(binary.BigEndian.Uint32(b))
}

// temporalUnit brings OBUs into the form of access units, without a copy if only a leading temporal delimiter is to go.
func temporalUnit(b []byte) []byte {
	for len(b) >= 2 && b[0] == 0x12 && b[1] == 0 {
		b = b[2:]
	}
	var list [][]byte
	size, clean := 0, true
	for o := range codec.OBUs(b) {
		list = append(list, o)
		size += len(o)
		if t := o[0] >> 3 & 15; t == 2 || t == 8 || t == 15 || o[0]&2 == 0 {
			clean = false
		}
	}
	if clean {
		return b[:size:size]
	}
	return codec.TemporalUnit(list)
}

// sequenceHeader returns the configuration record of a temporal unit that has a sequence header, else nil.
func sequenceHeader(b []byte) []byte {
	for o := range codec.OBUs(b) {
		if o[0]>>3&15 == 1 {
			return codec.AV1C(o)
		}
	}
	return nil
}

// signed24 is a composition time.
func signed24(b []byte) time.Duration {
	return time.Duration(int32(uint32(get24(b))<<8)>>8) * time.Millisecond
}
