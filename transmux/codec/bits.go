package codec

// bitReader reads a bit string; after its end it returns zeros and bad is set. Never more than 32 bits at once.
type bitReader struct {
	b   []byte
	pos int // in bits
	bad bool
}

func (r *bitReader) bits(n int) uint32 {
	if n > len(r.b)*8-r.pos {
		r.bad = true
		r.pos = len(r.b) * 8
		return 0
	}
	var v uint32
	for n > 0 {
		free := 8 - r.pos&7
		take := min(free, n)
		v = v<<take | uint32(r.b[r.pos>>3])>>(free-take)&(1<<take-1)
		r.pos += take
		n -= take
	}
	return v
}

func (r *bitReader) flag() bool { return r.bits(1) == 1 }

func (r *bitReader) skip(n int) {
	if n > len(r.b)*8-r.pos {
		r.bad = true
		n = len(r.b)*8 - r.pos
	}
	r.pos += n
}

// ue reads an unsigned Exp-Golomb number (ITU-T H.264 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		zeros++
		if zeros > 31 || r.bad {
			r.bad = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}

// bitWriter writes a bit string, most significant bit first.
type bitWriter struct {
	b    []byte
	free int // bits left in the last byte
}

func (w *bitWriter) bits(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.free == 0 {
			w.b = append(w.b, 0)
			w.free = 8
		}
		w.free--
		w.b[len(w.b)-1] |= byte(v>>i&1) << w.free
	}
}

// unescape removes the emulation prevention bytes of a NAL unit (ITU-T H.264 7.4.1), of at most limit bytes of it.
func unescape(nalu []byte, limit int) []byte {
	nalu = nalu[:min(len(nalu), limit)]
	out := make([]byte, 0, len(nalu))
	zeros := 0
	for _, c := range nalu {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}
