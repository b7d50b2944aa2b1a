package rtp

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
)

// latm takes AAC frames out of audioMuxElements (ISO 14496-3 1.7.3, RFC 6416).
type latm struct {
	config *mpeg4audio.StreamMuxConfig
	inBand bool
	next   func(*rtp.Packet) ([]byte, error)
}

func (l *latm) decode(p *rtp.Packet) ([][]byte, error) {
	b, err := l.next(p)
	if err != nil {
		return nil, err
	}
	if !l.inBand && l.config != nil && len(l.config.Programs) == 1 && len(l.config.Programs[0].Layers) == 1 {
		if frames, ok := subFrames(b, int(l.config.NumSubFrames)+1); ok {
			return frames, nil
		}
	}
	el := mpeg4audio.AudioMuxElement{MuxConfigPresent: l.inBand, StreamMuxConfig: l.config}
	if err := el.Unmarshal(b); err != nil {
		return nil, fmt.Errorf("read audioMuxElement: %w", err)
	}
	l.config = el.StreamMuxConfig
	var frames [][]byte
	for _, sub := range el.Payloads {
		if len(sub) > 0 && len(sub[0]) > 0 && len(sub[0][0]) > 0 {
			frames = append(frames, sub[0][0])
		}
	}
	return frames, nil
}

// subFrames takes n frames of one layer, each after its length in bytes of 255 and a last one below (ISO 14496-3 1.7.3.1,
// PayloadLengthInfo with frameLengthType 0). It needs nothing of the configuration, which some servers write with an
// extension that makes what follows in it unreadable.
func subFrames(b []byte, n int) (frames [][]byte, ok bool) {
	for range n {
		size, last := 0, byte(255)
		for last == 255 {
			if len(b) == 0 {
				return nil, false
			}
			last, b = b[0], b[1:]
			size += int(last)
		}
		if size == 0 || size > len(b) {
			return nil, false
		}
		frames = append(frames, b[:size:size])
		b = b[size:]
	}
	return frames, len(b) == 0
}
