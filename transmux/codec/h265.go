package codec

import (
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// maxArrays bounds the arrays of a HEVCDecoderConfigurationRecord; there are seldom more than four.
const maxArrays = 64

// HVCC returns a HEVCDecoderConfigurationRecord (ISO 14496-15 8.3.3.1) with NAL unit lengths of 4 bytes. It is nil if
// there is no SPS or one of the sets is malformed.
func HVCC(vps, sps, pps [][]byte) []byte {
	if len(sps) == 0 {
		return nil
	}
	arrays := []struct {
		typ  int
		sets [][]byte
	}{{hevcVPS, vps}, {hevcSPS, sps}, {hevcPPS, pps}}
	n := 0
	for _, a := range arrays {
		if len(a.sets) > maxSet {
			return nil
		}
		for _, s := range a.sets {
			if len(s) < 3 || len(s) > maxSet || int(s[0]>>1&0x3f) != a.typ {
				return nil
			}
		}
		if len(a.sets) > 0 {
			n++
		}
	}
	info, ok := parseHEVCSPS(sps[0])
	if !ok {
		return nil
	}
	b := make([]byte, 0, 128)
	b = append(b, 1)
	b = append(b, info.ptl[:]...)
	b = append(b, 0xf0, 0, // min_spatial_segmentation_idc unknown
		0xfc, // parallelismType unknown
		0xfc|byte(info.chroma&3), 0xf8|byte(info.lumaDepth&7), 0xf8|byte(info.chromaDepth&7),
		0, 0, // avgFrameRate unknown
		byte(info.layers)<<3|info.nested<<2|3,
		byte(n))
	for _, a := range arrays {
		if len(a.sets) > 0 {
			b = append(b, 0x80|byte(a.typ), byte(len(a.sets)>>8), byte(len(a.sets)))
			b = appendSets(b, a.sets)
		}
	}
	return b
}

// ParseHVCC reads a HEVCDecoderConfigurationRecord (ISO 14496-15 8.3.3.1). The sets are views of cfg; lengthSize is 1, 2
// or 4. Arrays of other NAL units (SEI) are passed over.
func ParseHVCC(cfg []byte) (vps, sps, pps [][]byte, lengthSize int, err error) {
	if len(cfg) < 23 {
		return nil, nil, nil, 0, errShortRecord
	}
	if cfg[0] > 1 { // 0 was written before the standard was final
		return nil, nil, nil, 0, fmt.Errorf("version %d of the h265 configuration record is unknown", cfg[0])
	}
	lengthSize = int(cfg[21]&3) + 1
	if lengthSize == 3 {
		return nil, nil, nil, 0, errors.New("the h265 configuration record has a length size of 3")
	}
	if cfg[22] > maxArrays {
		return nil, nil, nil, 0, fmt.Errorf("the h265 configuration record has %d arrays", cfg[22])
	}
	rest := cfg[23:]
	for range cfg[22] {
		if len(rest) < 3 {
			return nil, nil, nil, 0, errShortRecord
		}
		var sets [][]byte
		typ := int(rest[0] & 0x3f)
		if sets, rest, err = takeSets(rest[3:], int(rest[1])<<8|int(rest[2])); err != nil {
			return nil, nil, nil, 0, err
		}
		switch typ {
		case hevcVPS:
			vps = append(vps, sets...)
		case hevcSPS:
			sps = append(sps, sets...)
		case hevcPPS:
			pps = append(pps, sets...)
		}
	}
	return vps, sps, pps, lengthSize, nil
}

// A hevcInfo is what is of use from an H.265 SPS.
type hevcInfo struct {
	ptl                            [12]byte // general profile, tier and level as they stand
	id                             uint32
	layers                         int // temporal sub-layers
	nested                         byte
	chroma, lumaDepth, chromaDepth uint32
	width, height                  int
	reorder                        int
}

// parseHEVCSPS reads an SPS up to its sub-layer ordering (ITU-T H.265 7.3.2.2); ok is false if it is malformed.
func parseHEVCSPS(nalu []byte) (info hevcInfo, ok bool) {
	if len(nalu) < 15 || naluTypeHEVC(nalu) != hevcSPS {
		return info, false
	}
	b := unescape(nalu[2:], 512)
	if len(b) < 13 {
		return info, false
	}
	r := bitReader{b: b}
	r.skip(4)
	maxSub := int(r.bits(3))
	info.layers = maxSub + 1
	info.nested = byte(r.bits(1))
	copy(info.ptl[:], b[1:])
	r.skip(96)
	skipSubLayers(&r, maxSub)
	info.id = r.ue()
	info.chroma = r.ue()
	separate := info.chroma == 3 && r.flag()
	w, h := r.ue(), r.ue()
	if r.flag() { // conformance window, in units of chroma samples
		unitW, unitH := uint32(1), uint32(1)
		if !separate && (info.chroma == 1 || info.chroma == 2) {
			unitW = 2
		}
		if !separate && info.chroma == 1 {
			unitH = 2
		}
		w -= unitW * (r.ue() + r.ue())
		h -= unitH * (r.ue() + r.ue())
	}
	info.width, info.height = sane(int(w)), sane(int(h))
	info.lumaDepth, info.chromaDepth = r.ue(), r.ue()
	r.ue() // log2_max_pic_order_cnt_lsb_minus4
	count := 1
	if r.flag() {
		count = maxSub + 1
	}
	for range count { // the last one, of the highest sub-layer, is true for the whole stream
		r.ue()
		info.reorder = int(min(r.ue(), maxReorder))
		r.ue()
	}
	if r.bad || info.id > 15 || info.chroma > 3 {
		return info, false
	}
	return info, true
}

// skipSubLayers passes over the sub-layer part of profile_tier_level (ITU-T H.265 7.3.3).
func skipSubLayers(r *bitReader, maxSub int) {
	if maxSub == 0 {
		return
	}
	var profile, level [8]bool
	for i := range maxSub {
		profile[i], level[i] = r.flag(), r.flag()
	}
	r.skip(2 * (8 - maxSub))
	for i := range maxSub {
		if profile[i] {
			r.skip(88)
		}
		if level[i] {
			r.skip(8)
		}
	}
}

// hevcFPS is the frame rate that an SPS tells; 0 if none.
func hevcFPS(nalu []byte) float64 {
	if len(nalu) > maxSet {
		return 0
	}
	var s h265.SPS
	if err := s.Unmarshal(nalu); err != nil {
		return 0
	}
	return saneFPS(s.FPS())
}

func naluTypeHEVC(nalu []byte) int { return int(nalu[0] >> 1 & 0x3f) }
