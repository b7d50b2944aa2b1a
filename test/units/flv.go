package units

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
)

// FLV reads an FLV recording, Enhanced RTMP signalling included. A tag that was cut short at the end is left out.
func FLV(path string) ([]Unit, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ReadFLV(b)
}

// ReadFLV reads FLV bytes.
func ReadFLV(b []byte) ([]Unit, error) {
	if len(b) < 13 || string(b[:3]) != "FLV" {
		return nil, errors.New("not FLV")
	}
	var out []Unit
	for b = b[binary.BigEndian.Uint32(b[5:])+4:]; len(b) >= 11; {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if len(b) < 11+size {
			break
		}
		ms := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
		u := Unit{DTS: time.Duration(ms) * time.Millisecond}
		body, has := b[11:11+size], false
		var err error
		switch b[0] {
		case 9:
			has, err = u.videoTag(body)
		case 8:
			has = u.audioTag(body)
		}
		if err != nil {
			return out, err
		}
		if has {
			out = append(out, u)
		}
		b = b[min(len(b), 11+size+4):]
	}
	return out, nil
}

// videoTag reads a video tag's body and reports whether it holds an access unit.
func (u *Unit) videoTag(b []byte) (bool, error) {
	if len(b) < 5 {
		return false, nil
	}
	u.Kind, u.Key = Video, b[0]>>4&7 == 1
	codec, frames, hasCTS := "h264", false, false
	if b[0]&0x80 != 0 { // ExVideoTagHeader
		kind := b[0] & 15
		frames = kind == 1 || kind == 3
		switch fourcc := string(b[1:5]); fourcc {
		case "avc1":
		case "hvc1":
			codec = "h265"
		default:
			return false, fmt.Errorf("FLV video of FourCC %q is not known here", fourcc)
		}
		hasCTS = kind == 1
		b = b[5:]
	} else {
		switch b[0] & 15 {
		case 7:
		case 12:
			codec = "h265"
		default:
			return false, fmt.Errorf("FLV video codec %d is not known here", b[0]&15)
		}
		frames, hasCTS = b[1] == 1, true
		b = b[2:]
	}
	if !frames {
		return false, nil
	}
	u.PTS = u.DTS
	if hasCTS {
		if len(b) < 3 {
			return false, nil
		}
		cts := int32(b[0])<<24 | int32(b[1])<<16 | int32(b[2])<<8
		u.PTS += time.Duration(cts>>8) * time.Millisecond
		b = b[3:]
	}
	u.Data = Normal(codec, b)
	return len(u.Data) > 0, nil
}

// audioTag reads an audio tag's body and reports whether it holds an access unit.
func (u *Unit) audioTag(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	u.Kind, u.Key, u.PTS = Audio, true, u.DTS
	switch format := b[0] >> 4; format {
	case 10: // AAC
		if b[1] != 1 {
			return false
		}
		u.Data = b[2:]
	case 9: // ExAudioTagHeader
		if b[0]&15 != 1 || len(b) < 5 {
			return false
		}
		u.Data = b[5:]
	default:
		u.Data = b[1:]
	}
	return len(u.Data) > 0
}
