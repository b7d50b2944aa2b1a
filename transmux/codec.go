package transmux

// Codec names a coding of video, audio or data, by the name that rules, logs and probes use.
type Codec string

// Video codecs. The last five are the old FLV codecs: they are carried opaque between containers of the FLV family.
const (
	H264       Codec = "h264"
	H265       Codec = "h265"
	AV1        Codec = "av1"
	VP8        Codec = "vp8"
	VP9        Codec = "vp9"
	MPEG2Video Codec = "mpeg2video" // also MPEG-1 video
	MPEG4Video Codec = "mpeg4video" // MPEG-4 part 2
	MJPEG      Codec = "mjpeg"

	SorensonH263 Codec = "h263"
	Screen       Codec = "screen"
	Screen2      Codec = "screen2"
	VP6          Codec = "vp6"
	VP6A         Codec = "vp6a"
)

// Audio codecs. The last four are the old FLV codecs, opaque.
const (
	AAC  Codec = "aac"
	MP3  Codec = "mp3" // MPEG-1/2/2.5 layer III
	MP2  Codec = "mp2" // MPEG-1/2 layer I or II
	AC3  Codec = "ac3"
	EAC3 Codec = "eac3"
	Opus Codec = "opus"
	FLAC Codec = "flac"
	PCMA Codec = "pcma" // G.711 A-law
	PCMU Codec = "pcmu" // G.711 mu-law
	L16  Codec = "l16"  // linear PCM, 16 bits, big endian
	G722 Codec = "g722"
	G726 Codec = "g726"

	Speex      Codec = "speex"
	Nellymoser Codec = "nellymoser"
	ADPCM      Codec = "adpcm" // the SWF kind
	PCMFLV     Codec = "pcm"   // FLV sound formats 0 and 3, linear
)

// Data codecs: carried between targets of the same family only.
const (
	AMF          Codec = "amf" // RTMP data messages and FLV script tags: AMF0 values, name first
	Teletext     Codec = "teletext"
	DVBSubtitles Codec = "dvbsub"
	SCTE35       Codec = "scte35"
	KLV          Codec = "klv"
	ID3          Codec = "id3"
	PrivateData  Codec = "private" // anything else that a PMT lists
)

// Kind is what a codec codes.
type Kind uint8

const (
	KindData Kind = iota
	KindVideo
	KindAudio
)

// String returns "video", "audio" or "data".
func (k Kind) String() string {
	switch k {
	case KindVideo:
		return "video"
	case KindAudio:
		return "audio"
	}
	return "data"
}

// Kind returns what c codes; KindData for an unknown codec.
func (c Codec) Kind() Kind {
	switch c {
	case H264, H265, AV1, VP8, VP9, MPEG2Video, MPEG4Video, MJPEG, SorensonH263, Screen, Screen2, VP6, VP6A:
		return KindVideo
	case AAC, MP3, MP2, AC3, EAC3, Opus, FLAC, PCMA, PCMU, L16, G722, G726, Speex, Nellymoser, ADPCM, PCMFLV:
		return KindAudio
	}
	return KindData
}

// NeedsConfig reports whether a decoder of c cannot start without Track.Config.
func (c Codec) NeedsConfig() bool {
	switch c {
	case H264, H265, AAC:
		return true
	}
	return false
}
