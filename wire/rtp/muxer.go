package rtp

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/transmux/clock"
	"weir/transmux/codec"
	"weir/wire"
)

// silent is how long, on the stream's time line, video that was announced may stay away before readers may start without.
const silent = 2 * time.Second

// A Muxer packs access units into RTP packets, once for all receivers. The Bufs of its chunks are Frames, on the channels
// of the description. It is used through [transmux.Stream.Feed]; what it says of itself is safe for concurrent use.
type Muxer struct {
	lanes []*outLane
	byID  map[int]*outLane
	fits  chan struct{} // closed when the tracks are not those of the description any more

	// midnight is the wall clock at zero of the time line, in nanoseconds since 1970; 0 until the first unit.
	midnight atomic.Int64
	dropped  atomic.Uint64

	// the writer's own
	video    *outLane // whose key frames receivers start at
	videoKey bool
	first    time.Duration
	any      bool
	ended    bool

	mu     sync.Mutex
	tracks []*transmux.Track // in order of lanes, as they are now
}

var _ transmux.Muxer = (*Muxer)(nil)

// outLane is one track as it goes out.
type outLane struct {
	index int
	kind  transmux.Kind
	rate  int
	base  uint32
	ssrc  uint32
	seq   uint16
	pack  func(au *transmux.AccessUnit) ([]*rtp.Packet, error)
	setOf *transmux.Track // whose parameter sets are in sets
	sets  [][]byte
}

// NewMuxer returns a muxer of configured tracks that Carries accepts; at most 100.
func NewMuxer(tracks []*transmux.Track) (*Muxer, error) {
	if len(tracks) == 0 || len(tracks) > 100 {
		return nil, fmt.Errorf("pack %d tracks: %w", len(tracks), wire.ErrNoTrack)
	}
	m := &Muxer{byID: make(map[int]*outLane), fits: make(chan struct{}), tracks: slices.Clone(tracks)}
	var random [10]byte
	for i, t := range tracks {
		f, rate, err := formatOf(t, dynamicType(i))
		if err != nil {
			return nil, fmt.Errorf("pack track %d (%s): %w", t.ID, t.Codec, err)
		}
		rand.Read(random[:]) // never fails
		l := &outLane{
			index: i, kind: t.Kind(), rate: rate,
			base: binary.BigEndian.Uint32(random[0:]),
			ssrc: binary.BigEndian.Uint32(random[4:]),
			seq:  binary.BigEndian.Uint16(random[8:]),
		}
		if l.pack, err = newPacker(f); err != nil {
			return nil, fmt.Errorf("pack track %d (%s): %w", t.ID, t.Codec, err)
		}
		if l.kind == transmux.KindVideo && m.video == nil {
			m.video = l
		}
		m.lanes = append(m.lanes, l)
		m.byID[t.ID] = l
	}
	return m, nil
}

// dynamicType numbers tracks from 96 on; after 127 it uses what RFC 3551 leaves unassigned.
func dynamicType(i int) uint8 {
	if i < 32 {
		return uint8(typeDynamic + i)
	}
	return uint8(35 + (i-32)%29)
}

// Description describes the tracks as they are now.
func (m *Muxer) Description() *description.Session {
	m.mu.Lock()
	tracks := slices.Clone(m.tracks)
	m.mu.Unlock()
	d := &description.Session{Title: "weir"}
	for i, t := range tracks {
		f, _, err := formatOf(t, dynamicType(i))
		if err != nil { // a track that no longer fits; Changed is closed
			continue
		}
		media := &description.Media{Type: mediaType(t.Kind()), Control: fmt.Sprintf("trackID=%d", i)}
		media.Formats = append(media.Formats, f)
		d.Medias = append(d.Medias, media)
	}
	return d
}

// Changed is closed when tracks came, went or changed so that a description given out before does not fit. New parameter
// sets alone do not: they travel in band.
func (m *Muxer) Changed() <-chan struct{} { return m.fits }

// Dropped counts units that could not be packed.
func (m *Muxer) Dropped() uint64 { return m.dropped.Load() }

// SSRC is the synchronization source of the packets of a media.
func (m *Muxer) SSRC(media int) uint32 { return m.lanes[media].ssrc }

// Time is the RTP time of a media at time t of the stream.
func (m *Muxer) Time(media int, t time.Duration) uint32 { return m.lanes[media].at(t) }

func (l *outLane) at(t time.Duration) uint32 { return l.base + uint32(clock.ToTicks(t, l.rate)) }

// Report returns the sender report of a media at time t of the stream, as a frame. packets and octets are what was sent
// of it. The time of day in it is that of the RTP time to the nanosecond, so that the reports of all media agree.
func (m *Muxer) Report(media int, t time.Duration, packets, octets uint32) Frame {
	l := m.lanes[media]
	exact := clock.Ticks(clock.ToTicks(t, l.rate), l.rate)
	day := m.midnight.Load() + int64(exact)
	return controlFrame(media, &rtcp.SenderReport{
		SSRC: l.ssrc, NTPTime: toNTP(day), RTPTime: l.at(t), PacketCount: packets, OctetCount: octets,
	})
}

// Goodbye returns the RTCP BYE of a media, as a frame.
func (m *Muxer) Goodbye(media int) Frame {
	return controlFrame(media, &rtcp.Goodbye{Sources: []uint32{m.lanes[media].ssrc}})
}

func controlFrame(media int, p rtcp.Packet) Frame {
	b, err := p.Marshal()
	if err != nil {
		return nil // cannot be: the fields are within their bounds
	}
	return append(appendFrameHeader(nil, 2*media+1, len(b)), b...)
}

// toNTP converts nanoseconds since 1970.
func toNTP(ns int64) uint64 {
	sec, rest := ns/1e9, ns%1e9
	if rest < 0 {
		sec, rest = sec-1, rest+1e9
	}
	return uint64(sec+ntpUnix)<<32 | uint64(rest)<<32/1e9
}

// Tracks implements [transmux.Muxer]: it compares the set with the one it was made for.
func (m *Muxer) Tracks(tracks []*transmux.Track) {
	fits := 0
	for _, t := range tracks {
		l := m.byID[t.ID]
		if l == nil {
			if t.Configured() && Carries(t) == nil {
				m.end()
			}
			continue
		}
		fits++
		m.mu.Lock()
		old := m.tracks[l.index]
		if t.Configured() {
			m.tracks[l.index] = t
		}
		m.mu.Unlock()
		if !sameFormat(old, t) {
			m.end()
		}
	}
	if fits < len(m.lanes) {
		m.end()
	}
}

// sameFormat reports whether what was announced of a track still holds.
func sameFormat(a, b *transmux.Track) bool {
	if a == b {
		return true
	}
	if a.Codec != b.Codec {
		return false
	}
	switch a.Codec {
	case transmux.AAC, transmux.MPEG4Video:
		return string(a.Config) == string(b.Config) || len(b.Config) == 0
	case transmux.MP3, transmux.MP2:
		return true
	}
	return a.Kind() == transmux.KindVideo || a.Rate == b.Rate && a.Channels == b.Channels
}

func (m *Muxer) end() {
	if !m.ended {
		m.ended = true
		close(m.fits)
	}
}

// Mux implements [transmux.Muxer].
func (m *Muxer) Mux(au *transmux.AccessUnit, emit func(*transmux.Chunk)) {
	l := m.byID[au.Track.ID]
	if l == nil || m.ended {
		return
	}
	if !m.any {
		m.any, m.first = true, au.DTS
		day := au.Arrived
		if day.IsZero() {
			day = time.Now()
		}
		m.midnight.Store(day.UnixNano() - int64(au.DTS))
	}
	key := au.Key && (m.video == nil || l == m.video)
	if key && l == m.video {
		m.videoKey = true
	}
	if m.video != nil && l != m.video && !m.videoKey && au.Key && au.DTS-m.first > silent {
		key = true
	}
	frames, size, err := l.frames(au)
	if err != nil || len(frames) == 0 {
		m.dropped.Add(1)
		return
	}
	emit(&transmux.Chunk{Bufs: frames, Size: size, Key: key, Kind: l.kind, DTS: au.DTS, Arrived: au.Arrived})
}

// frames packs one unit into frames that share one piece of memory.
func (l *outLane) frames(au *transmux.AccessUnit) (frames [][]byte, size int, err error) {
	packets, err := l.pack(l.withSets(au))
	if err != nil {
		return nil, 0, err
	}
	for _, p := range packets {
		size += frameHeader + p.MarshalSize()
	}
	buf := make([]byte, 0, size)
	now := l.at(au.PTS)
	for _, p := range packets {
		p.SSRC, p.SequenceNumber = l.ssrc, l.seq
		p.Timestamp += now
		l.seq++
		n := p.MarshalSize()
		begin := len(buf)
		buf = appendFrameHeader(buf, 2*l.index, n)
		buf = buf[:len(buf)+n]
		if _, err := p.MarshalTo(buf[len(buf)-n:]); err != nil {
			return nil, 0, fmt.Errorf("write RTP packet: %w", err)
		}
		frames = append(frames, buf[begin:len(buf):len(buf)])
	}
	return frames, size, nil
}

// withSets returns au with the parameter sets of its track before it, if it is a key frame without.
func (l *outLane) withSets(au *transmux.AccessUnit) *transmux.AccessUnit {
	c := au.Track.Codec
	if !au.Key || c != transmux.H264 && c != transmux.H265 {
		return au
	}
	for n := range au.NALUs() {
		if codec.IsParameterSet(c, n) {
			return au
		}
	}
	if l.setOf != au.Track {
		l.setOf, l.sets = au.Track, codec.ParameterSets(au.Track)
	}
	var data []byte
	for _, s := range l.sets {
		data = codec.AppendNALU(data, s)
	}
	with := *au
	with.Data = append(data, au.Data...)
	return &with
}
