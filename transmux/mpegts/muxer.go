package mpegts

import (
	"time"

	"weir/transmux"
	"weir/transmux/clock"
)

// DefaultDelay is how far the program clock runs behind the decoding times of what is sent.
const DefaultDelay = 200 * time.Millisecond

const (
	psiEvery  = 100 * time.Millisecond
	psiSlack  = 50 * time.Millisecond // due as soon as the next chance might be too late
	sdtEvery  = time.Second
	pcrEvery  = 40 * time.Millisecond
	pcrJump   = time.Second // beyond this the clock is not walked there but set
	maxLag    = 5 * time.Second
	maxBack   = 10 * time.Second
	videoWait = 2 * time.Second // without a video key frame receivers may start at audio
)

// MuxOptions say how a Muxer writes. The zero value is ready.
type MuxOptions struct {
	Service  string        // service name in the SDT; "weir" if empty; at most 200 bytes are used
	Provider string        // "weir" if empty
	Program  int           // program_number, 1 to 65535; 1 if 0
	Delay    time.Duration // PCR = DTS - Delay; DefaultDelay if 0. At least the skew between tracks
}

// A Muxer writes one program with variable bit rate. Each unit becomes one chunk of whole packets of 188 bytes in one
// buffer. Chunks where a receiver may start begin with PAT, PMT and SDT, so their Init is empty.
//
// On the stream's time line PAT and PMT come at most 100 ms apart, SDT 1 s, PCR 40 ms, as far as units come; see
// [Muxer.Idle]. The PCR is the newest DTS less the delay. It never runs ahead of a track that is late against the others:
// the clock then waits once until that track is in time too (at most 5 s).
//
// Tracks keep the PID they had in their origin where that is possible.
type Muxer struct {
	o      MuxOptions
	tracks []*muxTrack
	pids   map[int]uint16    // by track ID
	cc     map[uint16]*uint8 // by PID, for ever: counters go on when tracks come back
	psi    tables
	pcrPID uint16

	started  bool
	first    time.Duration // DTS of the first unit
	newest   time.Duration // DTS
	lag      time.Duration // of the slowest track
	pcr      time.Duration // latest written
	hasPCR   bool
	broken   bool // the next PCR begins a new time base
	psiAt    time.Duration
	sdtAt    time.Duration
	hasPSI   bool
	videoKey bool

	out  []byte
	pay  payload
	head []byte
}

var _ transmux.Muxer = (*Muxer)(nil)

// NewMuxer returns a muxer without tracks.
func NewMuxer(o MuxOptions) *Muxer {
	if o.Service == "" {
		o.Service = "weir"
	}
	if o.Provider == "" {
		o.Provider = "weir"
	}
	if o.Program < 1 || o.Program > 0xffff {
		o.Program = 1
	}
	if o.Delay <= 0 {
		o.Delay = DefaultDelay
	}
	m := &Muxer{o: o, pids: make(map[int]uint16), cc: make(map[uint16]*uint8), pcrPID: noPID}
	m.psi.begin(&m.o)
	return m
}

// Tracks implements [transmux.Muxer]. Tracks that cannot be carried are left out; see [Carries].
func (m *Muxer) Tracks(tracks []*transmux.Track) {
	m.assign(tracks)
	m.psi.setPMT(m)
	m.hasPSI = false
}

// Mux implements [transmux.Muxer].
func (m *Muxer) Mux(au *transmux.AccessUnit, emit func(*transmux.Chunk)) {
	t := m.track(au.Track)
	if t == nil || !m.pay.fill(t, au) {
		return
	}
	m.note(t, au)
	target := m.target()
	key := m.startsAt(t, au)
	// A little more than needed, so that it is one allocation.
	m.out = make([]byte, 0, PacketSize*(3+m.pay.size/176)+m.room(target, key))
	m.walk(target)
	if key || m.psiDue(target) {
		m.writePSI(target, key)
	}
	if !m.hasPCR && t.pid != m.pcrPID {
		m.writePCR(target)
	}
	if t.sections {
		m.writeSection(t.pid, au.Data)
	} else {
		m.writePES(t, au, target)
	}
	m.emit(emit, au.DTS, au.Arrived, key, t.kind)
}

// Idle writes what keeps the program clock and the tables running up to the time at which a unit with this DTS would be
// sent, when no unit comes. Whoever sends in real time calls it at least every 40 ms that nothing was muxed. Units that
// come later with a smaller DTS are late.
func (m *Muxer) Idle(dts time.Duration, emit func(*transmux.Chunk)) {
	if !m.started || dts <= m.newest {
		return
	}
	m.newest = dts
	target := m.target()
	m.out = make([]byte, 0, m.room(target, false))
	m.walk(target)
	if target > m.pcr || !m.hasPCR {
		m.writePCR(target)
	}
	if m.psiDue(target) {
		m.writePSI(target, false)
	}
	if len(m.out) > 0 {
		m.emit(emit, dts, time.Time{}, false, transmux.KindData)
	}
}

// Clock is the PCR that was written last, on the stream's time line: a receiver that got everything until now plays
// units with this DTS.
func (m *Muxer) Clock() time.Duration { return m.pcr }

func (m *Muxer) emit(emit func(*transmux.Chunk), dts time.Duration, arrived time.Time, key bool, kind transmux.Kind) {
	c := &struct {
		transmux.Chunk
		bufs [1][]byte
	}{}
	c.bufs[0] = m.out
	c.Chunk = transmux.Chunk{Bufs: c.bufs[:], Size: len(m.out), Key: key, Kind: kind, DTS: dts, Arrived: arrived}
	m.out = nil
	emit(&c.Chunk)
}

// note follows the time line.
func (m *Muxer) note(t *muxTrack, au *transmux.AccessUnit) {
	if !m.started {
		m.started, m.first, m.newest = true, au.DTS, au.DTS
	}
	if d := au.DTS - m.newest; d < -maxBack {
		m.newest, m.lag, m.broken, m.hasPCR = au.DTS, 0, true, false
	} else if d > 0 {
		m.newest = au.DTS
	} else if t.kind != transmux.KindData {
		// Three quarters of the delay are there for the skew of tracks; more than that shifts the clock.
		m.lag = max(m.lag, min(-d-m.o.Delay*3/4, maxLag))
	}
	if t.kind == transmux.KindVideo && au.Key {
		m.videoKey = true
	}
}

func (m *Muxer) target() time.Duration {
	t := m.newest - m.o.Delay - m.lag
	if m.hasPCR && t < m.pcr {
		return m.pcr // the clock waits
	}
	return t
}

// startsAt reports whether a receiver may start at au, by the same rule as the stream.
func (m *Muxer) startsAt(t *muxTrack, au *transmux.AccessUnit) bool {
	switch t.kind {
	case transmux.KindVideo:
		return au.Key
	case transmux.KindAudio:
		return !m.waitsForVideo(au)
	}
	return !m.has(transmux.KindAudio) && !m.waitsForVideo(au)
}

func (m *Muxer) waitsForVideo(au *transmux.AccessUnit) bool {
	return m.has(transmux.KindVideo) && (m.videoKey || au.DTS-m.first < videoWait)
}

func (m *Muxer) has(k transmux.Kind) bool {
	for _, t := range m.tracks {
		if t.kind == k {
			return true
		}
	}
	return false
}

func (m *Muxer) psiDue(at time.Duration) bool {
	return !m.hasPSI || at-m.psiAt >= psiSlack || at < m.psiAt
}

// room is how many bytes walk and writePSI may add.
func (m *Muxer) room(target time.Duration, key bool) int {
	n := 2
	if m.hasPCR && target-m.pcr <= pcrJump {
		n += int((target - m.pcr) / pcrEvery)
	}
	if key || m.psiDue(target) || n > 2 {
		n += m.psi.packets() * (1 + n/2)
	}
	return n * PacketSize
}

// walk brings the clock near target, with packets that carry nothing else, and repeats the tables on the way.
func (m *Muxer) walk(target time.Duration) {
	gap := target - m.pcr
	if !m.hasPCR || gap <= pcrEvery {
		return
	}
	if gap > pcrJump {
		m.broken = true
		m.writePCR(target)
		return
	}
	n := (gap + pcrEvery - 1) / pcrEvery
	from := m.pcr
	for i := time.Duration(1); i < n; i++ {
		at := from + gap*i/n
		m.writePCR(at)
		if m.psiDue(at) {
			m.writePSI(at, false)
		}
	}
}

// ticks90 is a PTS or DTS on the wire.
func ticks90(d time.Duration) uint64 { return uint64(clock.ToTicks(d, 90000)) & (1<<33 - 1) }

// ticks27 is a PCR on the wire: base and extension.
func ticks27(d time.Duration) (base, extension uint64) {
	t := clock.ToTicks(d, 27_000_000) % pcrRange
	if t < 0 {
		t += pcrRange
	}
	return uint64(t) / 300, uint64(t) % 300
}
