package mpegts

import (
	"time"

	"weir/transmux"
)

// Bounds of what is kept of one unit.
const (
	maxVideo = 8 << 20
	maxOther = 256 << 10
	maxEarly = 16 // units of private data that wait for a time
)

// A framer makes access units of the payload of the PES packets of one PID.
type framer interface {
	begin(t stamp)  // a PES packet begins
	data(b []byte)  // its payload, piece by piece
	end()           // it is complete
	lost()          // bytes are missing here: drop what is not complete
	flush()         // nothing more comes
	pending() bool  // something is not complete
	limit() (n int) // bytes it holds at present
}

type pesState uint8

const (
	pesWait pesState = iota // for the beginning of a PES packet
	pesHead
	pesBody
	pesDone // all that was told has come
)

// stream is one elementary stream of the current program.
type stream struct {
	d         *Demuxer
	entry     pmtEntry
	announced transmux.Codec // by the PMT
	track     *transmux.Track
	f         framer
	sections  *assembler // instead of f

	state  pesState
	head   []byte // of a PES packet, not complete
	left   int    // bytes of payload that are due; -1 if not told
	longer bool   // lengths are told too short: do not believe them
	gap    bool   // units were lost before the next one
}

func newStream(d *Demuxer, e pmtEntry, t *transmux.Track) *stream {
	s := &stream{d: d, entry: e, announced: t.Codec, track: t}
	if e.carriesSections() {
		s.sections = &assembler{n: &d.n, all: true, got: func(b []byte, _ bool) { s.private(b, stamp{}) }}
		return s
	}
	switch t.Codec {
	case transmux.H264, transmux.H265:
		s.f = newNALs(s)
	case transmux.MPEG2Video, transmux.MPEG4Video:
		s.f = newPictures(s)
	case transmux.AAC:
		if e.streamType == typeLATM {
			s.f = &audio{s: s, form: new(loas)}
		} else {
			s.f = &audio{s: s, form: new(adts)}
		}
	case transmux.MP3:
		s.f = &audio{s: s, form: new(mpa)}
	case transmux.AC3, transmux.EAC3:
		s.f = &audio{s: s, form: new(ac3)}
	case transmux.AV1:
		s.f = &whole{s: s, bound: maxVideo, got: s.av1}
	case transmux.Opus:
		s.f = &whole{s: s, bound: maxOther, got: new(opus).of(s)}
	default:
		s.f = &whole{s: s, bound: maxOther, got: s.private}
	}
	return s
}

// packet takes the payload of one transport packet.
func (s *stream) packet(b []byte, start bool) {
	if start {
		s.finish()
		s.state = pesHead
		s.head = s.head[:0]
	}
	switch s.state {
	case pesHead:
		if len(s.head) > 0 {
			s.head = append(s.head, b...)
			b = s.head
		}
		h, n, ok := parsePES(b)
		switch {
		case !ok:
			s.d.n.PES++
			s.drop()
		case n == 0:
			if len(s.head) == 0 {
				s.head = append(s.head, b...)
			}
		default:
			s.begin(&h, b[n:])
		}
	case pesBody:
		s.body(b)
	case pesDone:
		if !s.longer && s.track.Kind() == transmux.KindVideo && len(b) > 0 {
			s.longer = true
			s.d.n.PES++
			s.drop()
		}
	}
}

func (s *stream) begin(h *pesHeader, b []byte) {
	if h.scrambled {
		s.d.n.Scrambled++
		s.drop()
		return
	}
	switch h.streamID {
	case 0xbe, 0xbc, 0xf0, 0xf1, 0xf2, 0xf8, 0xff: // padding and other things that are not of the stream
		s.state = pesWait
		return
	}
	s.state = pesBody
	s.left = h.length
	if s.longer {
		s.left = -1
	}
	s.f.begin(s.d.stamp(h))
	s.body(b)
}

func (s *stream) body(b []byte) {
	if s.left >= 0 {
		b = b[:min(len(b), s.left)]
		s.left -= len(b)
	}
	bound := maxOther
	if s.track.Kind() == transmux.KindVideo {
		bound = maxVideo
	}
	if s.f.limit()+len(b) > bound {
		s.d.n.Oversize++
		s.drop()
		return
	}
	s.f.data(b)
	if s.left == 0 {
		s.state = pesDone
		s.f.end()
	}
}

// finish ends the PES packet that is under way.
func (s *stream) finish() {
	switch s.state {
	case pesBody:
		if s.left > 0 {
			s.d.n.PES++
			s.gap = true
		}
		s.f.end()
	case pesHead:
		s.d.n.PES++
		s.drop()
	}
	s.state = pesWait
}

// lost tells that packets of this PID are missing or cannot be read.
func (s *stream) lost() {
	if s.f == nil {
		return
	}
	s.drop()
}

// drop gives up what is not complete and waits for the next PES packet.
func (s *stream) drop() {
	if s.f.pending() || s.state == pesBody || s.state == pesHead {
		s.d.n.Damaged++
	}
	s.f.lost()
	s.state = pesWait
	s.gap = true
}

func (s *stream) flush() {
	if s.f == nil {
		return
	}
	if s.state == pesBody {
		s.finish()
	}
	s.state = pesWait
	s.f.flush()
}

// emit hands out one unit; data must be a copy.
func (s *stream) emit(data []byte, t stamp, key bool) {
	if !t.ok {
		s.d.n.Untimed++
		s.gap = true
		return
	}
	if len(data) == 0 {
		return
	}
	gap := s.gap
	s.gap = false
	s.d.write(transmux.AccessUnit{Track: s.track, DTS: t.dts, PTS: t.pts, Key: key, Gap: gap, Data: data})
}

// retrack makes the next units point to a changed track.
func (s *stream) retrack(change func(t *transmux.Track)) {
	next := *s.track
	change(&next)
	s.track = &next
}

// private hands out one PES payload or section as it is. Without a time of its own it takes that of the program, and
// waits for it in the beginning.
func (s *stream) private(b []byte, t stamp) {
	data := append([]byte(nil), b...)
	if !t.ok {
		var now time.Duration
		now, t.ok = s.d.now()
		t.pts, t.dts = now, now
	}
	if !t.ok && len(s.d.early) < maxEarly {
		s.d.early = append(s.d.early, early{s, data})
		return
	}
	s.emit(data, t, true)
}

// early is a unit of private data that came before any time.
type early struct {
	s    *stream
	data []byte
}

// whole takes one PES packet for one unit.
type whole struct {
	s     *stream
	bound int
	got   func(payload []byte, t stamp)
	buf   []byte
	t     stamp
}

func (w *whole) begin(t stamp)  { w.t, w.buf = t, w.buf[:0] }
func (w *whole) data(b []byte)  { w.buf = append(w.buf, b...) }
func (w *whole) lost()          { w.buf = w.buf[:0] }
func (w *whole) flush()         {}
func (w *whole) pending() bool  { return len(w.buf) > 0 }
func (w *whole) limit() (n int) { return len(w.buf) }
func (w *whole) end() {
	if len(w.buf) > 0 {
		w.got(w.buf, w.t)
	}
	w.buf = w.buf[:0]
}

// anchors remember where in an elementary stream the PES packets with times begin. The time of a PES packet is that of
// the first unit that begins in it (2.4.3.7).
type anchors struct{ list []anchor }

type anchor struct {
	pos int64
	t   stamp
}

func (a *anchors) add(pos int64, t stamp) {
	if !t.ok {
		return
	}
	if len(a.list) >= 64 {
		a.list = a.list[:copy(a.list, a.list[1:])]
	}
	a.list = append(a.list, anchor{pos, t})
}

// at returns the time for a unit that begins at pos, and forgets all anchors up to there.
func (a *anchors) at(pos int64) (t stamp) {
	n := 0
	for n < len(a.list) && a.list[n].pos <= pos {
		t = a.list[n].t
		n++
	}
	a.list = a.list[:copy(a.list, a.list[n:])]
	return t
}

func (a *anchors) clear() { a.list = a.list[:0] }
