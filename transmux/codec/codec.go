// Package codec reads and writes what a gateway must know of each codec: configuration records, key frames, durations
// and decoding times.
//
// All functions take hostile bytes: none panics, none allocates by a length that it did not check. Functions are safe for
// concurrent use; the types that hold state ([Params], [DTS]) are for one goroutine at a time.
package codec

import (
	"encoding/binary"
	"iter"

	"weir/transmux"
)

// H.264 NAL unit types (ITU-T H.264 table 7-1).
const (
	avcSlice  = 1
	avcIDR    = 5
	avcSEI    = 6
	avcSPS    = 7
	avcPPS    = 8
	avcAUD    = 9
	avcSPSExt = 13
)

// H.265 NAL unit types (ITU-T H.265 table 7-1).
const (
	hevcFirstIRAP = 16 // BLA_W_LP
	hevcLastIRAP  = 21 // CRA_NUT; 22 and 23 are reserved IRAP types
	hevcVPS       = 32
	hevcSPS       = 33
	hevcPPS       = 34
	hevcAUD       = 35
)

// naluType returns the NAL unit type of nalu as codec c numbers it; -1 for an empty unit or another codec.
func naluType(c transmux.Codec, nalu []byte) int {
	switch {
	case len(nalu) == 0:
		return -1
	case c == transmux.H264:
		return int(nalu[0] & 0x1f)
	case c == transmux.H265:
		return int(nalu[0] >> 1 & 0x3f)
	}
	return -1
}

// IsAUD reports whether nalu is an access unit delimiter of an h264 or h265 stream.
func IsAUD(c transmux.Codec, nalu []byte) bool {
	switch c {
	case transmux.H264:
		return naluType(c, nalu) == avcAUD
	case transmux.H265:
		return naluType(c, nalu) == hevcAUD
	}
	return false
}

// IsParameterSet reports whether nalu is a VPS, SPS or PPS of an h264 or h265 stream.
func IsParameterSet(c transmux.Codec, nalu []byte) bool {
	switch c {
	case transmux.H264:
		t := naluType(c, nalu)
		return t == avcSPS || t == avcPPS
	case transmux.H265:
		t := naluType(c, nalu)
		return t >= hevcVPS && t <= hevcPPS
	}
	return false
}

// ParameterSets returns views of all parameter sets of the track's configuration record in decoding order: SPS, PPS
// (h264) or VPS, SPS, PPS (h265). It is nil for other codecs and for a record that is missing or malformed.
func ParameterSets(t *transmux.Track) [][]byte {
	switch t.Codec {
	case transmux.H264:
		sps, pps, _, err := ParseAVCC(t.Config)
		if err != nil {
			return nil
		}
		return append(sps, pps...)
	case transmux.H265:
		vps, sps, pps, _, err := ParseHVCC(t.Config)
		if err != nil {
			return nil
		}
		return append(append(vps, sps...), pps...)
	}
	return nil
}

// AppendNALU appends nalu after its length in 4 bytes, as access units hold it.
func AppendNALU(dst, nalu []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(nalu)))
	return append(dst, nalu...)
}

// AnnexB yields views of the NAL units of a byte stream (ITU-T H.264 and H.265 annex B): what stands between start codes
// of 3 or 4 bytes, without trailing zeros. Bytes before the first start code are left out, and so are empty units.
func AnnexB(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		begin := nextStartCode(b, 0)
		for begin < len(b) {
			begin += 3
			next := nextStartCode(b, begin)
			end := next
			for end > begin && b[end-1] == 0 {
				end--
			}
			if end > begin && !yield(b[begin:end:end]) {
				return
			}
			begin = next
		}
	}
}

// nextStartCode returns the index of the next 00 00 01 in b from i on, or len(b).
func nextStartCode(b []byte, i int) int {
	for i+2 < len(b) {
		switch {
		case b[i+2] > 1:
			i += 3
		case b[i+2] == 0:
			i++
		case b[i] == 0 && b[i+1] == 0:
			return i
		default:
			i += 3
		}
	}
	return len(b)
}
