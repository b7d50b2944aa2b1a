package mpegts

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"weir/transmux"
	"weir/transmux/codec"
)

// loas is AAC in LATM with the AudioSyncStream of LOAS (ISO 14496-3 1.7.2).
type loas struct {
	mux *mpeg4audio.StreamMuxConfig // newest that was sent
}

func (*loas) size(b []byte, _ bool) int {
	if b[0] != 0x56 || len(b) > 1 && b[1]>>5 != 7 {
		return -1
	}
	if len(b) < 3 {
		return 0
	}
	return 3 + (int(b[1]&0x1f)<<8 | int(b[2]))
}

func (l *loas) frame(a *audio, b []byte) {
	e := mpeg4audio.AudioMuxElement{MuxConfigPresent: true, StreamMuxConfig: l.mux}
	err := e.Unmarshal(b[3:])
	if len(e.Payloads) == 0 || e.StreamMuxConfig == nil || err != nil && e.Payloads[len(e.Payloads)-1] == nil {
		if l.mux != nil || e.StreamMuxConfig != nil { // else the configuration has not come yet
			a.s.d.n.Frame++
		}
		a.s.gap = true
		a.next.ok = false
		return
	}
	l.note(a, e.StreamMuxConfig)
	for _, sub := range e.Payloads {
		if len(sub) > 0 && len(sub[0]) > 0 && len(sub[0][0]) > 0 {
			a.emit(sub[0][0])
		}
	}
}

// note follows the configuration of the first layer.
func (l *loas) note(a *audio, mux *mpeg4audio.StreamMuxConfig) {
	if mux == l.mux {
		return
	}
	l.mux = mux
	if len(mux.Programs) == 0 || len(mux.Programs[0].Layers) == 0 {
		return
	}
	asc := mux.Programs[0].Layers[0].AudioSpecificConfig
	if asc == nil {
		return
	}
	config, err := asc.Marshal()
	if err != nil || bytes.Equal(config, a.s.track.Config) {
		return
	}
	a.s.retrack(func(t *transmux.Track) {
		t.Config = config
		info := codec.Describe(t)
		t.Rate, t.Channels = info.Rate, info.Channels
	})
}

// appendLOAS wraps one frame with its configuration.
func appendLOAS(dst, config, frame []byte) ([]byte, error) {
	var asc mpeg4audio.AudioSpecificConfig
	if err := asc.Unmarshal(config); err != nil {
		return nil, err
	}
	element, err := mpeg4audio.AudioMuxElement{
		MuxConfigPresent: true,
		StreamMuxConfig: &mpeg4audio.StreamMuxConfig{Programs: []*mpeg4audio.StreamMuxConfigProgram{{
			Layers: []*mpeg4audio.StreamMuxConfigLayer{{AudioSpecificConfig: &asc, LatmBufferFullness: 255}},
		}}},
		Payloads: [][][][]byte{{{frame}}},
	}.Marshal()
	if err != nil {
		return nil, err
	}
	n := len(element)
	dst = append(dst, 0x56, 0xe0|byte(n>>8), byte(n))
	return append(dst, element...), nil
}
