package codec

import (
	"encoding/binary"
	"slices"
)

// aacRates are the sample rates by sampling_frequency_index (ISO 14496-3 table 1.18).
var aacRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// AAC returns an AudioSpecificConfig (ISO 14496-3 1.6.2.1) for a plain stream without implicit extensions. objectType is
// 1 to 94 (2 is AAC-LC), rate the sample rate of the core in Hz, channels 1 to 8, or 0 if they are told in band. It is
// nil for other values.
func AAC(objectType, rate, channels int) []byte {
	if objectType < 1 || objectType > 94 || rate < 1 || rate >= 1<<24 || channels < 0 || channels > 8 || channels == 7 {
		return nil
	}
	if channels == 8 {
		channels = 7
	}
	var w bitWriter
	if objectType < 31 {
		w.bits(uint32(objectType), 5)
	} else {
		w.bits(31, 5)
		w.bits(uint32(objectType-32), 6)
	}
	if i := slices.Index(aacRates[:], rate); i >= 0 {
		w.bits(uint32(i), 4)
	} else {
		w.bits(15, 4)
		w.bits(uint32(rate), 24)
	}
	w.bits(uint32(channels), 4)
	w.bits(0, 3) // frameLengthFlag, dependsOnCoreCoder, extensionFlag
	return w.b
}

// An aacInfo is what is of use from an AudioSpecificConfig.
type aacInfo struct {
	objectType int
	rate       int // of the core
	outRate    int // after spectral band replication
	channels   int
	samples    int // of the core, per access unit
}

// parseASC reads an AudioSpecificConfig (ISO 14496-3 1.6.2.1); ok is false if it is malformed.
func parseASC(b []byte) (info aacInfo, ok bool) {
	r := bitReader{b: b[:min(len(b), 64)]}
	info.objectType = ascObjectType(&r)
	info.rate = ascRate(&r)
	channels := int(r.bits(4))
	info.outRate = info.rate
	if info.objectType == 5 || info.objectType == 29 { // SBR, PS: told explicitly
		info.outRate = ascRate(&r)
		if info.objectType == 29 && channels == 1 {
			channels = 2
		}
		info.objectType = ascObjectType(&r)
	}
	info.samples = 1024
	switch info.objectType {
	case 1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22:
		if r.flag() {
			info.samples = 960
		}
	case 23, 39: // low delay
		info.samples = 512
		if r.flag() {
			info.samples = 480
		}
	}
	switch {
	case channels >= 1 && channels <= 6:
		info.channels = channels
	case channels == 7 || channels == 12 || channels == 14:
		info.channels = 8
	case channels == 11:
		info.channels = 7
	}
	return info, !r.bad && info.rate > 0 && info.objectType > 0
}

func ascObjectType(r *bitReader) int {
	t := int(r.bits(5))
	if t == 31 {
		t = 32 + int(r.bits(6))
	}
	return t
}

func ascRate(r *bitReader) int {
	i := int(r.bits(4))
	if i == 15 {
		return int(r.bits(24))
	}
	if i < len(aacRates) {
		return aacRates[i]
	}
	return 0
}

// OpusHead returns an identification header (RFC 7845 5.1) for a stream of 1 to 8 channels at 48 kHz, without pre-skip,
// as it suits a live stream. More than two channels are in Vorbis order, with the streams and couplings that RFC 7845
// 5.1.1.2 names. It is nil for other numbers.
func OpusHead(channels int) []byte {
	if channels < 1 || channels > 8 {
		return nil
	}
	b := append(make([]byte, 0, 32), "OpusHead\x01"...)
	b = append(b, byte(channels), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, 48000)
	b = append(b, 0, 0)
	if channels <= 2 {
		return append(b, 0)
	}
	m := opusMappings[channels-3]
	b = append(b, 1, m.streams, m.coupled)
	return append(b, m.order...)
}

// opusMappings are the channel mappings of family 1 for 3 to 8 channels, as libopus orders them.
var opusMappings = [...]struct {
	streams, coupled byte
	order            string
}{
	{2, 1, "\x00\x02\x01"},
	{2, 2, "\x00\x01\x02\x03"},
	{3, 2, "\x00\x04\x01\x02\x03"},
	{4, 2, "\x00\x04\x01\x02\x03\x05"},
	{4, 3, "\x00\x04\x01\x02\x03\x05\x06"},
	{5, 3, "\x00\x06\x01\x02\x03\x04\x05\x07"},
}
