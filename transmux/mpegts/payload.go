package mpegts

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"weir/transmux"
	"weir/transmux/codec"
)

// payload is what follows the head of a PES packet, in parts that are views. parts[0] is the place of the head.
type payload struct {
	parts   [][]byte
	size    int
	scratch []byte
}

func (p *payload) add(b []byte) {
	if len(b) > 0 {
		p.parts = append(p.parts, b)
		p.size += len(b)
	}
}

// fill makes the payload of a unit; false if it cannot be carried.
func (p *payload) fill(t *muxTrack, au *transmux.AccessUnit) bool {
	p.parts, p.size, p.scratch = append(p.parts[:0], nil), 0, p.scratch[:0]
	switch t.codec {
	case transmux.H264, transmux.H265:
		p.annexB(t, au)
	case transmux.AAC:
		p.aac(t, au)
	case transmux.Opus:
		p.scratch = appendOpusControl(p.scratch, len(au.Data))
		p.add(p.scratch)
		p.add(au.Data)
	case transmux.AV1:
		p.scratch = append(p.scratch, 0, 0, 1, 0x12, 0) // temporal delimiter
		for obu := range codec.OBUs(au.Data) {
			p.scratch = appendEscaped(append(p.scratch, 0, 0, 1), obu)
		}
		p.add(p.scratch)
	case transmux.MPEG4Video:
		if au.Key && len(au.Track.Config) > 0 && !bytes.Contains(au.Data[:min(len(au.Data), 64)], au.Track.Config[:min(4, len(au.Track.Config))]) {
			p.add(au.Track.Config)
		}
		p.add(au.Data)
	default:
		p.add(au.Data)
	}
	if p.size == 0 || t.sections && p.size > 4096 {
		return false
	}
	return t.kind == transmux.KindVideo || p.size <= 0xffff-3-36
}

// annexB puts an access unit delimiter first, and parameter sets before a key frame that has none.
func (p *payload) annexB(t *muxTrack, au *transmux.AccessUnit) {
	code := p.literal(0, 0, 0, 1)
	if t.codec == transmux.H264 {
		p.add(p.literal(0, 0, 0, 1, 9, 0xf0))
	} else {
		p.add(p.literal(0, 0, 0, 1, 0x46, 1, 0x50))
	}
	has := !au.Key
	for nalu := range au.NALUs() {
		if !has && codec.IsParameterSet(t.codec, nalu) {
			has = true
			break
		}
	}
	if !has {
		for _, set := range codec.ParameterSets(au.Track) {
			p.add(code)
			p.add(set)
		}
	}
	empty := p.size
	for nalu := range au.NALUs() {
		if codec.IsAUD(t.codec, nalu) {
			continue
		}
		p.add(code)
		p.add(nalu)
	}
	if p.size == empty {
		p.size = 0
	}
}

// literal keeps a few bytes in scratch.
func (p *payload) literal(b ...byte) []byte {
	if cap(p.scratch)-len(p.scratch) < len(b) {
		p.scratch = make([]byte, 0, 256)
	}
	from := len(p.scratch)
	p.scratch = append(p.scratch, b...)
	return p.scratch[from:]
}

// aac writes ADTS, or LOAS where ADTS cannot tell the configuration.
func (p *payload) aac(t *muxTrack, au *transmux.AccessUnit) {
	if t.latm {
		b, err := appendLOAS(p.scratch, au.Track.Config, au.Data)
		if err != nil || len(b) > 8191 {
			return
		}
		p.scratch = b
		p.add(b)
		return
	}
	n := len(au.Data) + 7
	if len(t.config) == 0 || n > 8191 {
		return
	}
	h := t.adts
	p.add(p.literal(h[0], h[1], h[2], h[3]|byte(n>>11), byte(n>>3), byte(n<<5)|0x1f, 0xfc))
	p.add(au.Data)
}

// setAAC decides between ADTS and LOAS.
func (e *muxTrack) setAAC(t *transmux.Track) {
	e.config = t.Config
	e.like(t, typeADTS)
	if len(t.Config) == 0 {
		return
	}
	var asc mpeg4audio.AudioSpecificConfig
	err := asc.Unmarshal(t.Config)
	rates := adtsRates()
	index := -1
	for i, r := range rates {
		if r == asc.SampleRate {
			index = i
		}
	}
	if err != nil || asc.Type < 1 || asc.Type > 4 || asc.FrameLengthFlag || index < 0 || asc.ChannelConfig > 7 {
		e.latm = true
		e.desc = nil
		e.like(t, typeLATM)
		return
	}
	e.adts = [4]byte{0xff, 0xf1, byte(asc.Type-1)<<6 | byte(index)<<2 | asc.ChannelConfig>>2, asc.ChannelConfig << 6}
}
