package flv

import "weir/transmux"

// FourCC is the name of a codec in Enhanced RTMP, such as "hvc1"; empty if it has none.
func FourCC(c transmux.Codec) string {
	if f, ok := videoFourCC(c); ok {
		return string(f[:])
	}
	if f, ok := audioFourCC(c); ok {
		return string(f[:])
	}
	return ""
}
