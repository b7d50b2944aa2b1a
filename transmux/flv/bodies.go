package flv

import (
	"bytes"
	"slices"
	"time"

	"weir/transmux"
	"weir/transmux/codec"
)

// patience is how long, on the stream's time line, audio waits for the first key frame of a video track before receivers
// may start without one.
const patience = 2 * time.Second

// Options tell what the receivers understand.
type Options struct {
	Enhanced   bool // Enhanced RTMP: h265, av1, vp8, vp9, opus, flac, ac3, eac3
	Multitrack bool // several tracks of a kind, by the multitrack packets of Enhanced RTMP v2
}

// A Tag is one FLV tag or RTMP message without its framing. It is immutable.
type Tag struct {
	Kind      byte   // Audio, Video or Data
	Timestamp uint32 // milliseconds, wrapping at 2^32
	Head      []byte // the first bytes of the body
	Data      []byte // the rest, shared with the access unit; may be nil
	Config    bool   // a sequence header
}

// Size is the length of the body.
func (t *Tag) Size() int { return len(t.Head) + len(t.Data) }

// Bodies writes the bodies of FLV tags and RTMP messages. For one goroutine at a time.
type Bodies struct {
	opts  Options
	lanes []*lane

	// for StartsAt
	videoKey bool
	begun    bool
	first    time.Duration
}

// A lane is one track that is carried.
type lane struct {
	track *transmux.Track
	info  codec.Info
	num   byte           // track id of Enhanced RTMP, counted for video and audio by themselves
	sent  []byte         // configuration that went out in band
	codec transmux.Codec // that sent belongs to
}

// NewBodies returns a Bodies for receivers that understand what o says.
func NewBodies(o Options) *Bodies { return &Bodies{opts: o} }

// Tracks tells the set of tracks. Of each kind those that can be carried are: the first one only, without
// Options.Multitrack.
func (b *Bodies) Tracks(tracks []*transmux.Track) {
	old := b.lanes
	b.lanes = nil
	var count [3]int
	for _, t := range tracks {
		if Carries(t, b.opts.Enhanced) != nil {
			continue
		}
		n := count[t.Kind()]
		if t.Kind() != transmux.KindData && n > 0 && (!b.opts.Multitrack || !numbered(t) || n > 255) {
			continue
		}
		count[t.Kind()]++
		l := &lane{num: byte(n)}
		for _, o := range old {
			if o.track.ID == t.ID && o.num == l.num {
				l = o
			}
		}
		l.follow(t)
		b.lanes = append(b.lanes, l)
	}
}

// numbered reports whether t can be other than the first of its kind.
func numbered(t *transmux.Track) bool {
	_, video := videoFourCC(t.Codec)
	_, audio := audioFourCC(t.Codec)
	return video || audio
}

func (l *lane) follow(t *transmux.Track) {
	if l.track != t {
		l.track, l.info = t, codec.Describe(t)
	}
}

// Carried returns the tracks that are carried.
func (b *Bodies) Carried() []*transmux.Track {
	var out []*transmux.Track
	for _, l := range b.lanes {
		out = append(out, l.track)
	}
	return out
}

func (b *Bodies) lane(id int) *lane {
	for _, l := range b.lanes {
		if l.track.ID == id {
			return l
		}
	}
	return nil
}

// Init returns what a receiver must be sent before it starts at a unit with the given DTS: onMetaData and the sequence
// headers of all tracks. onMetaData is at 0 always, since ffmpeg takes it for subtitles at any other time.
func (b *Bodies) Init(dts time.Duration) []Tag {
	ms := Milliseconds(dts)
	tags := []Tag{{Kind: Data, Head: b.metadata()}}
	for _, l := range b.lanes {
		if body := b.sequenceHeader(l); body != nil {
			tags = append(tags, Tag{Kind: kindOf(l.track), Timestamp: ms, Head: body, Config: true})
		}
	}
	return tags
}

// Unit hands the tags of one unit to emit: first a sequence header if the configuration is new, then the unit. There are
// none if the track is not carried, or lacks what a decoder needs, or if the unit is too long for a tag.
func (b *Bodies) Unit(au *transmux.AccessUnit, emit func(Tag)) {
	l := b.lane(au.Track.ID)
	if l == nil || !au.Track.Configured() {
		return
	}
	l.follow(au.Track)
	l.learn(au)
	ms := Milliseconds(au.DTS)
	if header, isNew := b.header(l); isNew && header != nil {
		emit(Tag{Kind: kindOf(l.track), Timestamp: ms, Head: header, Config: true})
	}
	head, ok := b.appendHead(make([]byte, 0, 12), l, au)
	if !ok || len(head)+len(au.Data) > MaxBody {
		return
	}
	emit(Tag{Kind: kindOf(l.track), Timestamp: ms, Head: head, Data: au.Data})
}

// StartsAt reports whether a receiver may start at au: a video key frame; or audio if there is no video, or none came for
// two seconds of the stream's time line; or data if there is nothing else. Call it once for each unit, in order.
func (b *Bodies) StartsAt(au *transmux.AccessUnit) bool {
	if !b.begun {
		b.begun, b.first = true, au.DTS
	}
	switch au.Track.Kind() {
	case transmux.KindVideo:
		b.videoKey = b.videoKey || au.Key
		return au.Key
	case transmux.KindData:
		if b.has(transmux.KindAudio) {
			return false
		}
	}
	return !b.has(transmux.KindVideo) || !b.videoKey && au.DTS-b.first >= patience
}

func (b *Bodies) has(k transmux.Kind) bool {
	return slices.ContainsFunc(b.lanes, func(l *lane) bool { return l.track.Kind() == k })
}

// header returns the lane's sequence header and whether it has not been sent in band yet.
func (b *Bodies) header(l *lane) (body []byte, isNew bool) {
	if l.codec == l.track.Codec && bytes.Equal(l.sent, l.track.Config) {
		return nil, false
	}
	l.sent, l.codec = l.track.Config, l.track.Codec
	return b.sequenceHeader(l), true
}

// learn takes from a unit what onMetaData wants and the configuration does not tell.
func (l *lane) learn(au *transmux.AccessUnit) {
	switch l.track.Kind() {
	case transmux.KindVideo:
		if au.Key && l.info.Width == 0 {
			l.info = codec.DescribeUnit(l.track, au.Data)
		}
	case transmux.KindAudio:
		if l.info.Rate == 0 || l.info.Channels == 0 {
			l.info = codec.DescribeUnit(l.track, au.Data)
		}
	}
}

func kindOf(t *transmux.Track) byte {
	switch t.Kind() {
	case transmux.KindVideo:
		return Video
	case transmux.KindAudio:
		return Audio
	}
	return Data
}

// enhanced reports whether the lane is signalled by fourCC: only where there is no classic way.
func (l *lane) enhanced() bool {
	if l.num > 0 {
		return true
	}
	if l.track.Kind() == transmux.KindVideo {
		_, ok := classicVideo(l.track.Codec)
		return !ok
	}
	_, ok := classicAudio(l.track)
	return !ok
}

// appendHead appends the first bytes of a unit's body.
func (b *Bodies) appendHead(head []byte, l *lane, au *transmux.AccessUnit) (out []byte, ok bool) {
	switch l.track.Kind() {
	case transmux.KindData:
		return head, true
	case transmux.KindAudio:
		if l.enhanced() {
			return l.appendEnhanced(head, 0, packetFrames), true
		}
		first, ok := classicAudio(l.track)
		if l.track.Codec == transmux.AAC {
			return append(head, first, packetFrames), ok
		}
		return append(head, first), ok
	}
	frame := byte(frameInter)
	if au.Key {
		frame = frameKey
	}
	composition := int(min(max(toMS(au.PTS)-toMS(au.DTS), -1<<23), 1<<23-1))
	if !l.enhanced() {
		id, ok := classicVideo(l.track.Codec)
		head = append(head, frame<<4|id)
		if l.track.Codec == transmux.H264 {
			head = append(head, packetFrames, byte(composition>>16), byte(composition>>8), byte(composition))
		}
		return head, ok
	}
	composed := l.track.Codec == transmux.H264 || l.track.Codec == transmux.H265
	if composed && composition == 0 {
		return l.appendEnhanced(head, frame, packetFramesX), true
	}
	head = l.appendEnhanced(head, frame, packetFrames)
	if composed {
		head = append(head, byte(composition>>16), byte(composition>>8), byte(composition))
	}
	return head, true
}

// appendEnhanced appends the header of an Enhanced RTMP packet; frame is used for video only.
func (l *lane) appendEnhanced(head []byte, frame, packet byte) []byte {
	first, multi := 0x80|frame<<4, byte(packetVideoTracks)
	f, ok := videoFourCC(l.track.Codec)
	if !ok {
		first, multi = enhancedSoundClass<<4, packetAudioTracks
		f, _ = audioFourCC(l.track.Codec)
	}
	if l.num == 0 {
		return append(append(head, first|packet), f[:]...)
	}
	head = append(head, first|multi, tracksOne<<4|packet)
	return append(append(head, f[:]...), l.num)
}

// sequenceHeader returns the body of the lane's sequence header; nil if its codec has none or it is not known.
func (b *Bodies) sequenceHeader(l *lane) []byte {
	config := l.track.Config
	switch l.track.Codec {
	case transmux.H264, transmux.H265, transmux.AAC, transmux.AV1, transmux.FLAC:
	case transmux.Opus:
		if config == nil {
			config = codec.OpusHead(max(l.track.Channels, 1))
		}
	case transmux.VP8, transmux.VP9:
		if config == nil {
			// version 1, profile 0, level not told, 8 bits 4:2:0, colours not told
			config = []byte{1, 0, 0, 0, 0, 0, 0x82, 2, 2, 2, 0, 0}
		}
	default:
		return nil
	}
	if len(config) == 0 {
		return nil
	}
	var head []byte
	switch {
	case l.enhanced():
		head = l.appendEnhanced(nil, frameKey, packetStart)
		if l.track.Kind() == transmux.KindAudio {
			head = l.appendEnhanced(nil, 0, packetStart)
		}
	case l.track.Codec == transmux.AAC:
		head = []byte{0xaf, packetStart}
	default:
		head = []byte{frameKey<<4 | idAVC, packetStart, 0, 0, 0}
	}
	return append(head, config...)
}
