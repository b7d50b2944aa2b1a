package codec

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/ac3"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/eac3"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/flac"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"weir/transmux"
	"weir/transmux/clock"
)

// FrameDuration is how long the sound of one audio access unit lasts; 0 if that is unknown.
func FrameDuration(t *transmux.Track, data []byte) time.Duration {
	samples, rate := frameSamples(t, data)
	if samples < 1 || rate < 1 {
		return 0
	}
	return clock.Ticks(int64(samples), rate)
}

func frameSamples(t *transmux.Track, data []byte) (samples, rate int) {
	channels := max(t.Channels, 1)
	switch t.Codec {
	case transmux.AAC:
		if info, ok := parseASC(t.Config); ok {
			return info.samples, info.rate
		}
		return 1024, t.Rate
	case transmux.MP3, transmux.MP2:
		h, ok := parseMPEGAudio(data)
		if !ok {
			return 0, 0
		}
		return h.samples, h.rate
	case transmux.AC3:
		var h ac3.SyncInfo
		if h.Unmarshal(data) != nil {
			return 0, 0
		}
		return 1536, h.SampleRate()
	case transmux.EAC3:
		return eac3Samples(data)
	case transmux.Opus:
		return int(opus.PacketDuration2(data)), 48000
	case transmux.FLAC:
		info, _ := parseFLACConfig(t.Config)
		rate = int(info.SampleRate)
		if rate == 0 {
			rate = t.Rate
		}
		return flacSamples(data), rate
	case transmux.PCMA, transmux.PCMU:
		return len(data) / channels, or(t.Rate, 8000)
	case transmux.L16:
		return len(data) / 2 / channels, t.Rate
	case transmux.G722: // 64 kbit/s: a byte holds two samples of 16 kHz
		return 2 * len(data) / channels, 16000
	case transmux.PCMFLV:
		if len(t.Config) != 1 {
			return 0, 0
		}
		size := (1 + int(t.Config[0]>>1&1)) * (1 + int(t.Config[0]&1))
		return len(data) / size, flvRate(t.Config[0])
	case transmux.Nellymoser: // blocks of 64 bytes hold 256 samples
		return len(data) / 64 * 256, t.Rate
	}
	return 0, 0
}

func or(v, other int) int {
	if v > 0 {
		return v
	}
	return other
}

// flvRate is the sample rate that the first byte of an FLV audio tag tells (FLV 10.1 E.4.2.1).
func flvRate(b byte) int { return 11025 << (b >> 2 & 3) / 2 }

// An mpegAudio is what is of use from an MPEG audio frame header.
type mpegAudio struct {
	layer, rate, channels, samples int
}

// parseMPEGAudio reads a frame header of MPEG-1, 2 or 2.5, layer I, II or III (ISO 11172-3 2.4.1.3, ISO 13818-3 2.4).
func parseMPEGAudio(b []byte) (h mpegAudio, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return h, false
	}
	version := b[1] >> 3 & 3 // 0: 2.5, 2: 2, 3: 1
	h.layer = 4 - int(b[1]>>1&3)
	rate := int(b[2] >> 2 & 3)
	if version == 1 || h.layer == 4 || rate == 3 || b[2]>>4 == 15 {
		return h, false
	}
	h.rate = [3]int{44100, 48000, 32000}[rate]
	switch version {
	case 0:
		h.rate /= 4
	case 2:
		h.rate /= 2
	}
	h.samples = 1152
	switch {
	case h.layer == 1:
		h.samples = 384
	case h.layer == 3 && version != 3:
		h.samples = 576
	}
	h.channels = 2
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	return h, true
}

// eac3Samples counts the samples of all independent frames of the first program in an access unit.
func eac3Samples(data []byte) (samples, rate int) {
	for len(data) > 0 {
		var h eac3.SyncInfo
		if h.Unmarshal(data) != nil {
			break
		}
		if h.Strmtyp != 1 && h.Substreamid == 0 {
			samples += 256 * h.NumBlocks()
			rate = h.SampleRate()
		}
		if h.FrameSize() >= len(data) {
			break
		}
		data = data[h.FrameSize():]
	}
	return samples, rate
}

// parseFLACConfig reads "fLaC" with a STREAMINFO block, or STREAMINFO alone (RFC 9639 8.1, 8.2).
func parseFLACConfig(cfg []byte) (info flac.StreamInfo, ok bool) {
	if len(cfg) >= 8 && string(cfg[:4]) == "fLaC" {
		cfg = cfg[8:]
	}
	return info, info.Unmarshal(cfg) == nil && info.SampleRate > 0
}

// flacSamples reads the block size of a FLAC frame header (RFC 9639 9.1.1).
func flacSamples(b []byte) int {
	if len(b) < 5 || b[0] != 0xff || b[1]&0xfc != 0xf8 {
		return 0
	}
	switch n := int(b[2] >> 4); {
	case n == 1:
		return 192
	case n >= 2 && n <= 5:
		return 144 << n
	case n >= 8:
		return 1 << n
	case n == 6 || n == 7: // after the coded number, whose length its first byte tells
		i := 5
		for mask := byte(0x80); mask > 1 && b[4]&mask != 0; mask >>= 1 {
			i++
		}
		if b[4]&0x80 != 0 {
			i--
		}
		if n == 6 && i < len(b) {
			return int(b[i]) + 1
		}
		if n == 7 && i+1 < len(b) {
			return (int(b[i])<<8 | int(b[i+1])) + 1
		}
	}
	return 0
}
