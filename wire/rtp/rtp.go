// Package rtp maps RTP packets to access units in both directions, with times that keep audio and video together.
//
// A [Receiver] turns the packets of one session into access units; a [Muxer] turns the units of one stream into packets,
// once for all who receive them. Neither does I/O or starts a goroutine; wall clock times are given by callers.
package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"weir/transmux"
	"weir/transmux/codec"
)

// Payload types that RFC 3551 fixes, and the first dynamic one.
const (
	typePCMU    = 0
	typePCMA    = 8
	typeG722    = 9
	typeMPA     = 14
	typeJPEG    = 26
	typeMPV     = 32
	typeMP2T    = 33
	typeDynamic = 96
)

// videoRate is the clock of all video payload formats.
const videoRate = 90000

// Carries says why RTP cannot carry a track as it is now, or nil.
func Carries(t *transmux.Track) error {
	if t.Codec.NeedsConfig() && len(t.Config) == 0 {
		return nil // it may, once it is configured
	}
	_, _, err := formatOf(t, typeDynamic)
	return err
}

// formatOf returns the payload format of a track and its clock rate. dynamic is the payload type to use where none is
// fixed.
func formatOf(t *transmux.Track, dynamic uint8) (format.Format, int, error) {
	switch t.Codec {
	case transmux.H264:
		f := &format.H264{PayloadTyp: dynamic, PacketizationMode: 1}
		sps, pps, _, err := codec.ParseAVCC(t.Config)
		if err != nil || len(sps) == 0 {
			return nil, 0, fmt.Errorf("its avcC is malformed")
		}
		f.SPS = sps[0]
		if len(pps) > 0 {
			f.PPS = pps[0]
		}
		return f, videoRate, nil
	case transmux.H265:
		f := &format.H265{PayloadTyp: dynamic}
		vps, sps, pps, _, err := codec.ParseHVCC(t.Config)
		if err != nil || len(sps) == 0 {
			return nil, 0, fmt.Errorf("its hvcC is malformed")
		}
		f.SPS = sps[0]
		if len(vps) > 0 {
			f.VPS = vps[0]
		}
		if len(pps) > 0 {
			f.PPS = pps[0]
		}
		return f, videoRate, nil
	case transmux.AV1:
		return &format.AV1{PayloadTyp: dynamic}, videoRate, nil
	case transmux.VP8:
		return &format.VP8{PayloadTyp: dynamic}, videoRate, nil
	case transmux.VP9:
		return &format.VP9{PayloadTyp: dynamic}, videoRate, nil
	case transmux.MPEG2Video:
		return &format.MPEG1Video{}, videoRate, nil
	case transmux.MPEG4Video:
		return &format.MPEG4Video{PayloadTyp: dynamic, ProfileLevelID: 1, Config: t.Config}, videoRate, nil
	case transmux.MJPEG:
		return &format.MJPEG{}, videoRate, nil
	case transmux.MP3, transmux.MP2:
		return &format.MPEG1Audio{}, 90000, nil
	case transmux.KLV:
		return &format.KLV{PayloadTyp: dynamic}, videoRate, nil
	}
	return audioFormatOf(t, dynamic)
}

func audioFormatOf(t *transmux.Track, dynamic uint8) (format.Format, int, error) {
	rate, channels := t.Rate, t.Channels
	switch t.Codec {
	case transmux.AAC:
		var asc mpeg4audio.AudioSpecificConfig
		if err := asc.Unmarshal(t.Config); err != nil {
			return nil, 0, fmt.Errorf("its AudioSpecificConfig is not one that RTP can announce: %w", err)
		}
		f := &format.MPEG4Audio{PayloadTyp: dynamic, Config: &asc, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
		return f, clockRate(f), nil
	case transmux.Opus:
		if len(t.Config) >= 10 {
			channels = int(t.Config[9])
		}
		if channels == 0 {
			channels = 2
		}
		if channels > 2 {
			return nil, 0, errors.New("RTP carries Opus with one or two channels")
		}
		return &format.Opus{PayloadTyp: dynamic, ChannelCount: channels}, 48000, nil
	case transmux.G722:
		return &format.G722{}, 8000, nil // RFC 3551 4.5.2: the clock is 8 kHz, whatever is sampled
	case transmux.PCMA, transmux.PCMU:
		mu := t.Codec == transmux.PCMU
		rate, channels = or(rate, 8000), or(channels, 1)
		pt := dynamic
		if rate == 8000 && channels == 1 {
			pt = typePCMA
			if mu {
				pt = typePCMU
			}
		}
		return &format.G711{PayloadTyp: pt, MULaw: mu, SampleRate: rate, ChannelCount: channels}, rate, nil
	case transmux.L16, transmux.AC3, transmux.EAC3:
		if rate <= 0 {
			return nil, 0, errors.New("its sample rate is not known")
		}
		channels = or(channels, 2)
		switch t.Codec {
		case transmux.L16:
			return &format.LPCM{PayloadTyp: dynamic, BitDepth: 16, SampleRate: rate, ChannelCount: channels}, rate, nil
		case transmux.AC3:
			return &format.AC3{PayloadTyp: dynamic, SampleRate: rate, ChannelCount: channels}, rate, nil
		}
		f := &format.Generic{PayloadTyp: dynamic, RTPMa: "eac3/" + strconv.Itoa(rate) + "/" + strconv.Itoa(channels)}
		if err := f.Init(); err != nil {
			return nil, 0, fmt.Errorf("announce E-AC-3: %w", err)
		}
		return f, rate, nil
	}
	return nil, 0, fmt.Errorf("RTP has no payload format for %s here", t.Codec)
}

func or(v, otherwise int) int {
	if v > 0 {
		return v
	}
	return otherwise
}

// clockRate is the clock that a format's rtpmap announces. It differs from the format's own idea for AAC with spectral
// band replication, where the clock is that of the full band.
func clockRate(f format.Format) int {
	switch f.(type) {
	case *format.MPEG4Audio, *format.MPEG4AudioLATM:
		if _, rest, ok := strings.Cut(f.RTPMap(), "/"); ok {
			text, _, _ := strings.Cut(rest, "/")
			if n, err := strconv.Atoi(text); err == nil && n > 0 {
				return n
			}
		}
	}
	return f.ClockRate()
}

// trackOf returns the track that a format describes, as far as the description tells. id is the track's.
func trackOf(f format.Format, id int) (*transmux.Track, error) {
	t := &transmux.Track{ID: id, Rate: clockRate(f)}
	switch f := f.(type) {
	case *format.H264:
		t.Codec = transmux.H264
		sps, pps := f.SPS, f.PPS
		if len(sps) > 0 && len(pps) > 0 {
			t.Config = codec.AVCC([][]byte{sps}, [][]byte{pps})
		}
	case *format.H265:
		t.Codec = transmux.H265
		vps, sps, pps := f.VPS, f.SPS, f.PPS
		if len(vps) > 0 && len(sps) > 0 && len(pps) > 0 {
			t.Config = codec.HVCC([][]byte{vps}, [][]byte{sps}, [][]byte{pps})
		}
	case *format.AV1:
		t.Codec = transmux.AV1
	case *format.VP8:
		t.Codec = transmux.VP8
	case *format.VP9:
		t.Codec = transmux.VP9
	case *format.MPEG1Video:
		t.Codec = transmux.MPEG2Video
	case *format.MPEG4Video:
		t.Codec, t.Config = transmux.MPEG4Video, f.Config
	case *format.MJPEG:
		t.Codec = transmux.MJPEG
	case *format.MPEG4Audio:
		t.Codec = transmux.AAC
		return t, configureAAC(t, f.Config)
	case *format.MPEG4AudioLATM:
		t.Codec = transmux.AAC
		if f.StreamMuxConfig != nil {
			return t, configureAAC(t, latmConfig(f.StreamMuxConfig))
		}
	case *format.MPEG1Audio:
		// Layer and sample rate stand in each frame; layer III is what encoders send.
		t.Codec, t.Rate = transmux.MP3, 0
	case *format.AC3:
		t.Codec, t.Channels = transmux.AC3, f.ChannelCount
	case *format.Opus:
		t.Codec, t.Channels, t.Config = transmux.Opus, f.ChannelCount, codec.OpusHead(f.ChannelCount)
	case *format.G711:
		t.Codec, t.Channels = transmux.PCMA, f.ChannelCount
		if f.MULaw {
			t.Codec = transmux.PCMU
		}
	case *format.LPCM:
		if f.BitDepth != 16 {
			return nil, fmt.Errorf("linear audio of %d bits is not supported, only 16", f.BitDepth)
		}
		t.Codec, t.Channels = transmux.L16, f.ChannelCount
	case *format.G722:
		t.Codec, t.Rate, t.Channels = transmux.G722, 16000, 1
	case *format.KLV:
		t.Codec = transmux.KLV
	case *format.Generic:
		return genericTrack(f, t)
	default:
		return nil, fmt.Errorf("payload format %q is not supported", f.RTPMap())
	}
	return t, nil
}

func genericTrack(f *format.Generic, t *transmux.Track) (*transmux.Track, error) {
	name, rest, _ := strings.Cut(strings.ToLower(f.RTPMa), "/")
	if name != "eac3" {
		return nil, fmt.Errorf("payload format %q is not supported", f.RTPMa)
	}
	t.Codec = transmux.EAC3
	if _, n, ok := strings.Cut(rest, "/"); ok {
		if c, err := strconv.Atoi(n); err == nil && c > 0 && c <= 16 {
			t.Channels = c
		}
	}
	return t, nil
}

func configureAAC(t *transmux.Track, asc *mpeg4audio.AudioSpecificConfig) error {
	if asc == nil {
		return errors.New("AAC is announced without its configuration")
	}
	config, err := asc.Marshal()
	if err != nil {
		return fmt.Errorf("read the announced AAC configuration: %w", err)
	}
	t.Config = config
	return nil
}

func latmConfig(c *mpeg4audio.StreamMuxConfig) *mpeg4audio.AudioSpecificConfig {
	if len(c.Programs) == 0 || len(c.Programs[0].Layers) == 0 {
		return nil
	}
	return c.Programs[0].Layers[0].AudioSpecificConfig
}

// mediaType is the SDP word for a kind of track.
func mediaType(k transmux.Kind) description.MediaType {
	switch k {
	case transmux.KindVideo:
		return description.MediaTypeVideo
	case transmux.KindAudio:
		return description.MediaTypeAudio
	}
	return description.MediaTypeApplication
}

// Frame is an RTP or RTCP packet after the 4 bytes of RFC 2326 section 10.12: a dollar sign, the channel and the length.
// Channel 2n carries the packets of the n-th media of the description, channel 2n+1 its RTCP.
type Frame = []byte

// frameHeader is the length of what stands before the packet.
const frameHeader = 4

// Channel returns the channel of a frame, -1 if it is no frame.
func Channel(f Frame) int {
	if len(f) < frameHeader || f[0] != '$' {
		return -1
	}
	return int(f[1])
}

// Packet returns the packet in a frame.
func Packet(f Frame) []byte { return f[frameHeader:] }

func appendFrameHeader(b []byte, channel, size int) []byte {
	b = append(b, '$', byte(channel))
	return binary.BigEndian.AppendUint16(b, uint16(size))
}
