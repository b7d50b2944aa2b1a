package mpegts

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"weir/transmux"
)

// muxTrack is a track that is carried.
type muxTrack struct {
	id         int
	kind       transmux.Kind
	codec      transmux.Codec
	pid        uint16
	streamType uint8
	streamID   uint8
	desc       []byte
	sections   bool

	config []byte // of which adts was made
	adts   [4]byte
	latm   bool
}

const (
	firstPID = 0x100
	lastPID  = 0x1ff0
)

// assign makes the carried tracks, with the PIDs they had before.
func (m *Muxer) assign(tracks []*transmux.Track) {
	m.tracks = m.tracks[:0]
	for _, t := range tracks {
		if Carries(t) != nil {
			continue
		}
		e := newMuxTrack(t)
		e.pid = m.assignPID(t)
		m.tracks = append(m.tracks, e)
	}
	slices.SortStableFunc(m.tracks, func(a, b *muxTrack) int { return rank(a.kind) - rank(b.kind) })
	m.pcrPID = noPID
	for _, t := range m.tracks {
		if !t.sections || m.pcrPID == noPID {
			m.pcrPID = t.pid
			if !t.sections {
				break
			}
		}
	}
}

// rank is the order in the PMT: video, audio, data.
func rank(k transmux.Kind) int {
	switch k {
	case transmux.KindVideo:
		return 0
	case transmux.KindAudio:
		return 1
	}
	return 2
}

func (m *Muxer) assignPID(t *transmux.Track) uint16 {
	if pid, ok := m.pids[t.ID]; ok {
		return pid
	}
	used := func(pid uint16) bool {
		if pid == m.psi.pmtPID {
			return true
		}
		for _, p := range m.pids {
			if p == pid {
				return true
			}
		}
		return false
	}
	pid := t.PID
	if pid < 0x20 || pid > lastPID || used(pid) {
		for pid = firstPID; used(pid) && pid < lastPID; pid++ {
		}
	}
	m.pids[t.ID] = pid
	return pid
}

// track finds what carries t. A track whose codec or form changed without a call of Tracks is taken over here.
func (m *Muxer) track(t *transmux.Track) *muxTrack {
	for _, e := range m.tracks {
		if e.id != t.ID {
			continue
		}
		if e.codec == t.Codec && (e.codec != transmux.AAC || bytes.Equal(e.config, t.Config) || len(t.Config) == 0) {
			return e
		}
		if Carries(t) != nil {
			return nil
		}
		next := newMuxTrack(t)
		next.pid = e.pid
		if next.streamType != e.streamType || !bytes.Equal(next.desc, e.desc) {
			*e = *next
			m.psi.setPMT(m)
			m.hasPSI = false
			return e
		}
		*e = *next
		return e
	}
	return nil
}

// Carries says why a track cannot be carried in a transport stream; nil if it can.
func Carries(t *transmux.Track) error {
	switch t.Codec {
	case transmux.H264, transmux.H265, transmux.AV1, transmux.MPEG2Video, transmux.MPEG4Video,
		transmux.AAC, transmux.MP3, transmux.MP2, transmux.AC3, transmux.EAC3,
		transmux.KLV, transmux.ID3, transmux.SCTE35:
		return nil
	case transmux.Opus:
		if t.Channels > 8 {
			return errors.New("opus with more than 8 channels has no form in MPEG-TS")
		}
		return nil
	case transmux.Teletext, transmux.DVBSubtitles, transmux.PrivateData:
		if t.StreamType == 0 {
			return fmt.Errorf("%s is carried in MPEG-TS only if it came in MPEG-TS, with its descriptors", t.Codec)
		}
		return nil
	}
	return fmt.Errorf("%s has no form in MPEG-TS", t.Codec)
}

func newMuxTrack(t *transmux.Track) *muxTrack {
	e := &muxTrack{id: t.ID, kind: t.Kind(), codec: t.Codec, streamID: 0xbd}
	switch e.kind {
	case transmux.KindVideo:
		e.streamID = 0xe0
	case transmux.KindAudio:
		e.streamID = 0xc0
	}
	switch t.Codec {
	case transmux.H264:
		e.like(t, typeH264)
	case transmux.H265:
		if !e.like(t, typeH265) {
			e.desc = registration(registeredHEVC)
		}
	case transmux.AV1:
		e.streamType, e.streamID = typePrivate, 0xbd
		e.desc = registration(registeredAV1)
		if len(t.Config) >= 4 {
			e.desc = append(append(e.desc, descAV1, 4), t.Config[:4]...)
		}
	case transmux.MPEG2Video:
		e.like(t, typeMPEG2Video, typeMPEG1Video)
	case transmux.MPEG4Video:
		e.like(t, typeMPEG4Video)
	case transmux.AAC:
		e.setAAC(t)
	case transmux.MP3, transmux.MP2:
		if !e.like(t, typeMPEG1Audio, typeMPEG2Audio) && t.Rate > 0 && t.Rate < 32000 {
			e.streamType = typeMPEG2Audio
		}
	case transmux.AC3:
		e.streamID = 0xbd
		if !e.like(t, typeAC3, typePrivate) {
			e.desc = registration(registeredAC3)
		}
	case transmux.EAC3:
		e.streamID = 0xbd
		if !e.like(t, typeEAC3, typePrivate) {
			e.desc = registration(registeredEAC3)
		}
	case transmux.Opus:
		e.streamID = 0xbd
		if !e.like(t, typePrivate) {
			channels := t.Channels
			if channels == 0 {
				channels = 2
			}
			e.desc = append(registration(registeredOpus), descExtension, 2, 0x80, byte(channels))
		}
	case transmux.KLV:
		if !e.like(t, typePrivate, typeMetadata) {
			e.desc = registration(registeredKLV)
		} else if t.StreamType == typeMetadata {
			e.streamID = 0xfc
		}
	case transmux.ID3:
		if !e.like(t, typeMetadata, typePrivate) {
			e.desc = append([]byte{descMetadata, 13, 0xff, 0xff}, registeredID3...)
			e.desc = append(append(append(e.desc, metadataFormatX), registeredID3...), 0, 0x0f)
		}
	case transmux.SCTE35:
		e.like(t, typeSCTE35)
		e.sections = true
	default:
		e.like(t, t.StreamType)
		e.sections = t.StreamType == typeSections
	}
	if t.Lang != "" && language(e.desc) == "" && len(t.Lang) == 3 {
		e.desc = append(slices.Clip(e.desc), descLanguage, 4, t.Lang[0], t.Lang[1], t.Lang[2], 0)
	}
	return e
}

// like takes stream type and descriptors of the origin if it has one of the types, else the first. Descriptors of
// conditional access are left out: nothing is scrambled here.
func (e *muxTrack) like(t *transmux.Track, types ...uint8) bool {
	e.streamType = types[0]
	if t.StreamType == 0 || !slices.Contains(types, t.StreamType) {
		return false
	}
	e.streamType = t.StreamType
	for tag, c := range descriptors(t.Descriptors) {
		if tag != descCA {
			e.desc = append(append(e.desc, tag, byte(len(c))), c...)
		}
	}
	return true
}

func registration(id string) []byte { return append([]byte{descRegistration, 4}, id...) }
