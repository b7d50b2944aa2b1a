package udp

import (
	"math"
	"slices"
	"time"

	"weir/transmux"
	"weir/transmux/mpegts"
)

const (
	clockEvery = 30 * time.Millisecond // PCR: at most 40 ms apart (ETSI TR 101 290), 100 ms in ISO 13818-1 D.0.3
	psiEvery   = 90 * time.Millisecond // PAT and PMT: at most 100 ms
	siEvery    = time.Second           // SDT: at most 2 s

	minStep     = time.Millisecond
	defaultStep = 40 * time.Millisecond // over which a unit is spread when its track's rhythm is not known
	minGrace    = 300 * time.Millisecond

	// maxLate is how late packets may be before what waits is thrown away, because the bit rate is too small.
	maxLate = time.Second
)

// A schedule decides which packet is sent when. It lives on the stream's time line: its position is the value that the
// program clock (PCR) has for a packet that is sent there. A unit with a certain DTS is sent in the delay before the
// position reaches that DTS, spread over the distance to the unit before it.
type schedule struct {
	delay time.Duration
	slot  time.Duration // constant bit rate: one packet each slot; 0 is variable

	muxer  *mpegts.Muxer
	lanes  []*lane
	tables []*table
	pmtPID uint16
	pcrPID uint16
	cc     map[uint16]byte

	at       time.Duration // position of the last packet
	started  bool
	clockDue time.Duration
	broken   bool // the clock has jumped
	newest   time.Duration
	filled   []packet // by chunk, of the unit at hand
}

// packet is one packet of a unit that waits.
type packet struct {
	data     []byte // shared, not to be changed
	due      time.Duration
	deadline time.Duration // DTS of its unit
	arrived  time.Time     // of its unit, in the last packet
}

// lane is what waits of one track.
type lane struct {
	id    int
	kind  transmux.Kind
	queue []packet
	last  time.Duration // DTS of the newest unit
	step  time.Duration // between the last two
	spent time.Duration // where the newest unit is sent completely
	begun bool
}

// table is one PID's tables.
type table struct {
	pid     uint16
	packets [][]byte
	every   time.Duration
	due     time.Duration
	next    int // packet to be sent; not 0 while the table is being sent
}

func newSchedule(service string, delay time.Duration, bitrate int) *schedule {
	s := &schedule{
		delay: delay, cc: make(map[uint16]byte), pcrPID: nullPID,
		muxer: mpegts.NewMuxer(mpegts.MuxOptions{Service: service, Delay: delay}),
	}
	if bitrate > 0 {
		s.slot = time.Duration(int64(packetSize*8) * int64(time.Second) / int64(bitrate))
	}
	return s
}

// begin sets the position, without a jump of the clock if it is the first time.
func (s *schedule) begin(at time.Duration) {
	s.broken = s.started
	s.started = true
	s.at, s.clockDue, s.newest = at, at, at
	for _, t := range s.tables {
		t.due, t.next = at, 0
	}
	s.lanes = nil
}

// add takes one unit.
func (s *schedule) add(au *transmux.AccessUnit) {
	s.filled = s.filled[:0]
	s.muxer.Mux(au, s.chunk)
	n := len(s.filled)
	if n == 0 {
		return
	}
	l := s.lane(au.Track)
	if l.begun {
		l.step = au.DTS - l.last
	}
	spread := min(max(l.step, minStep), s.delay/2)
	if !l.begun {
		spread = defaultStep
	}
	from := max(au.DTS-s.delay, l.spent, s.at)
	if from+spread > au.DTS {
		spread /= 2 // late: catch up, but not in one burst
	}
	for i, p := range s.filled {
		p.due = from + spread*time.Duration(i)/time.Duration(n)
		p.deadline = au.DTS
		if i == n-1 {
			p.arrived = au.Arrived
		}
		l.queue = append(l.queue, p)
	}
	l.last, l.begun = au.DTS, true
	l.spent = from + spread
	if l.kind != transmux.KindData || len(s.lanes) == 1 {
		s.newest = max(s.newest, au.DTS)
	}
}

func (s *schedule) lane(t *transmux.Track) *lane {
	for _, l := range s.lanes {
		if l.id == t.ID {
			return l
		}
	}
	l := &lane{id: t.ID, kind: t.Kind()}
	s.lanes = append(s.lanes, l)
	return l
}

// chunk sorts the packets of the muxer: tables are kept to be repeated, packets with a clock only are left out, because
// both are sent by their own timers.
func (s *schedule) chunk(c *transmux.Chunk) {
	for _, b := range slices.Concat(c.Init, c.Bufs) {
		for p := range slices.Chunk(b, packetSize) {
			if len(p) < packetSize {
				continue
			}
			switch pid := pidOf(p); {
			case pid < 3 || pid >= firstPSI && pid <= lastPSI || pid == s.pmtPID && pid != 0:
				s.keep(pid, p)
			case hasPayload(p):
				s.filled = append(s.filled, packet{data: p})
			}
		}
	}
}

// keep replaces a table by a newer one.
func (s *schedule) keep(pid uint16, p []byte) {
	switch pid {
	case 0:
		if pmt := pmtOf(p); pmt != 0 {
			s.pmtPID = pmt
		}
	case s.pmtPID:
		if starts(p) {
			s.pcrPID = clockOf(p)
		}
	}
	i := slices.IndexFunc(s.tables, func(t *table) bool { return t.pid == pid })
	if i < 0 {
		every := psiEvery
		if pid >= firstPSI {
			every = siEvery
		}
		if pid == s.pmtPID {
			every = psiEvery
		}
		s.tables = append(s.tables, &table{pid: pid, every: every, due: s.at})
		i = len(s.tables) - 1
	}
	t := s.tables[i]
	if starts(p) {
		if len(t.packets) > 0 && !slices.Equal(t.packets[0][4:], p[4:]) {
			t.due = s.at // what changed is told at once
		}
		t.packets, t.next = nil, 0
	}
	t.packets = append(t.packets, p)
}

// next returns the position of the next packet; ok is false if nothing is to be sent before another unit comes.
func (s *schedule) next() (at time.Duration, ok bool) {
	if !s.started {
		return 0, false
	}
	if s.slot > 0 {
		return s.at + s.slot, true
	}
	timers := time.Duration(math.MaxInt64)
	if s.pcrPID != nullPID {
		timers = s.clockDue
	}
	for _, t := range s.tables {
		timers = min(timers, t.due)
	}
	at, ok = timers, timers <= s.newest+s.grace()
	for _, l := range s.lanes {
		if len(l.queue) > 0 && (!ok || l.queue[0].due < at) {
			at, ok = l.queue[0].due, true
		}
	}
	return max(at, s.at), ok
}

// grace is how far the clock runs on when units fail to come and the bit rate is variable.
func (s *schedule) grace() time.Duration {
	step := time.Duration(0)
	for _, l := range s.lanes {
		if l.kind != transmux.KindData && l.step > 0 && (step == 0 || l.step < step) {
			step = l.step
		}
	}
	return minGrace + 2*step
}

func (s *schedule) waiting() bool {
	return slices.ContainsFunc(s.lanes, func(l *lane) bool { return len(l.queue) > 0 })
}

// drop throws away what waits.
func (s *schedule) drop() { s.lanes = nil }

// late is by how much the packet that should go first has missed its deadline.
func (s *schedule) late() time.Duration {
	late := time.Duration(0)
	for _, l := range s.lanes {
		if len(l.queue) > 0 {
			late = max(late, s.at-l.queue[0].deadline)
		}
	}
	return late
}

// append appends the packet for position at, which next has returned: the clock if it is due, then tables, then units
// by their deadline, then null packets. arrived is set with the last packet of a unit.
func (s *schedule) append(b []byte, at time.Duration) (_ []byte, arrived time.Time) {
	s.at = at
	best := s.first(at)
	if s.clockDue <= at && s.pcrPID != nullPID {
		s.clockDue = at + clockEvery
		if best == nil || pidOf(best.queue[0].data) != s.pcrPID || !hasClock(best.queue[0].data) {
			b = appendClockPacket(b, s.pcrPID, s.cc[s.pcrPID])
			s.stamp(b[len(b)-packetSize:], at)
			return b, time.Time{}
		}
	} else if t := s.table(at); t != nil {
		b = append(b, t.packets[t.next]...)
		s.count(b[len(b)-packetSize:])
		if t.next++; t.next == len(t.packets) {
			t.next, t.due = 0, at+t.every
		}
		return b, time.Time{}
	}
	if best == nil {
		if s.slot > 0 {
			b = appendNull(b)
		}
		return b, time.Time{}
	}
	p := best.queue[0]
	best.queue = best.queue[1:]
	b = append(b, p.data...)
	sent := b[len(b)-packetSize:]
	s.count(sent)
	if hasClock(sent) {
		s.stamp(sent, at)
	}
	return b, p.arrived
}

// first is the lane whose first packet is due and has the earliest deadline.
func (s *schedule) first(at time.Duration) *lane {
	var best *lane
	for _, l := range s.lanes {
		if len(l.queue) > 0 && l.queue[0].due <= at && (best == nil || l.queue[0].deadline < best.queue[0].deadline) {
			best = l
		}
	}
	return best
}

func (s *schedule) table(at time.Duration) *table {
	for _, t := range s.tables {
		if t.next > 0 {
			return t // packets of one table stay together
		}
	}
	for _, t := range s.tables {
		if t.due <= at && len(t.packets) > 0 {
			return t
		}
	}
	return nil
}

// count numbers a packet with payload, and stamp sets its clock.
func (s *schedule) count(p []byte) {
	pid := pidOf(p)
	c, seen := s.cc[pid]
	if seen {
		c++
	}
	s.cc[pid] = c & 0x0f
	setCounter(p, c)
}

func (s *schedule) stamp(p []byte, at time.Duration) {
	setClock(p, at, s.broken)
	s.broken = false
	s.clockDue = at + clockEvery
}
