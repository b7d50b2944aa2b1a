// Package flv turns FLV tags and RTMP media messages into access units and back.
//
// It speaks the classic codecs of FLV 10.1, the ids that were in use before there was a standard for newer codecs, and
// Enhanced RTMP v1 and v2 with several tracks.
package flv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"weir/transmux"
)

// Kinds of tags, which are RTMP message types too (FLV 10.1 E.4.1, RTMP 1.0 7.1).
const (
	Audio = 8
	Video = 9
	Data3 = 15 // a format byte and AMF values
	Data  = 18 // AMF0 values
)

// MaxBody is the longest body of a tag.
const MaxBody = 1<<24 - 1

// tagHeader is the length of a tag's header, and of the pointer after its body that tells its length.
const (
	tagHeader   = 11
	backPointer = 4
)

// Frame types of video tags (FLV 10.1 E.4.3.1).
const (
	frameKey     = 1
	frameInter   = 2
	frameCommand = 5
)

// Packet types of Enhanced RTMP; the first three are those of AVC and AAC too.
const (
	packetStart        = 0
	packetFrames       = 1
	packetEnd          = 2
	packetFramesX      = 3 // video: composition time is 0
	packetMetadata     = 4
	packetAudioTracks  = 5
	packetVideoTracks  = 6
	packetModEx        = 7
	modExNano          = 0
	tracksOne          = 0
	tracksMany         = 1
	tracksManyCodecs   = 2
	enhancedSoundClass = 9
)

// A fourCC names a codec in Enhanced RTMP.
type fourCC [4]byte

func (f fourCC) number() float64 { return float64(binary.BigEndian.Uint32(f[:])) }

func videoFourCC(c transmux.Codec) (f fourCC, ok bool) {
	switch c {
	case transmux.H264:
		return fourCC{'a', 'v', 'c', '1'}, true
	case transmux.H265:
		return fourCC{'h', 'v', 'c', '1'}, true
	case transmux.AV1:
		return fourCC{'a', 'v', '0', '1'}, true
	case transmux.VP8:
		return fourCC{'v', 'p', '0', '8'}, true
	case transmux.VP9:
		return fourCC{'v', 'p', '0', '9'}, true
	}
	return f, false
}

func audioFourCC(c transmux.Codec) (f fourCC, ok bool) {
	switch c {
	case transmux.AAC:
		return fourCC{'m', 'p', '4', 'a'}, true
	case transmux.MP3:
		return fourCC{'.', 'm', 'p', '3'}, true
	case transmux.Opus:
		return fourCC{'O', 'p', 'u', 's'}, true
	case transmux.FLAC:
		return fourCC{'f', 'L', 'a', 'C'}, true
	case transmux.AC3:
		return fourCC{'a', 'c', '-', '3'}, true
	case transmux.EAC3:
		return fourCC{'e', 'c', '-', '3'}, true
	}
	return f, false
}

// videoOf returns the codec that a fourCC names; empty if it is unknown.
func videoOf(f fourCC) transmux.Codec {
	for _, c := range []transmux.Codec{transmux.H264, transmux.H265, transmux.AV1, transmux.VP8, transmux.VP9} {
		if g, _ := videoFourCC(c); g == f {
			return c
		}
	}
	if f == (fourCC{'h', 'e', 'v', '1'}) {
		return transmux.H265
	}
	return ""
}

// audioOf returns the codec that a fourCC names; empty if it is unknown.
func audioOf(f fourCC) transmux.Codec {
	for _, c := range []transmux.Codec{transmux.AAC, transmux.MP3, transmux.Opus, transmux.FLAC, transmux.AC3, transmux.EAC3} {
		if g, _ := audioFourCC(c); g == f {
			return c
		}
	}
	return ""
}

// classicVideo returns the codec id of FLV 10.1 E.4.3.1.
func classicVideo(c transmux.Codec) (id byte, ok bool) {
	switch c {
	case transmux.SorensonH263:
		return 2, true
	case transmux.Screen:
		return 3, true
	case transmux.VP6:
		return 4, true
	case transmux.VP6A:
		return 5, true
	case transmux.Screen2:
		return 6, true
	case transmux.H264:
		return 7, true
	}
	return 0, false
}

// classicAudio returns the first byte of an audio tag (FLV 10.1 E.4.2.1).
func classicAudio(t *transmux.Track) (first byte, ok bool) {
	switch t.Codec {
	case transmux.AAC:
		return 0xaf, true
	case transmux.MP3:
		b := byte(2<<4 | 2)
		switch {
		case t.Rate == 8000:
			b = 14<<4 | 2
		case t.Rate >= 1 && t.Rate <= 12000:
			b |= 1 << 2
		case t.Rate >= 1 && t.Rate <= 24000:
			b |= 2 << 2
		default:
			b |= 3 << 2
		}
		if t.Channels != 1 {
			b |= 1
		}
		return b, true
	case transmux.PCMA, transmux.PCMU:
		b := byte(7<<4 | 2)
		if t.Codec == transmux.PCMU {
			b = 8<<4 | 2
		}
		if t.Channels == 2 {
			b |= 1
		}
		return b, true
	case transmux.Speex, transmux.Nellymoser, transmux.ADPCM, transmux.PCMFLV:
		if len(t.Config) == 1 {
			return t.Config[0], true
		}
	}
	return 0, false
}

var errNeedsEnhanced = errors.New("needs Enhanced RTMP, which this receiver did not announce")

// Carries says in a short clause why FLV cannot carry track t, or nil if it can. enhanced tells that the receiver
// understands Enhanced RTMP.
func Carries(t *transmux.Track, enhanced bool) error {
	switch t.Kind() {
	case transmux.KindVideo:
		if _, ok := classicVideo(t.Codec); ok {
			return nil
		}
		if _, ok := videoFourCC(t.Codec); !ok {
			return fmt.Errorf("FLV has no video codec %s", t.Codec)
		}
	case transmux.KindAudio:
		if (t.Codec == transmux.PCMA || t.Codec == transmux.PCMU) && (t.Rate != 0 && t.Rate != 8000 || t.Channels > 2) {
			return fmt.Errorf("FLV carries %s with 8 kHz and at most two channels only", t.Codec)
		}
		if _, ok := classicAudio(t); ok {
			return nil
		}
		if _, ok := audioFourCC(t.Codec); !ok {
			return fmt.Errorf("FLV has no audio codec %s", t.Codec)
		}
	default:
		if t.Codec == transmux.AMF {
			return nil
		}
		return fmt.Errorf("FLV carries no %s data", t.Codec)
	}
	if !enhanced {
		return errNeedsEnhanced
	}
	return nil
}

// Header returns the header of an FLV byte stream with the first back pointer (FLV 10.1 E.2, E.3), 13 bytes.
func Header(hasAudio, hasVideo bool) []byte {
	b := []byte{'F', 'L', 'V', 1, 0, 0, 0, 0, 9, 0, 0, 0, 0}
	if hasAudio {
		b[4] |= 4
	}
	if hasVideo {
		b[4] |= 1
	}
	return b
}

// Milliseconds returns d as an FLV or RTMP timestamp, rounded to the nearest millisecond and wrapping at 2^32.
func Milliseconds(d time.Duration) uint32 { return uint32(toMS(d)) }

// toMS rounds half up, so that the difference of two results does not depend on where the time line begins.
func toMS(d time.Duration) int64 {
	d += time.Millisecond / 2
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond < 0 {
		ms--
	}
	return ms
}

// putTimestamp writes ms into a tag header as its odd order wants it: the high byte last.
func putTimestamp(tag []byte, ms uint32) {
	tag[4], tag[5], tag[6], tag[7] = byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24)
}

func getTimestamp(tag []byte) uint32 {
	return uint32(tag[4])<<16 | uint32(tag[5])<<8 | uint32(tag[6]) | uint32(tag[7])<<24
}

func put24(b []byte, v int) { b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v) }

func get24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
