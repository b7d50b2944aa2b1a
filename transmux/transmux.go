// Package transmux is the flow of access units from one origin to many readers.
//
// A [Stream] has one [Writer] at a time and any number of readers. Tracks and access units are immutable once written,
// so readers share them without copies and without locks. Nothing here does I/O, starts a goroutine or asks a clock.
package transmux

import (
	"bytes"
	"encoding/binary"
	"iter"
	"time"
)

// A Track describes one elementary stream. It is immutable: when parameter sets change, later access units point to
// another Track with the same ID.
type Track struct {
	ID    int   // unique in its stream; chosen by the demuxer; 0 to 65535
	Codec Codec // what the access units hold

	// Config is the codec's configuration record in the form FLV and MP4 carry: AVCDecoderConfigurationRecord (h264),
	// HEVCDecoderConfigurationRecord (h265), AV1CodecConfigurationRecord (av1), AudioSpecificConfig (aac), OpusHead
	// (opus), "fLaC" and STREAMINFO (flac), VOL header (mpeg4video), for opaque FLV audio the FLV audio tag's first
	// byte. Nil if the codec has none, or as long as it has not been seen (see [Codec.NeedsConfig]).
	Config []byte

	Lang     string // ISO 639-2, or empty
	Rate     int    // audio: sample rate in Hz; video: clock rate of the origin, a hint; 0 if unknown
	Channels int    // audio channels; 0 if unknown or told by Config

	// StreamType and Descriptors are the PMT entry of an origin in MPEG-TS, so that a target of the same family
	// carries private data on. PID is its PID there, else 0.
	StreamType  uint8
	PID         uint16
	Descriptors []byte
}

// Kind is the kind of the track's codec.
func (t *Track) Kind() Kind { return t.Codec.Kind() }

// Configured reports whether everything a decoder needs to start is known.
func (t *Track) Configured() bool { return len(t.Config) > 0 || !t.Codec.NeedsConfig() }

// equal reports whether nobody could tell t from o.
func (t *Track) equal(o *Track) bool {
	return t == o || t.ID == o.ID && t.Codec == o.Codec && bytes.Equal(t.Config, o.Config) &&
		t.Lang == o.Lang && t.Rate == o.Rate && t.Channels == o.Channels &&
		t.StreamType == o.StreamType && t.PID == o.PID && bytes.Equal(t.Descriptors, o.Descriptors)
}

// An AccessUnit is one coded picture, one audio frame or one data unit. It is shared by all readers and immutable once
// written.
//
// Data by codec: h264 and h265: NAL units, each after a 4-byte big endian length, without access unit delimiters;
// parameter sets that came in band stay where they were. av1: the OBUs of one temporal unit, each with its size field,
// without temporal delimiters. vp8, vp9, mjpeg, mpeg2video, mpeg4video: the frame's bytes as in an elementary stream.
// aac: one raw frame without ADTS or LATM. mp2, mp3, ac3, eac3: one frame with its header. opus, flac: one packet or
// frame. pcma, pcmu, l16: whole samples, channels interleaved. Opaque FLV codecs: the tag's body after its first byte.
// amf: AMF0 values, the name first. Private data: one PES payload or one section.
type AccessUnit struct {
	Track *Track

	DTS, PTS time.Duration // on the stream's time line; DTS never decreases within a track; PTS >= DTS
	Key      bool          // video: decoding may start here; audio and data: always true
	Gap      bool          // units were lost or the time line was repaired before this one
	Arrived  time.Time     // when its last byte came in (monotonic), for latency; zero if unknown
	NTP      time.Time     // capture time where the origin tells it (RTCP SR), else zero
	Data     []byte
}

// NALUs yields views of the NAL units of an h264 or h265 access unit, without copying. It stops early at a length that
// does not fit, so that no view leaves Data.
func (au *AccessUnit) NALUs() iter.Seq[[]byte] { return NALUs(au.Data) }

// NALUs yields views of NAL units that stand after 4-byte big endian lengths in b. It leaves out empty ones and stops at
// a length that does not fit.
func NALUs(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 4 {
			n := uint64(binary.BigEndian.Uint32(b))
			if n > uint64(len(b)-4) {
				return
			}
			if n > 0 && !yield(b[4:4+n:4+n]) {
				return
			}
			b = b[4+n:]
		}
	}
}

// An Out takes what a demuxer finds. [Writer] implements it.
type Out interface {
	// SetTracks declares the complete set of tracks, as far as it is known; it may be called again when the set changes.
	SetTracks([]*Track)
	// Write takes one access unit with the origin's own, unwrapped times. A unit whose Track is new or changed updates
	// the set. An error means that nobody wants more of this origin.
	Write(AccessUnit) error
}

// A Muxer writes access units in one container format. It is used by one goroutine at a time.
type Muxer interface {
	// Tracks tells the set of tracks; it is called before the first unit and whenever the set or a track changes.
	Tracks([]*Track)
	// Mux hands the chunks of one unit to emit, none if the format cannot carry the unit's track.
	Mux(au *AccessUnit, emit func(*Chunk))
}

// A Chunk is a piece of a container format that is sent whole. It is shared by all receivers and immutable.
type Chunk struct {
	// Init is what a receiver that starts or resumes at this chunk must be sent before it (sequence headers, metadata,
	// PSI); only set where Key is.
	Init [][]byte
	Bufs [][]byte // the bytes; may share memory with access units
	Size int      // sum of the lengths in Bufs
	Key  bool     // a receiver may start here
	Kind Kind     // what is inside, so that a receiver may leave out video or audio

	DTS     time.Duration
	Arrived time.Time // of the access unit
}
