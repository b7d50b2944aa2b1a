package mpegts

import (
	"bytes"
	"time"

	"weir/transmux/codec"
)

const (
	maxCodes  = 16 << 10 // start codes in one unit
	nearlyAll = 65000    // a PES packet longer than this may be one of several that carry a picture
)

// class is what a piece between two start codes means for the boundaries of access units.
type class uint8

const (
	other     class = iota
	opener          // may stand before the first slice of a unit: parameter sets, headers
	picture         // the first slice of a picture
	more            // a further slice of a picture
	delimiter       // an access unit delimiter
)

// syntax knows the start codes of one codec. class is called once for each piece, in order; b begins after 00 00 01 and
// may go on into the next piece.
type syntax interface {
	class(b []byte) class
	open() bool                                               // the unit is not complete at the end of a PES packet: a second field follows
	unit(s *stream, buf []byte, pieces []int, end int) []byte // a copy, as AccessUnit.Data
	reset()
}

// video cuts a stream of start codes into access units. Usually each PES packet holds one or more whole units; then the
// last is complete where the PES packet is. Once a PES packet begins in the middle of a picture, units are complete only
// when the next one is seen to begin.
type video struct {
	s   *stream
	syn syntax

	buf     []byte
	base    int64 // position in the elementary stream of buf[0]
	scanned int   // up to here start codes are found
	codes   []int // where pieces begin in buf, after 00 00 01
	walked  int   // pieces that were classified
	first   int   // piece that the unit begins with
	slice   int   // piece of the unit that is its first slice
	started bool  // the unit has a slice
	broken  bool  // its first slice is missing
	before  int   // piece that begins the next unit if a picture follows; -1 none

	pes       int64 // position where the present PES packet begins
	handed    bool  // the PES packet before ended with a whole unit
	unaligned bool
	anchors   anchors

	last  stamp
	since int // units since last
	step  time.Duration
}

func newVideo(s *stream, syn syntax) *video { return &video{s: s, syn: syn, before: -1} }

func (v *video) begin(t stamp) {
	v.pes = v.base + int64(len(v.buf))
	v.anchors.add(v.pes, t)
}

func (v *video) data(b []byte)  { v.buf = append(v.buf, b...) }
func (v *video) pending() bool  { return len(v.buf) > 0 }
func (v *video) limit() (n int) { return len(v.buf) }

func (v *video) lost() {
	v.drop()
	v.handed = false
	v.anchors.clear()
	v.last.ok = false
}

func (v *video) drop() {
	v.base += int64(len(v.buf))
	v.buf, v.codes, v.scanned = v.buf[:0], v.codes[:0], 0
	v.walked = 0
	v.next(0)
	v.syn.reset()
}

// next begins a unit with a piece.
func (v *video) next(piece int) { v.first, v.started, v.broken, v.before = piece, false, false, -1 }

func (v *video) end() {
	from := int(v.pes - v.base)
	if v.handed && !startsHere(v.buf[from:]) {
		v.unaligned = true
	}
	v.scan()
	size := len(v.buf) - from
	whole := v.s.left < 0 || size < nearlyAll
	v.walk(whole && !v.unaligned)
	v.handed = false
	if whole && !v.unaligned && v.started && !v.syn.open() {
		if v.before >= 0 {
			v.cutBefore(v.before) // what stands after the last slice belongs to the next unit
		} else {
			v.cut(len(v.codes), len(v.buf))
			v.handed = true
		}
	}
	v.compact()
}

func (v *video) flush() {
	v.scan()
	v.walk(true)
	if v.started {
		v.cut(len(v.codes), len(v.buf))
	}
	v.drop()
}

// startsHere reports whether b begins with a start code.
func startsHere(b []byte) bool {
	i := 0
	for i < len(b) && b[i] == 0 {
		i++
	}
	return i >= 2 && (i == len(b) || b[i] == 1)
}

// scan finds the start codes that are new in buf.
func (v *video) scan() {
	// A 1 is rarer than a 0, so it is what to look for.
	for i := v.scanned + 2; i < len(v.buf); i++ {
		n := bytes.IndexByte(v.buf[i:], 1)
		if n < 0 {
			break
		}
		i += n
		if v.buf[i-1] == 0 && v.buf[i-2] == 0 {
			v.codes = append(v.codes, i+1)
			i += 2
		}
	}
	v.scanned = max(len(v.buf)-2, 0)
	if n := len(v.codes); n > 0 {
		v.scanned = max(v.scanned, v.codes[n-1])
	}
}

// walk classifies new pieces and cuts where a unit begins. The last piece may be short if more of it is to come.
func (v *video) walk(final bool) {
	for v.walked < len(v.codes) {
		at := v.codes[v.walked]
		if !final && v.walked == len(v.codes)-1 && len(v.buf)-at < 4 {
			return
		}
		switch v.syn.class(v.buf[at:]) {
		case delimiter:
			if v.started {
				v.cutBefore(v.walked)
			}
		case opener:
			if v.started && v.before < 0 {
				v.before = v.walked
			}
		case picture:
			if v.started {
				if v.before < 0 {
					v.before = v.walked
				}
				v.cutBefore(v.before)
			}
			v.started, v.before, v.slice = true, -1, v.walked
		case more:
			if !v.started {
				v.broken, v.slice = true, v.walked
				v.unaligned = v.unaligned || v.handed
			}
			v.started, v.before = true, -1
		}
		v.walked++
		if v.walked-v.first > maxCodes {
			v.s.d.n.Oversize++
			v.s.gap = true
			v.drop()
			return
		}
	}
}

// cutBefore ends the unit before piece i.
func (v *video) cutBefore(i int) {
	end := v.codes[i] - 3
	if end > 0 && v.buf[end-1] == 0 {
		end-- // the zero_byte of a start code of 4 bytes
	}
	v.cut(i, end)
}

// cut hands out the unit, which ends before piece i, at buf[end].
func (v *video) cut(i, end int) {
	if v.first < i {
		v.hand(v.codes[v.first:i], end)
	}
	v.next(i)
}

func (v *video) hand(pieces []int, end int) {
	t := v.anchors.at(v.base + int64(pieces[0]))
	if !t.ok && !v.unaligned { // headers may stand at the end of the PES packet before
		t = v.anchors.at(v.base + int64(v.codes[v.slice]))
	}
	t = v.clock(t)
	if v.broken {
		v.s.d.n.Damaged++
		v.s.gap = true
		return
	}
	data := v.syn.unit(v.s, v.buf, pieces, end)
	v.s.emit(data, t, codec.IsKey(v.s.track.Codec, data))
}

// clock makes up for a time that is not told.
func (v *video) clock(t stamp) stamp {
	v.since++
	if t.ok {
		if d := (t.dts - v.last.dts) / time.Duration(v.since); v.last.ok && d > 0 && d < 2*time.Second {
			v.step = d
		}
		v.last, v.since = t, 0
		return t
	}
	if !v.last.ok {
		return t
	}
	if v.step == 0 {
		v.step = 40 * time.Millisecond
		if fps := codec.Describe(v.s.track).FPS; fps > 1 {
			v.step = time.Duration(float64(time.Second) / fps)
		}
	}
	ahead := time.Duration(v.since) * v.step
	return stamp{pts: v.last.pts + ahead, dts: v.last.dts + ahead, ok: true}
}

// compact drops what was handed out from buf.
func (v *video) compact() {
	keep := len(v.buf)
	v.codes = v.codes[:copy(v.codes, v.codes[v.first:])]
	v.walked, v.slice, v.before = v.walked-v.first, v.slice-v.first, max(-1, v.before-v.first)
	v.first = 0
	if len(v.codes) > 0 {
		keep = max(0, v.codes[0]-4)
	} else if !v.handed {
		keep = max(0, len(v.buf)-3) // a start code may be cut in two
	}
	if keep == 0 {
		return
	}
	v.base += int64(keep)
	v.buf = v.buf[:copy(v.buf, v.buf[keep:])]
	for i := range v.codes {
		v.codes[i] -= keep
	}
	v.scanned = max(0, v.scanned-keep)
}
