package rtp

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/transmux/codec"
	"weir/transmux/mpegts"
	"weir/wire"
)

// A Receiver turns the packets of one session into access units. Its methods are safe for concurrent use.
type Receiver struct {
	out transmux.Out

	mu     sync.Mutex
	line   timeline
	lanes  map[format.Format]*inLane
	tracks []*transmux.Track
	err    error // of out
	lost   uint64
	broken uint64
	units  uint64
}

// inLane is one track as it comes in.
type inLane struct {
	media  *description.Media
	track  *transmux.Track
	tick   *ticker
	depack depacketizer
	params *codec.Params
	dts    decodeTime      // nil for what is never reordered
	ts     *mpegts.Demuxer // instead of all above
	units  uint64          // that ts wrote

	seq     uint16
	started bool
	gap     bool
}

// NewReceiver prepares for the media of a description, writes to out, and declares the tracks there. Media that cannot be
// carried or that choose leaves out have no part in it; skipped says why. The error wraps wire.ErrNoTrack if nothing
// remains. program chooses in an MPEG-TS media; 0 is the first.
func NewReceiver(out transmux.Out, medias []*description.Media, choose transmux.Selection, program int) (r *Receiver, skipped []error, err error) {
	r = &Receiver{out: out, lanes: make(map[format.Format]*inLane)}
	lanes := make(map[*transmux.Track]*inLane)
	formats := make(map[*inLane]format.Format)
	var all []*transmux.Track
	for i, m := range medias {
		if m.IsBackChannel {
			continue
		}
		lane, f, err := newInLane(m, i, out, program)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("media %d (%s) is left out: %w", i, m.Type, err))
			continue
		}
		if lane.ts != nil {
			// A transport stream has tracks and a clock of its own; nothing beside it can be kept together with it.
			r.lanes = map[format.Format]*inLane{f: lane}
			return r, skipped, nil
		}
		lanes[lane.track], formats[lane] = lane, f
		all = append(all, lane.track)
	}
	for _, t := range choose.Pick(all) {
		lane := lanes[t]
		r.lanes[formats[lane]] = lane
		r.line.tickers = append(r.line.tickers, lane.tick)
		r.tracks = append(r.tracks, t)
	}
	if len(r.tracks) == 0 {
		return nil, skipped, fmt.Errorf("receive: %w", errors.Join(append([]error{wire.ErrNoTrack}, skipped...)...))
	}
	out.SetTracks(r.tracks)
	return r, skipped, nil
}

func newInLane(m *description.Media, id int, out transmux.Out, program int) (*inLane, format.Format, error) {
	err := errors.New("it has no format")
	for _, f := range m.Formats {
		lane := &inLane{media: m}
		if _, ok := f.(*format.MPEGTS); ok {
			lane.ts = mpegts.New(&counter{out, &lane.units}, mpegts.Options{Program: program})
			return lane, f, nil
		}
		if lane.track, err = trackOf(f, id); err != nil {
			continue
		}
		if lane.depack, err = newDepacketizer(f, lane.track); err != nil {
			continue
		}
		lane.tick = newTicker(lane.track, or(clockRate(f), videoRate))
		if c := lane.track.Codec; c == transmux.H264 || c == transmux.H265 {
			lane.params = codec.NewParams(c, lane.track.Config)
		}
		lane.dts = newDecodeTime(lane.track)
		return lane, f, nil
	}
	return nil, nil, err
}

// Wants reports whether a media has a part in what is received; a client need not set up others.
func (r *Receiver) Wants(m *description.Media) bool {
	for _, l := range r.lanes {
		if l.media == m {
			return true
		}
	}
	return false
}

// Info takes the rtptime that the RTP-Info of a PLAY response gives for a media: the RTP times of all media there are
// of the same moment.
func (r *Receiver) Info(m *description.Media, rtptime uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		if l.media == m && l.tick != nil {
			l.tick.info, l.tick.hasInfo = rtptime, true
			if l.tick.anchored {
				d := l.tick.last - l.tick.near(rtptime)
				l.tick.hasInfo = d <= maxSkew && d >= -maxSkew
			}
		}
	}
}

// Report takes an RTCP packet of a media.
func (r *Receiver) Report(m *description.Media, p rtcp.Packet) {
	sr, ok := p.(*rtcp.SenderReport)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		if l.media == m && l.tick != nil && (!l.started || l.tick.ssrc == sr.SSRC) {
			r.line.report(l.tick, sr)
		}
	}
}

// Packet takes an RTP packet, in order of its sequence number as far as the transport can give it; gaps in the numbers
// are losses. It keeps no reference to p but to its payload, which must not change any more. The error is that of the
// Out: nobody wants more. What cannot be decoded is counted and dropped.
func (r *Receiver) Packet(f format.Format, p *rtp.Packet, arrived time.Time) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		if r.err == nil {
			r.err = err // after a panic there is no telling what is whole
		}
	}()
	defer wire.Recover(&err) // the engine calls on its own goroutine
	l := r.lanes[f]
	if l == nil || len(p.Payload) == 0 || r.err != nil {
		return r.err
	}
	lost := false
	if l.started {
		switch d := p.SequenceNumber - l.seq; {
		case d == 0:
			return nil // sent twice
		case d != 1:
			lost = true
			if d < 1<<15 {
				r.lost += uint64(d - 1)
			}
		}
	}
	l.seq, l.started, l.gap = p.SequenceNumber, true, l.gap || lost
	if l.ts != nil {
		r.err = l.ts.Write(p.Payload, arrived)
		r.units = l.units
		return r.err
	}
	if !l.tick.anchored {
		l.tick.ssrc = p.SSRC
	}
	if l.depack.push(p, lost, func(u unit) { r.unit(l, u, p.SSRC, arrived) }) != nil {
		r.broken++
		l.gap = true
	}
	return r.err
}

// unit writes what a depacketizer handed out.
func (r *Receiver) unit(l *inLane, u unit, ssrc uint32, arrived time.Time) {
	parts := u.parts[:0:0]
	for _, p := range u.parts {
		if len(p) > 0 {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return
	}
	x := l.tick.at(u.time)
	switch l.track.Codec {
	case transmux.H264, transmux.H265:
		r.write(l, r.picture(l, parts), x, ssrc, arrived)
	case transmux.AV1:
		data := codec.TemporalUnit(parts)
		if config := av1Config(data); config != nil && string(config) != string(l.track.Config) {
			l.retrack(func(t *transmux.Track) { t.Config = config })
		}
		r.write(l, data, x, ssrc, arrived)
	default:
		for _, p := range parts {
			l.describe(p)
			r.write(l, p, x, ssrc, arrived)
			x += codec.FrameDuration(l.track, p)
		}
	}
}

// counter counts what a demuxer writes.
type counter struct {
	transmux.Out
	n *uint64
}

func (c *counter) Write(au transmux.AccessUnit) error {
	*c.n++
	return c.Out.Write(au)
}

// picture joins NAL units and follows the parameter sets among them.
func (r *Receiver) picture(l *inLane, nalus [][]byte) []byte {
	size := 0
	for _, n := range nalus {
		size += 4 + len(n)
	}
	data := make([]byte, 0, size)
	sets := false
	for _, n := range nalus {
		data = codec.AppendNALU(data, n)
		if codec.IsParameterSet(l.track.Codec, n) {
			l.params.Note(n)
			sets = true
		}
	}
	if sets {
		if config, changed := l.params.Config(); changed && config != nil && string(config) != string(l.track.Config) {
			l.retrack(func(t *transmux.Track) { t.Config = config })
		}
	}
	return data
}

// retrack replaces the track by a changed one.
func (l *inLane) retrack(change func(*transmux.Track)) {
	t := *l.track
	change(&t)
	l.track = &t
}

// describe learns from a frame what the description does not tell: the layer of MPEG audio.
func (l *inLane) describe(frame []byte) {
	if l.track.Codec != transmux.MP3 && l.track.Codec != transmux.MP2 || len(frame) < 4 || frame[0] != 0xff {
		return
	}
	c := transmux.MP2
	if frame[1]>>1&3 == 1 { // layer III (ISO 11172-3 2.4.2.3)
		c = transmux.MP3
	}
	info := codec.DescribeUnit(&transmux.Track{Codec: c}, frame)
	if c != l.track.Codec || info.Rate > 0 && (info.Rate != l.track.Rate || info.Channels != l.track.Channels) {
		l.retrack(func(t *transmux.Track) { t.Codec, t.Rate, t.Channels = c, info.Rate, info.Channels })
	}
}

// write puts one access unit on the line. x is its time of presentation on the track's own clock.
func (r *Receiver) write(l *inLane, data []byte, x time.Duration, ssrc uint32, arrived time.Time) {
	if len(data) == 0 || r.err != nil {
		return
	}
	key := l.track.Kind() != transmux.KindVideo || codec.IsKey(l.track.Codec, data)
	shift, gap := r.line.place(l.tick, ssrc, x, key, arrived)
	dts := x
	if l.dts != nil {
		if gap {
			l.dts = newDecodeTime(l.track)
		}
		dts = l.dts.Next(data, x)
	}
	au := transmux.AccessUnit{
		Track: l.track, DTS: dts + shift, PTS: x + shift, Key: key, Gap: gap || l.gap,
		Arrived: arrived, NTP: l.tick.timeOfDay(x), Data: data,
	}
	l.gap = false
	r.units++
	r.err = r.out.Write(au)
}

// Stats tells how many units were written, how many packets were lost, and how many could not be decoded.
func (r *Receiver) Stats() (units, lost, broken uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.units, r.lost, r.broken
}
