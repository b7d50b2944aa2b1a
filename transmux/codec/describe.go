package codec

import (
	"encoding/binary"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/ac3"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/eac3"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/vp9"

	"weir/transmux"
)

// Info is what a person or a container's header wants to know about a track. Zero is unknown.
type Info struct {
	Width, Height  int     // of the picture that is shown, in pixels
	FPS            float64 // pictures in a second, as the stream claims
	Rate           int     // audio samples in a second that are heard
	Channels       int
	Profile, Level string
	BFrames        bool // units may have to be reordered for display
}

// Describe reads the track's configuration record, and the track's fields where it has none.
func Describe(t *transmux.Track) Info {
	var i Info
	if t.Kind() == transmux.KindAudio {
		i.Rate, i.Channels = t.Rate, t.Channels
	}
	switch t.Codec {
	case transmux.H264, transmux.H265:
		for _, s := range ParameterSets(t) {
			if describeSPS(&i, t.Codec, s) {
				break
			}
		}
	case transmux.AV1:
		if len(t.Config) > 4 {
			describeAV1(&i, t.Config[4:])
		}
	case transmux.AAC:
		if a, ok := parseASC(t.Config); ok {
			i.Rate = a.outRate
			if a.channels > 0 {
				i.Channels = a.channels
			}
			i.Profile = aacProfile(a)
		}
	case transmux.Opus:
		i.Rate = 48000
		if len(t.Config) >= 19 {
			i.Channels = int(t.Config[9])
		}
	case transmux.FLAC:
		if f, ok := parseFLACConfig(t.Config); ok {
			i.Rate, i.Channels = int(f.SampleRate), int(f.ChannelCount)
		}
	case transmux.PCMA, transmux.PCMU:
		i.Rate, i.Channels = or(i.Rate, 8000), or(i.Channels, 1)
	case transmux.G722:
		i.Rate, i.Channels = 16000, or(i.Channels, 1)
	case transmux.PCMFLV, transmux.ADPCM, transmux.Speex, transmux.Nellymoser:
		if len(t.Config) == 1 {
			i.Rate = or(i.Rate, flvRate(t.Config[0]))
			i.Channels = or(i.Channels, 1+int(t.Config[0]&1))
		}
	case transmux.MPEG4Video:
		i.BFrames = false
		describeVOL(&i, t.Config)
	}
	return i
}

// DescribeUnit is Describe for codecs whose headers travel in band: what data tells, and for the rest what Describe
// tells.
func DescribeUnit(t *transmux.Track, data []byte) Info {
	i := Describe(t)
	switch t.Codec {
	case transmux.H264, transmux.H265:
		for nalu := range transmux.NALUs(data) {
			if describeSPS(&i, t.Codec, nalu) {
				break
			}
		}
	case transmux.AV1:
		describeAV1(&i, data)
	case transmux.VP8:
		if len(data) >= 10 && data[0]&1 == 0 && data[3] == 0x9d && data[4] == 0x01 && data[5] == 0x2a { // RFC 6386 9.1
			i.Width = int(binary.LittleEndian.Uint16(data[6:]) & 0x3fff)
			i.Height = int(binary.LittleEndian.Uint16(data[8:]) & 0x3fff)
		}
	case transmux.VP9:
		var h vp9.Header
		if len(data) > 0 && h.Unmarshal(data[:min(len(data), 32)]) == nil && h.FrameSize != nil {
			i.Width, i.Height = sane(h.Width()), sane(h.Height())
			i.Profile = fmt.Sprint(h.Profile)
		}
	case transmux.MPEG2Video:
		describeMPEG2(&i, data)
	case transmux.MPEG4Video:
		describeVOL(&i, data)
	case transmux.MJPEG:
		describeJPEG(&i, data)
	case transmux.MP3, transmux.MP2:
		if h, ok := parseMPEGAudio(data); ok {
			i.Rate, i.Channels = h.rate, h.channels
			i.Profile = fmt.Sprintf("layer %d", h.layer)
		}
	case transmux.AC3:
		var h ac3.SyncInfo
		var bsi ac3.BSI
		if h.Unmarshal(data) == nil && len(data) >= 9 {
			i.Rate = h.SampleRate()
			if bsi.Unmarshal(data[5:]) == nil {
				i.Channels = bsi.ChannelCount()
			}
		}
	case transmux.EAC3:
		var h eac3.SyncInfo
		if h.Unmarshal(data) == nil {
			i.Rate, i.Channels = h.SampleRate(), h.ChannelCount()
		}
	case transmux.Opus:
		if i.Channels == 0 && len(data) > 0 {
			i.Channels = 1 + int(data[0]>>2&1)
		}
	}
	return i
}

// describeSPS reads nalu if it is an SPS, and reports whether it is one that can be read.
func describeSPS(i *Info, c transmux.Codec, nalu []byte) bool {
	switch t := naluType(c, nalu); {
	case c == transmux.H264 && t == avcSPS:
		s, ok := parseAVCSPS(nalu)
		if !ok {
			return false
		}
		i.Width, i.Height, i.FPS = s.width, s.height, s.fps
		i.BFrames = s.reorder != 0
		i.Profile, i.Level = avcProfile(s), fmt.Sprintf("%d.%d", s.level/10, s.level%10)
		return true
	case c == transmux.H265 && t == hevcSPS:
		s, ok := parseHEVCSPS(nalu)
		if !ok {
			return false
		}
		i.Width, i.Height, i.FPS = s.width, s.height, hevcFPS(nalu)
		i.BFrames = s.reorder != 0
		i.Profile, i.Level = hevcProfile(s.ptl[0]&31), fmt.Sprintf("%d.%d", s.ptl[11]/30, s.ptl[11]%30/3)
		return true
	}
	return false
}

func avcProfile(s avcInfo) string {
	switch s.profile {
	case 66:
		if s.constraints&0x40 != 0 {
			return "constrained baseline"
		}
		return "baseline"
	case 77:
		return "main"
	case 88:
		return "extended"
	case 100:
		return "high"
	case 110:
		return "high 10"
	case 122:
		return "high 4:2:2"
	case 244:
		return "high 4:4:4"
	}
	return fmt.Sprint(s.profile)
}

func hevcProfile(idc byte) string {
	switch idc {
	case 1:
		return "main"
	case 2:
		return "main 10"
	case 3:
		return "main still picture"
	case 4:
		return "range extensions"
	}
	return fmt.Sprint(idc)
}

func aacProfile(a aacInfo) string {
	switch {
	case a.outRate > a.rate:
		return "HE"
	case a.objectType == 1:
		return "main"
	case a.objectType == 2:
		return "LC"
	case a.objectType == 23:
		return "LD"
	case a.objectType == 39:
		return "ELD"
	}
	return fmt.Sprint(a.objectType)
}

func describeAV1(i *Info, data []byte) {
	for o := range OBUs(data) {
		if obuType(o) != obuSequenceHeader {
			continue
		}
		h, ok := parseSequenceHeader(o)
		if !ok {
			return
		}
		i.Width, i.Height = sane(h.Width()), sane(h.Height())
		i.Profile = [...]string{"main", "high", "professional", "", "", "", "", ""}[h.SeqProfile&7]
		if len(h.SeqLevelIdx) > 0 {
			i.Level = fmt.Sprintf("%d.%d", 2+h.SeqLevelIdx[0]>>2, h.SeqLevelIdx[0]&3)
		}
		return
	}
}
