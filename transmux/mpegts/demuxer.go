// Package mpegts takes MPEG transport streams apart into access units and puts them together again.
package mpegts

import (
	"bytes"
	"slices"
	"time"

	"weir/transmux"
	"weir/transmux/clock"
)

// PacketSize is the size of a transport packet in bytes (ISO 13818-1 2.4.3.2), without the extra bytes of the 192 and 204
// byte forms.
const PacketSize = 188

const (
	syncByte = 0x47
	patPID   = 0x0000
	sdtPID   = 0x0011
	nullPID  = 0x1fff
	noPID    = nullPID // as PCR_PID: the program has no PCR
)

// Options say what a Demuxer takes out of a stream.
type Options struct {
	// Program is the program_number to take, 1 to 65535; 0 takes the first in the PAT that has video or audio.
	Program int
}

// Counters count what a Demuxer saw. All only grow.
type Counters struct {
	Packets    uint64 // all, null packets included
	Null       uint64 // null packets
	Skipped    uint64 // bytes outside packets
	SyncByte   uint64 // packets that do not begin with 0x47 where they should
	SyncLoss   uint64 // times that packet boundaries had to be searched again
	TEI        uint64 // packets with transport_error_indicator, dropped
	Malformed  uint64 // packets with a reserved or impossible adaptation field, dropped
	Scrambled  uint64 // packets or PES that are scrambled, dropped
	CC         uint64 // breaks of the continuity counter
	Lost       uint64 // packets missing by the continuity counter (modulo 16: a lower bound)
	Duplicates uint64 // legal second copies, dropped
	CRC        uint64 // sections with a wrong CRC_32, dropped
	Section    uint64 // sections that are malformed or were cut off
	PES        uint64 // PES packets with a bad header or a wrong length
	Frame      uint64 // bytes that are no frame of the codec: places where audio had to be searched again
	Damaged    uint64 // units dropped because bytes of them are missing
	Untimed    uint64 // units dropped because no time is known for them
	Oversize   uint64 // units dropped because they exceed what is kept
	PCRJump    uint64 // PCR steps outside 0 to 100 ms without discontinuity_indicator
}

// A Demuxer takes one program of a transport stream apart in a single pass. It is pure: no I/O, no goroutine, no clock.
// For one goroutine at a time.
//
// Tracks are declared when the PMT has come, with the PID as ID; they are configured by the first unit that tells the
// configuration. A track of MPEG audio (stream types 3 and 4) is declared as mp3, because only its first frame tells the
// layer; then it becomes mp2, mp3 or aac. Times are the origin's, unwrapped on one line for all tracks of the program.
//
// A unit is handed out when it is complete: with the last byte of a PES packet that tells its length, otherwise when the
// next one begins. H.264 field pairs are handed out as they were coded, two units of one field each; MPEG-2 field pairs
// are joined to one frame. What is cut by loss is dropped, and the next unit of the track has Gap set.
type Demuxer struct {
	out  transmux.Out
	opts Options
	err  error // what Out said

	sync    syncer
	n       Counters
	arrived time.Time
	pids    [64]*[128]*pid

	pat      []patEntry // sections of a PAT that is not complete yet
	patHave  [256]bool
	patVer   int
	services []sdtEntry
	programs []*program // in the order of the PAT
	current  *program
	streams  []*stream // of the current program, in the order of its PMT

	times  clock.Unwrapper // PTS and DTS of all tracks
	newest time.Duration   // latest DTS of video and audio
	timed  bool
	early  []early
}

// pid is the state of one PID.
type pid struct {
	packets   uint64
	scrambled uint64
	cc        uint8
	seen      bool // cc is valid
	copied    bool // the second copy has been seen
	last      [PacketSize]byte
	sections  *assembler
	es        *stream
	clocks    []*program // whose PCR is on this PID
}

// New returns a demuxer that hands tracks and units to out.
func New(out transmux.Out, o Options) *Demuxer {
	d := &Demuxer{out: out, opts: o, patVer: -1, times: clock.Unwrap33()}
	d.sync.n = &d.n
	d.pid(patPID).sections = &assembler{n: &d.n, got: d.gotPAT}
	d.pid(sdtPID).sections = &assembler{n: &d.n, got: d.gotSDT}
	return d
}

// Write takes the next bytes of the stream: datagrams or pieces of any size, with packets of 188, 192 or 204 bytes, and
// garbage between them. arrived goes into the units that these bytes complete; it may be zero. It keeps nothing of
// packets. The error is what Out returned; from then on nothing is done.
func (d *Demuxer) Write(packets []byte, arrived time.Time) error {
	d.arrived = arrived
	for len(packets) > 0 && d.err == nil {
		n := min(len(packets), 256<<10) // so that joining with a remainder copies little
		d.sync.write(packets[:n], false, d.packet)
		packets = packets[n:]
	}
	return d.err
}

// Flush hands out what only waits for the next packet, at the end of the origin.
func (d *Demuxer) Flush() error {
	if d.err != nil {
		return d.err
	}
	d.sync.write(nil, true, d.packet)
	for _, s := range d.streams {
		s.flush()
	}
	return d.err
}

// Counters returns the counts so far.
func (d *Demuxer) Counters() Counters { return d.n }

func (d *Demuxer) pid(id uint16) *pid {
	group := d.pids[id>>7]
	if group == nil {
		group = new([128]*pid)
		d.pids[id>>7] = group
	}
	p := group[id&127]
	if p == nil {
		p = new(pid)
		group[id&127] = p
	}
	return p
}

// packet takes one transport packet (ISO 13818-1 2.4.3.2).
func (d *Demuxer) packet(p []byte) {
	if d.err != nil {
		return
	}
	d.n.Packets++
	if p[1]&0x80 != 0 {
		d.n.TEI++
		return
	}
	id := uint16(p[1]&0x1f)<<8 | uint16(p[2])
	if id == nullPID {
		d.n.Null++
		return
	}
	s := d.pid(id)
	s.packets++
	a, payload, ok := adaptation(p)
	if !ok {
		d.n.Malformed++
		return
	}
	if payload != nil && !d.continues(s, p, a.discontinuity) {
		return
	}
	if a.hasPCR {
		for _, prog := range s.clocks {
			if prog.notePCR(a.pcr, a.discontinuity) {
				d.n.PCRJump++
			}
		}
	}
	if payload == nil {
		return
	}
	if p[3]&0xc0 != 0 {
		d.n.Scrambled++
		s.scrambled++
		if s.es != nil {
			s.es.lost()
		}
		return
	}
	start := p[1]&0x40 != 0
	if s.sections != nil {
		s.sections.packet(payload, start)
	}
	if s.es != nil {
		s.es.packet(payload, start)
	}
}

// continues checks the continuity counter (2.4.3.3) and reports whether the payload is new.
func (d *Demuxer) continues(s *pid, p []byte, discontinuity bool) bool {
	cc := p[3] & 0x0f
	switch {
	case !s.seen || discontinuity || cc == (s.cc+1)&0x0f:
	case cc == s.cc && samePacket(s.last[:], p):
		if s.copied { // a packet may be sent twice, not three times
			d.n.CC++
		} else {
			d.n.Duplicates++
		}
		s.copied = true
		return false
	default:
		d.n.CC++
		d.n.Lost += uint64((cc - s.cc - 1) & 0x0f)
		if s.sections != nil {
			s.sections.lost()
		}
		if s.es != nil {
			s.es.lost()
		}
	}
	s.cc, s.seen, s.copied = cc, true, false
	if s.es != nil || s.sections != nil {
		copy(s.last[:], p)
	}
	return true
}

// samePacket compares two packets but for the PCR, which a second copy may tell anew.
func samePacket(a, b []byte) bool {
	if a[3]&0x20 != 0 && a[4] >= 7 && a[5]&0x10 != 0 {
		return bytes.Equal(a[:6], b[:6]) && bytes.Equal(a[12:], b[12:])
	}
	return bytes.Equal(a, b)
}

// setTracks declares the tracks of the current program.
func (d *Demuxer) setTracks() {
	tracks := make([]*transmux.Track, 0, len(d.streams))
	for _, s := range d.streams {
		tracks = append(tracks, s.track)
	}
	d.out.SetTracks(tracks)
}

// write hands a unit to Out.
func (d *Demuxer) write(au transmux.AccessUnit) {
	if d.err != nil {
		return
	}
	if au.Track.Kind() != transmux.KindData && (!d.timed || au.DTS > d.newest || d.newest-au.DTS > 10*time.Second) {
		d.newest, d.timed = au.DTS, true
	}
	if d.timed && len(d.early) > 0 {
		waited := d.early
		d.early = nil
		for _, e := range waited {
			if slices.Contains(d.streams, e.s) {
				e.s.emit(e.data, stamp{pts: d.newest, dts: d.newest, ok: true}, true)
			}
		}
	}
	au.Arrived = d.arrived
	if d.err == nil {
		d.err = d.out.Write(au)
	}
}

// now is the time for a unit of private data that has none of its own.
func (d *Demuxer) now() (time.Duration, bool) {
	if d.timed {
		return d.newest, true
	}
	if d.current != nil && d.current.hasPCR {
		return clock.Ticks(d.times.Unwrap(uint64(d.current.pcr/300)), 90000), true
	}
	return 0, false
}

// stamp puts the times of a PES header on the line of the program.
func (d *Demuxer) stamp(h *pesHeader) stamp {
	if !h.hasPTS {
		return stamp{}
	}
	if !h.hasDTS {
		t := clock.Ticks(d.times.Unwrap(h.pts), 90000)
		return stamp{pts: t, dts: t, ok: true}
	}
	base := d.times.Unwrap(h.dts)
	ahead := (h.pts - h.dts) & (1<<33 - 1)
	if ahead > 1<<32 { // PTS before DTS: not possible, and DTS is what a decoder goes by
		d.n.PES++
		ahead = 0
	}
	return stamp{pts: clock.Ticks(base+int64(ahead), 90000), dts: clock.Ticks(base, 90000), ok: true}
}

// A stamp is a pair of times; ok tells that there is one.
type stamp struct {
	pts, dts time.Duration
	ok       bool
}

// attach makes the streams of the current program those of its PMT, and keeps what did not change.
func (d *Demuxer) attach() {
	old := d.streams
	d.streams = nil
	changed := false
	for _, e := range d.current.streams {
		t := e.track()
		i := slices.IndexFunc(old, func(s *stream) bool { return s.entry.pid == e.pid && s.announced == t.Codec })
		if i >= 0 {
			s := old[i]
			old = slices.Delete(slices.Clone(old), i, i+1)
			if !bytes.Equal(s.track.Descriptors, t.Descriptors) || s.track.StreamType != t.StreamType {
				changed = true
				next := *s.track
				next.Lang, next.Descriptors, next.StreamType = t.Lang, t.Descriptors, t.StreamType
				s.track, s.entry = &next, e
			}
			d.streams = append(d.streams, s)
			continue
		}
		changed = true
		d.streams = append(d.streams, newStream(d, e, t))
	}
	for _, s := range old {
		changed = true
		s.flush()
		d.pid(s.entry.pid).es = nil
		if s.sections != nil {
			d.pid(s.entry.pid).sections = nil
		}
	}
	for _, s := range d.streams {
		p := d.pid(s.entry.pid)
		if s.sections == nil {
			p.es = s
		} else if p.sections == nil {
			p.sections = s.sections
		}
	}
	if changed {
		d.setTracks()
	}
}
