package mpegts

import "weir/transmux"

// mpa is MPEG-1, MPEG-2 and MPEG-2.5 audio of all layers (ISO 11172-3 2.4.1, ISO 13818-3). Some send AAC with ADTS heads
// under the same stream type, so that is taken too.
type mpa struct{ adts adts }

func (m *mpa) size(b []byte, final bool) int {
	if b[0] != 0xff || len(b) > 1 && b[1]&0xe0 != 0xe0 {
		return -1
	}
	if len(b) < 4 {
		return 0
	}
	h, ok := parseMPA(b)
	switch {
	case h.layer == 0:
		return m.adts.size(b, final)
	case !ok:
		return -1
	}
	return h.size
}

func (m *mpa) frame(a *audio, b []byte) {
	h, _ := parseMPA(b)
	if h.layer == 0 {
		m.adts.frame(a, b)
		return
	}
	m.adts.head = [3]byte{}
	c := transmux.MP2
	if h.layer == 3 {
		c = transmux.MP3
	}
	if a.s.track.Codec == transmux.AAC {
		a.s.retrack(func(t *transmux.Track) { t.Config = nil })
	}
	a.describe(c, h.rate, h.channels)
	a.emit(b)
}

// mpaHeader is the head of a frame; layer is 0 where MPEG audio has none.
type mpaHeader struct{ layer, rate, channels, size int }

func parseMPA(b []byte) (h mpaHeader, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return h, false
	}
	version, layer := b[1]>>3&3, int(4-b[1]>>1&3)
	if layer == 4 {
		return h, false
	}
	h.layer = layer
	index, rate := int(b[2]>>4), int(b[2]>>2&3)
	if version == 1 || index == 0 || index == 15 || rate == 3 {
		return h, false // reserved, or of free format
	}
	h.rate = [...]int{44100, 48000, 32000}[rate]
	h.channels = 2
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	samples, table := 1152, layer-1
	if version != 3 { // MPEG-2 and 2.5 have half and quarter rates, and tables of their own
		h.rate /= 2
		if version == 0 {
			h.rate /= 2
		}
		table = min(layer+2, 4)
		if layer == 3 {
			samples = 576
		}
	}
	bitrate := 1000 * [...][15]int{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}[table][index]
	padding := int(b[2] >> 1 & 1)
	if layer == 1 {
		h.size = (12*bitrate/h.rate + padding) * 4
	} else {
		h.size = samples/8*bitrate/h.rate + padding
	}
	return h, h.size >= 4
}
