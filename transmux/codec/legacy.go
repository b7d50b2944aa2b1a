package codec

import "encoding/binary"

// mpeg2Rates are the frame rates by frame_rate_code (ISO 13818-2 table 6-4).
var mpeg2Rates = [...]float64{0, 24000.0 / 1001, 24, 25, 30000.0 / 1001, 30, 50, 60000.0 / 1001, 60}

// describeMPEG2 reads a sequence header and its extension (ISO 13818-2 6.2.2.1, 6.2.2.3).
func describeMPEG2(i *Info, data []byte) {
	at := findStartCode(data, 0xb3)
	if at+8 > len(data) {
		return
	}
	h := data[at+4:]
	w, ht := int(h[0])<<4|int(h[1]>>4), int(h[1]&15)<<8|int(h[2])
	if code := int(h[3] & 15); code < len(mpeg2Rates) {
		i.FPS = mpeg2Rates[code]
	}
	i.BFrames = true
	ext := findStartCode(data[at+8:], 0xb5)
	if e := data[at+8:]; ext+10 <= len(e) && e[ext+4]>>4 == 1 {
		r := bitReader{b: e[ext+4 : ext+10]}
		r.skip(4 + 8 + 1 + 2)
		w |= int(r.bits(2)) << 12
		ht |= int(r.bits(2)) << 12
		r.skip(12 + 1 + 8)
		i.BFrames = !r.flag() // low_delay
		n, d := r.bits(2), r.bits(5)
		i.FPS = i.FPS * float64(n+1) / float64(d+1)
		i.Profile = map[byte]string{1: "high", 4: "main", 5: "simple"}[e[ext+4]&7]
	}
	i.Width, i.Height = sane(w), sane(ht)
}

// describeVOL reads a rectangular video object layer (ISO 14496-2 6.2.3).
func describeVOL(i *Info, data []byte) {
	at := len(data)
	for p := nextStartCode(data, 0); p+3 < len(data); p = nextStartCode(data, p+3) {
		if data[p+3]>>4 == 2 { // video_object_layer_start_code 20 to 2F
			at = p + 4
			break
		}
	}
	if at >= len(data) {
		return
	}
	r := bitReader{b: data[at:min(len(data), at+64)]}
	r.skip(1 + 8)
	version := uint32(1)
	if r.flag() {
		version = r.bits(4)
		r.skip(3)
	}
	if r.bits(4) == 15 {
		r.skip(16)
	}
	bframes := true
	if r.flag() { // vol_control_parameters
		r.skip(2)
		bframes = !r.flag()
		if r.flag() {
			r.skip(79)
		}
	}
	shape := r.bits(2)
	if shape == 3 && version != 1 {
		r.skip(4)
	}
	r.skip(1)
	resolution := r.bits(16)
	r.skip(1)
	if r.flag() { // fixed_vop_rate
		n := 1
		for 1<<n < resolution && n < 16 {
			n++
		}
		if inc := r.bits(n); inc > 0 {
			i.FPS = saneFPS(float64(resolution) / float64(inc))
		}
	}
	if shape != 0 {
		return
	}
	r.skip(1)
	w := r.bits(13)
	r.skip(1)
	h := r.bits(13)
	if r.bad {
		return
	}
	i.Width, i.Height, i.BFrames = sane(int(w)), sane(int(h)), bframes
}

// describeJPEG reads the frame header (ITU-T T.81 B.2.2).
func describeJPEG(i *Info, data []byte) {
	for at := 2; at+4 <= len(data) && data[at] == 0xff; {
		marker := data[at+1]
		size := int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0xda || size < 2 || at+2+size > len(data) {
			return
		}
		if marker >= 0xc0 && marker <= 0xc3 && size >= 8 {
			i.Height = int(binary.BigEndian.Uint16(data[at+5:]))
			i.Width = int(binary.BigEndian.Uint16(data[at+7:]))
			return
		}
		at += 2 + size
	}
}
