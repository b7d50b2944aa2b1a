// Package units compares the access units at both ends of a gateway.
//
// It knows nothing of weir: recordings are read by ffprobe, or by a small FLV reader where ffprobe repairs times or knows
// no codec, brought into one normal form, and compared by content, order and time.
package units

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"time"
)

// Kinds of units.
const (
	Video = "video"
	Audio = "audio"
)

// A Unit is one access unit as a witness saw it.
type Unit struct {
	Kind     string // Video or Audio
	PTS, DTS time.Duration
	NoPTS    bool // the witness told no PTS
	NoDTS    bool // the witness told no DTS, or made it up
	Key      bool
	Data     []byte // in normal form, see Normal and NormalAudio
}

// Name is a short name of the content, for findings.
func (u Unit) Name() string {
	h := fnv.New32a()
	h.Write(u.Data)
	return fmt.Sprintf("%08x", h.Sum32())
}

// Normal brings one H.264 or H.265 access unit, in Annex B or with 4-byte lengths, into the form that survives every
// container: each NAL unit after a 4-byte length, without delimiters, parameter sets and filler, which a container may add
// or move. SEI stays.
func Normal(codec string, data []byte) []byte {
	nalus, ok := lengths(data)
	if !ok {
		nalus = annexB(data)
	}
	var out []byte
	for _, n := range nalus {
		if len(n) == 0 || dropped(codec, n[0]) {
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(n)))
		out = append(out, n...)
	}
	return out
}

// NormalAudio strips the ADTS header of an AAC frame; other audio stays as it is.
func NormalAudio(codec string, data []byte) []byte {
	if codec == "aac" && len(data) > 7 && data[0] == 0xff && data[1]&0xf6 == 0xf0 {
		if length := int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5; length == len(data) {
			header := 7
			if data[1]&1 == 0 {
				header = 9
			}
			return data[header:]
		}
	}
	return data
}

// dropped reports NAL unit types that a container may add or leave out.
func dropped(codec string, header byte) bool {
	if codec == "h265" {
		t := header >> 1 & 0x3f
		return t >= 32 && t <= 35 || t == 38
	}
	t := header & 0x1f
	return t >= 7 && t <= 9 || t == 12
}

// lengths splits data at 4-byte lengths, if they fit to the last byte.
func lengths(data []byte) ([][]byte, bool) {
	var out [][]byte
	for len(data) > 0 {
		if len(data) < 4 {
			return nil, false
		}
		n := binary.BigEndian.Uint32(data)
		if n == 0 || uint64(n) > uint64(len(data)-4) {
			return nil, false
		}
		out = append(out, data[4:4+n])
		data = data[4+n:]
	}
	return out, true
}

// annexB splits data at start codes.
func annexB(data []byte) [][]byte {
	var out [][]byte
	start := []byte{0, 0, 1}
	i := bytes.Index(data, start)
	for i >= 0 {
		data = data[i+3:]
		i = bytes.Index(data, start)
		n := data
		if i >= 0 {
			n = data[:i]
		}
		out = append(out, bytes.TrimRight(n, "\x00"))
	}
	return out
}
