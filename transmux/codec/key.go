package codec

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"weir/transmux"
)

// IsKey reports whether decoding may start at the access unit data, which is as [transmux.AccessUnit] says for c.
//
// h264: an IDR picture, a recovery point, or an intra picture that comes with an SPS. h265: an IRAP picture. av1: a
// sequence header or a shown key frame. vp8, vp9: a key frame. mpeg2video, mpeg4video: an intra picture. mjpeg and all
// audio and data: always. The old FLV video codecs: never, since their containers tell it.
func IsKey(c transmux.Codec, data []byte) bool {
	switch c {
	case transmux.H264:
		return isKeyAVC(data)
	case transmux.H265:
		for nalu := range transmux.NALUs(data) {
			if t := naluTypeHEVC(nalu); t < hevcVPS {
				return t >= hevcFirstIRAP && t <= hevcLastIRAP
			}
		}
		return false
	case transmux.AV1:
		return isKeyAV1(data)
	case transmux.VP8:
		return len(data) > 0 && data[0]&1 == 0
	case transmux.VP9:
		return isKeyVP9(data)
	case transmux.MPEG2Video:
		return isKeyMPEG2(data)
	case transmux.MPEG4Video:
		i := findStartCode(data, 0xb6) // vop_start_code, ISO 14496-2 6.2.5
		return i+4 < len(data) && data[i+4]>>6 == 0
	case transmux.MJPEG:
		return true
	}
	return c.Kind() != transmux.KindVideo
}

func isKeyAVC(data []byte) bool {
	var sps, recovery, slice, intra bool
	for nalu := range transmux.NALUs(data) {
		switch nalu[0] & 0x1f {
		case avcIDR:
			return true
		case avcSPS:
			sps = true
		case avcSEI:
			recovery = recovery || hasRecoveryPoint(nalu)
		case avcSlice:
			if !slice {
				slice, intra = true, true
			}
			intra = intra && isIntraSlice(nalu)
		}
	}
	// A recovery point need not be intra: encoders with periodic intra refresh never send an intra picture again.
	return slice && (recovery || sps && intra)
}

// isIntraSlice reads slice_type (ITU-T H.264 7.3.3).
func isIntraSlice(nalu []byte) bool {
	r := bitReader{b: unescape(nalu[1:], 12)}
	r.ue() // first_mb_in_slice
	t := r.ue()
	return !r.bad && (t%5 == 2 || t%5 == 4) // I, SI
}

// hasRecoveryPoint looks for a recovery point SEI message (ITU-T H.264 D.1.8).
func hasRecoveryPoint(nalu []byte) bool {
	b := nalu[1:]
	for len(b) > 2 {
		typ, size := 0, 0
		for len(b) > 0 && b[0] == 0xff {
			typ, b = typ+255, b[1:]
		}
		if len(b) < 2 {
			return false
		}
		typ, b = typ+int(b[0]), b[1:]
		for len(b) > 0 && b[0] == 0xff {
			size, b = size+255, b[1:]
		}
		if len(b) < 1 {
			return false
		}
		size, b = size+int(b[0]), b[1:]
		if typ == 6 {
			return true
		}
		// Emulation prevention makes the payload longer by what its size does not count; a message after such a
		// payload is not worth an allocation for each unit.
		if size > len(b) {
			return false
		}
		b = b[size:]
	}
	return false
}

func isKeyVP9(data []byte) bool {
	var h vp9.Header
	return len(data) > 0 && h.Unmarshal(data[:min(len(data), 32)]) == nil && !h.ShowExistingFrame && !h.NonKeyFrame
}

// isKeyMPEG2 reads picture_coding_type (ISO 13818-2 6.2.3) of the first picture.
func isKeyMPEG2(data []byte) bool {
	i := findStartCode(data, 0)
	return i+5 < len(data) && data[i+5]>>3&7 == 1
}

// findStartCode returns the index of the next 00 00 01 code, or len(b).
func findStartCode(b []byte, code byte) int {
	for i := nextStartCode(b, 0); i+3 < len(b); i = nextStartCode(b, i+3) {
		if b[i+3] == code {
			return i
		}
	}
	return len(b)
}
