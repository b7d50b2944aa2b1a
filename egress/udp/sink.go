// Package udp sends streams as MPEG-TS by UDP, raw or in RTP, at the pace at which they are to be played.
package udp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"weir/egress"
	"weir/transmux"
	"weir/transmux/clock"
	"weir/transmux/mpegts"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/udp"
)

const (
	// delay is how long units wait here, so that tracks can be interleaved and bursts be spread.
	delay = mpegts.DefaultDelay

	// hold is how long a packet may wait for others to fill its datagram, when the bit rate is variable.
	hold = 20 * time.Millisecond

	// fresh is how old a key frame may be for sending to begin there. An older one is followed by all that has come
	// since, which could be sent at once, as no receiver of UDP bears, or late for ever.
	fresh = 500 * time.Millisecond

	// patience is how long a fresh key frame is waited for; then any will do.
	patience = 15 * time.Second
)

// A Sink sends one program to a group or an address.
//
// Its URL is udp://ADDRESS:PORT, or rtp://ADDRESS:PORT for RTP (RFC 2250). The query may hold ttl (1 to 255; 1 for groups
// if it is not told), dscp (0 to 63), interface (name or address), pkt (TS packets a datagram, 7) and bitrate (like 8M):
// with it the bit rate is constant, filled with null packets; without it packets are sent as they come, paced.
type Sink struct {
	remote   wire.Remote
	settings settings
}

var _ egress.Sink = (*Sink)(nil)

// New checks r's URL.
func New(r wire.Remote) (*Sink, error) {
	s, err := parse(r)
	if err != nil {
		return nil, err
	}
	return &Sink{r, s}, nil
}

// Run implements egress.Sink.
func (s *Sink) Run(ctx context.Context, stream *transmux.Stream, m *wire.Meter) error {
	_, dropped, err := egress.Ready(ctx, stream, s.remote.Tracks, mpegts.Carries)
	for _, d := range dropped {
		s.remote.Log.Warn("a track is left out", "sink", s.remote.Redacted(), "reason", d)
	}
	if err != nil {
		return err
	}
	to, err := s.settings.destination(ctx)
	if err != nil {
		return err
	}
	sender, err := udp.Dial(ctx, to)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	defer func() { _ = sender.Close() }()
	return s.newRun(stream, m, sender.Send).loop(ctx)
}

func (s *Sink) newRun(stream *transmux.Stream, m *wire.Meter, send func(...[]byte) error) *run {
	r := &run{
		sink: s, stream: stream, meter: m, reader: stream.Reader(), begun: time.Now(), syncing: true,
		schedule: newSchedule(stream.Name(), delay, s.settings.bitrate),
		pacer:    udp.NewPacer(send),
		header:   udp.Header{PayloadType: udp.PayloadMP2T, Sequence: uint16(rand.Uint32()), SSRC: rand.Uint32()},
		clock:    rand.Uint32(),
	}
	r.setTracks()
	return r
}

// run is one call of Run.
type run struct {
	sink    *Sink
	stream  *transmux.Stream
	meter   *wire.Meter
	reader  *ring.Reader[*transmux.AccessUnit]
	begun   time.Time
	changed <-chan struct{} // closed when the tracks change
	picked  map[int]bool
	video   bool

	schedule *schedule
	pacer    *udp.Pacer
	anchor   anchor
	syncing  bool // waits for a unit to begin at
	ended    bool
	warned   bool

	datagram []byte
	packets  int           // in datagram
	first    time.Duration // position of the first
	last     time.Duration // position of the last
	arrived  time.Time     // of a unit that the datagram completes
	header   udp.Header
	clock    uint32 // RTP time of position 0
}

func (r *run) setTracks() {
	tracks, changed := r.stream.TracksChanged()
	r.changed = changed
	picked := r.sink.remote.Tracks.Pick(tracks)
	r.picked, r.video = make(map[int]bool, len(picked)), false
	for _, t := range picked {
		r.picked[t.ID] = mpegts.Carries(t) == nil
		r.video = r.video || t.Kind() == transmux.KindVideo && r.picked[t.ID]
	}
	r.schedule.muxer.Tracks(picked)
}

// loop takes units as they come and sends packets as they are due, on this one goroutine.
func (r *run) loop(ctx context.Context) error {
	for {
		r.take()
		at, ok := r.schedule.next()
		if r.packets > 0 && (!ok || r.sink.settings.bitrate == 0 && at > r.first+hold) {
			if err := r.send(); err != nil {
				return err
			}
		}
		if r.ended && !r.schedule.waiting() {
			return r.finish()
		}
		if !ok {
			if err := r.pacer.Flush(); err != nil {
				return err
			}
			if err := r.wait(ctx); err != nil {
				return err
			}
			continue
		}
		var wake <-chan struct{}
		if !r.ended {
			wake = r.reader.C()
		}
		due, err := r.pacer.Wait(ctx, r.anchor.wall(at), wake)
		if err != nil {
			return err
		}
		if !due {
			if err := r.notice(); err != nil {
				return err
			}
			continue
		}
		if err := r.put(at); err != nil {
			return err
		}
	}
}

// wait waits for a unit.
func (r *run) wait(ctx context.Context) error {
	err := r.reader.Wait(ctx)
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	return r.end(err)
}

// notice finds out whether what woke us is the end of the stream.
func (r *run) notice() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := r.reader.Wait(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return r.end(err)
}

func (r *run) end(err error) error {
	r.ended = true
	if errors.Is(err, io.EOF) || errors.Is(err, wire.ErrEnded) {
		return nil
	}
	return err
}

func (r *run) finish() error {
	if r.packets > 0 {
		if err := r.send(); err != nil {
			return err
		}
	}
	return r.pacer.Flush()
}

// take gives all units that are there to the schedule.
func (r *run) take() {
	for {
		au, ok := r.reader.Try()
		if !ok {
			return
		}
		select {
		case <-r.changed:
			r.setTracks()
		default:
		}
		if r.reader.Skipped() {
			r.meter.Skip()
			r.resync()
		}
		if !r.picked[au.Track.ID] {
			continue
		}
		now := time.Now()
		if r.syncing && !r.begins(au, now) {
			continue
		}
		kind := au.Track.Kind()
		switch slack := r.anchor.wall(au.DTS).Sub(now); {
		case kind == transmux.KindData:
		case slack < -maxPause && r.schedule.slot > 0:
			r.beginAt(au, now)
		case slack < minSlack:
			r.anchor.shift(min(delay/2-slack, maxShift))
		default:
			if r.anchor.note(slack, now) {
				r.resync() // seconds behind what is live
				continue
			}
		}
		r.schedule.add(au)
	}
}

// begins reports whether sending may begin with au, and sets the position there.
func (r *run) begins(au *transmux.AccessUnit, now time.Time) bool {
	if r.video && (au.Track.Kind() != transmux.KindVideo || !au.Key) {
		return false
	}
	age := time.Duration(0)
	if !au.Arrived.IsZero() {
		age = now.Sub(au.Arrived)
	}
	if age > fresh && now.Sub(r.begun) < patience {
		return false
	}
	r.beginAt(au, now)
	return true
}

// beginAt sets the position so that au is sent now.
func (r *run) beginAt(au *transmux.AccessUnit, now time.Time) {
	r.syncing = false
	r.anchor = anchor{zero: now.Add(delay - au.DTS), since: now}
	r.schedule.begin(au.DTS - delay)
}

// resync goes on at a fresh key frame.
func (r *run) resync() {
	r.syncing, r.begun = true, time.Now()
	r.schedule.drop()
}

// put appends the packet that is due, and sends the datagram when it is full.
func (r *run) put(at time.Duration) error {
	if r.schedule.slot > 0 {
		if behind := time.Since(r.anchor.wall(at)); behind > maxBehind {
			at += behind // the slots of a time in which nothing could be sent are gone
		}
	}
	if r.packets == 0 {
		r.first = at
		r.datagram = make([]byte, 0, udp.HeaderSize+r.sink.settings.packets*packetSize)
		if r.sink.settings.rtp {
			r.header.Timestamp = r.clock + uint32(clock.ToTicks(at, 90_000))
			r.header.Marker = r.schedule.broken
			r.datagram = r.header.Append(r.datagram)
			r.header.Sequence++
		}
	}
	before := len(r.datagram)
	var arrived time.Time
	if r.datagram, arrived = r.schedule.append(r.datagram, at); len(r.datagram) == before {
		return nil
	}
	if !arrived.IsZero() {
		r.arrived = arrived
	}
	r.packets++
	r.last = at
	if r.schedule.late() > maxLate {
		if !r.warned {
			r.warned = true
			r.sink.remote.Log.Warn("the bit rate is too small for the stream; pictures are left out",
				"sink", r.sink.remote.Redacted(), "bitrate", r.sink.settings.bitrate)
		}
		r.meter.Skip()
		r.resync()
	}
	if r.packets < r.sink.settings.packets {
		return nil
	}
	return r.send()
}

func (r *run) send() error {
	n := len(r.datagram)
	err := r.pacer.Send(r.anchor.wall(r.last), r.datagram)
	r.datagram, r.packets = nil, 0
	if err != nil {
		return fmt.Errorf("send to %s: %w", r.sink.remote.Redacted(), err)
	}
	r.meter.Moved(n, r.arrived)
	r.arrived = time.Time{}
	return nil
}
