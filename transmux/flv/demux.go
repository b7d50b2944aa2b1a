package flv

import (
	"bytes"
	"time"

	"weir/transmux"
	"weir/transmux/amf"
	"weir/transmux/clock"
	"weir/transmux/codec"
)

// IDs of the tracks that a Demuxer makes: a base plus the track id of Enhanced RTMP (0 to 255; 0 is the only one of
// streams that know nothing of it).
const (
	VideoID = 0
	AudioID = 256
	DataID  = 512
)

// maxTracks bounds the tracks of one stream.
const maxTracks = 32

// maxLag bounds by how much composition times may be negative.
const maxLag = 5 * time.Second

// A Demuxer makes access units of FLV tags or RTMP messages. Tracks are announced when their first sequence header or
// frame comes, never because metadata promise them. What it does not know it ignores and counts. For one goroutine at a
// time.
type Demuxer struct {
	out     transmux.Out
	clock   clock.Unwrapper
	slots   map[int]*slot
	tracks  []*transmux.Track // what was announced
	ignored uint64
	meta    []amf.Field
	data    *transmux.Track

	// of the tag at hand
	timestamp uint32
	nano      time.Duration
	arrived   time.Time
}

// A slot is where one track of the stream is.
type slot struct {
	id         int
	track      *transmux.Track // nil as long as nothing is known
	params     *codec.Params   // h264, h265
	lengthSize int
	lag        time.Duration // by which DTS is moved so that it is not above PTS
}

// NewDemuxer returns a Demuxer that writes to out.
func NewDemuxer(out transmux.Out) *Demuxer {
	return &Demuxer{out: out, clock: clock.Unwrap32(), slots: make(map[int]*slot)}
}

// Tag takes one tag: its kind (Audio, Video, Data or Data3; others are ignored), its timestamp in milliseconds, which
// wraps at 2^32, and its body. arrived is when its last byte came in; it may be zero. The Demuxer keeps views of body,
// so the caller must not change it any more. The only errors are those of the Out.
func (d *Demuxer) Tag(kind byte, timestamp uint32, body []byte, arrived time.Time) error {
	d.timestamp, d.nano, d.arrived = timestamp, 0, arrived
	if len(body) == 0 {
		d.ignored++
		return nil
	}
	switch kind {
	case Audio:
		return d.audio(body)
	case Video:
		return d.video(body)
	case Data:
		return d.script(body)
	case Data3:
		return d.script3(body)
	}
	d.ignored++
	return nil
}

// Ignored counts the tags, or tracks within tags, of which nothing came: empty, unknown or malformed ones, commands, and
// frames that came before their sequence header.
func (d *Demuxer) Ignored() uint64 { return d.ignored }

// Metadata returns the members of the newest onMetaData; nil before the first one.
func (d *Demuxer) Metadata() []amf.Field { return d.meta }

// Tracks returns what was announced so far.
func (d *Demuxer) Tracks() []*transmux.Track { return d.tracks }

func (d *Demuxer) ignore() error {
	d.ignored++
	return nil
}

// slot returns the place of a track, and nil if there are too many.
func (d *Demuxer) slot(id int) *slot {
	s := d.slots[id]
	if s == nil && len(d.slots) < maxTracks {
		s = &slot{id: id}
		d.slots[id] = s
	}
	return s
}

// use makes t the track of the slot, unless it is equal to what is there, and announces it if it is the first.
func (d *Demuxer) use(s *slot, t transmux.Track) {
	t.ID = s.id
	if o := s.track; o != nil && o.Codec == t.Codec && o.Rate == t.Rate && o.Channels == t.Channels && bytes.Equal(o.Config, t.Config) {
		return
	}
	first := s.track == nil
	s.track = &t
	if !t.Configured() {
		return
	}
	if first || !d.announced(s.id) {
		d.announce(s.track)
		return
	}
	for i, o := range d.tracks {
		if o.ID == s.id {
			next := append([]*transmux.Track(nil), d.tracks...)
			next[i] = s.track
			d.tracks = next
		}
	}
}

func (d *Demuxer) announced(id int) bool {
	for _, t := range d.tracks {
		if t.ID == id {
			return true
		}
	}
	return false
}

func (d *Demuxer) announce(t *transmux.Track) {
	next := append([]*transmux.Track(nil), d.tracks...)
	d.tracks = append(next, t)
	d.out.SetTracks(d.tracks)
}

// write hands out one unit of the slot's track.
func (d *Demuxer) write(s *slot, data []byte, key bool, composition time.Duration) error {
	if len(data) == 0 || s.track == nil || !s.track.Configured() {
		return d.ignore()
	}
	dts := d.now()
	pts := dts + composition
	if composition < 0 && composition > -maxLag {
		s.lag = max(s.lag, -composition)
	}
	dts -= s.lag
	return d.out.Write(transmux.AccessUnit{
		Track: s.track, DTS: dts, PTS: max(dts, pts), Key: key, Arrived: d.arrived, Data: data,
	})
}

// now is the time of the tag at hand on the origin's unwrapped time line.
func (d *Demuxer) now() time.Duration {
	return time.Duration(d.clock.Unwrap(uint64(d.timestamp)))*time.Millisecond + d.nano
}
