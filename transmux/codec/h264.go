package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

var errShortRecord = errors.New("the configuration record is too short")

// maxSet is the longest parameter set that a record can hold.
const maxSet = 65535

// AVCC returns an AVCDecoderConfigurationRecord (ISO 14496-15 5.3.3.1) with NAL unit lengths of 4 bytes. It is nil if
// there is no SPS, if one of the sets is malformed, or if there are more than 31 SPS or 255 PPS.
func AVCC(sps, pps [][]byte) []byte {
	if len(sps) == 0 || len(sps) > 31 || len(pps) > 255 {
		return nil
	}
	for _, s := range sps {
		if len(s) < 4 || len(s) > maxSet || s[0]&0x1f != avcSPS {
			return nil
		}
	}
	for _, p := range pps {
		if len(p) < 2 || len(p) > maxSet || p[0]&0x1f != avcPPS {
			return nil
		}
	}
	first := sps[0]
	b := []byte{1, first[1], first[2], first[3], 0xff, 0xe0 | byte(len(sps))}
	b = appendSets(b, sps)
	b = append(b, byte(len(pps)))
	b = appendSets(b, pps)
	switch first[1] {
	case 66, 77, 88: // the record ends here
	default:
		chroma, luma, depth := uint32(1), uint32(0), uint32(0)
		if hasChroma(first[1]) {
			r := bitReader{b: unescape(first[4:], 32)}
			r.ue() // seq_parameter_set_id
			chroma = r.ue()
			if chroma == 3 {
				r.skip(1)
			}
			luma, depth = r.ue(), r.ue()
			if r.bad {
				chroma, luma, depth = 1, 0, 0
			}
		}
		b = append(b, 0xfc|byte(chroma&3), 0xf8|byte(luma&7), 0xf8|byte(depth&7), 0)
	}
	return b
}

// hasChroma reports whether an SPS of the profile tells its chroma format (ITU-T H.264 7.3.2.1.1).
func hasChroma(profile byte) bool {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		return true
	}
	return false
}

func appendSets(b []byte, sets [][]byte) []byte {
	for _, s := range sets {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b
}

// ParseAVCC reads an AVCDecoderConfigurationRecord (ISO 14496-15 5.3.3.1). The sets are views of cfg; lengthSize is 1, 2
// or 4. What follows the PPS is not looked at, since some encoders leave it out and some fill it with anything.
func ParseAVCC(cfg []byte) (sps, pps [][]byte, lengthSize int, err error) {
	if len(cfg) < 7 {
		return nil, nil, 0, errShortRecord
	}
	if cfg[0] != 1 {
		return nil, nil, 0, fmt.Errorf("version %d of the h264 configuration record is unknown", cfg[0])
	}
	lengthSize = int(cfg[4]&3) + 1
	if lengthSize == 3 {
		return nil, nil, 0, errors.New("the h264 configuration record has a length size of 3")
	}
	rest := cfg[6:]
	if sps, rest, err = takeSets(rest, int(cfg[5]&0x1f)); err != nil {
		return nil, nil, 0, fmt.Errorf("sps: %w", err)
	}
	if len(rest) < 1 {
		return nil, nil, 0, errShortRecord
	}
	if pps, _, err = takeSets(rest[1:], int(rest[0])); err != nil {
		return nil, nil, 0, fmt.Errorf("pps: %w", err)
	}
	return sps, pps, lengthSize, nil
}

// takeSets reads n sets after lengths of 2 bytes; empty ones are left out.
func takeSets(b []byte, n int) (sets [][]byte, rest []byte, err error) {
	for range n {
		if len(b) < 2 {
			return nil, nil, errShortRecord
		}
		size := int(binary.BigEndian.Uint16(b))
		if size > len(b)-2 {
			return nil, nil, errShortRecord
		}
		if size > 0 {
			sets = append(sets, b[2:2+size:2+size])
		}
		b = b[2+size:]
	}
	return sets, b, nil
}

// An avcInfo is what is of use from an H.264 SPS.
type avcInfo struct {
	width, height int
	fps           float64
	profile       int
	constraints   byte
	level         int
	reorder       int // pictures that may precede a picture in decoding and follow it in output order; -1 if not told
	refs          int
}

// parseAVCSPS reads an SPS; ok is false if it is malformed.
func parseAVCSPS(nalu []byte) (info avcInfo, ok bool) {
	if len(nalu) > maxSet {
		return info, false
	}
	var s h264.SPS
	if err := s.Unmarshal(nalu); err != nil {
		return info, false
	}
	info = avcInfo{
		width: sane(s.Width()), height: sane(s.Height()), fps: saneFPS(s.FPS()),
		profile: int(s.ProfileIdc), constraints: nalu[2], level: int(s.LevelIdc),
		refs: int(min(s.MaxNumRefFrames, 16)), reorder: -1,
	}
	switch {
	case s.PicOrderCntType == 2, s.ProfileIdc == 66: // output order is decoding order; baseline has no B slices
		info.reorder = 0
	case s.VUI != nil && s.VUI.BitstreamRestriction != nil:
		info.reorder = int(min(s.VUI.BitstreamRestriction.MaxNumReorderFrames, maxReorder))
	}
	return info, true
}

// sane is a picture size that may be true, else 0.
func sane(size int) int {
	if size < 1 || size > 65536 {
		return 0
	}
	return size
}

// saneFPS is a frame rate that may be true, else 0.
func saneFPS(fps float64) float64 {
	if fps >= 0.1 && fps <= 1000 { // also false for NaN
		return fps
	}
	return 0
}
