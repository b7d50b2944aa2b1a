package mpegts

import (
	"weir/transmux"
	"weir/transmux/codec"
)

// Stream types (ISO 13818-1 table 2-34, ATSC A/53, SCTE 35).
const (
	typeMPEG1Video  = 0x01
	typeMPEG2Video  = 0x02
	typeMPEG1Audio  = 0x03
	typeMPEG2Audio  = 0x04
	typeSections    = 0x05
	typePrivate     = 0x06
	typeADTS        = 0x0f
	typeMPEG4Video  = 0x10
	typeLATM        = 0x11
	typeMetadata    = 0x15
	typeH264        = 0x1b
	typeH265        = 0x24
	typeAC3         = 0x81
	typeEAC3Bluray  = 0x84
	typeSCTE35      = 0x86
	typeEAC3        = 0x87
	registeredHDMV  = "HDMV"
	registeredAC3   = "AC-3"
	registeredEAC3  = "EAC3"
	registeredOpus  = "Opus"
	registeredAV1   = "AV01"
	registeredKLV   = "KLVA"
	registeredID3   = "ID3 "
	registeredHEVC  = "HEVC"
	registeredSCTE  = "CUEI"
	metadataFormatX = 0xff // a metadata_descriptor with an identifier of 4 bytes
)

// track returns the track that a PMT entry announces.
func (e *pmtEntry) track() *transmux.Track {
	t := &transmux.Track{
		ID: int(e.pid), PID: e.pid, StreamType: e.streamType, Descriptors: e.descriptors,
		Codec: e.codec(), Lang: language(e.descriptors),
	}
	if t.Codec == transmux.Opus {
		t.Rate, t.Channels = 48000, opusChannels(e.descriptors)
		t.Config = codec.OpusHead(t.Channels)
	}
	return t
}

// codec decides by the stream type and then by the descriptors.
func (e *pmtEntry) codec() transmux.Codec {
	reg := registered(e.descriptors)
	switch e.streamType {
	case typeMPEG1Video, typeMPEG2Video:
		return transmux.MPEG2Video
	case typeMPEG1Audio, typeMPEG2Audio:
		return transmux.MP3 // until the first frame tells the layer
	case typeADTS, typeLATM:
		return transmux.AAC
	case typeMPEG4Video:
		return transmux.MPEG4Video
	case typeH264:
		return transmux.H264
	case typeH265:
		return transmux.H265
	case typeAC3:
		return transmux.AC3
	case typeEAC3:
		return transmux.EAC3
	case typeEAC3Bluray:
		if reg == registeredHDMV {
			return transmux.EAC3
		}
	case typeSCTE35:
		if reg != registeredHDMV {
			return transmux.SCTE35
		}
	case typeMetadata:
		return metadataCodec(e.descriptors, reg)
	case typePrivate:
		return privateCodec(e.descriptors, reg)
	}
	return transmux.PrivateData
}

func metadataCodec(desc []byte, reg string) transmux.Codec {
	if c, ok := descriptor(desc, descMetadata); ok && len(c) >= 2 {
		skip := 2
		if c[0] == 0xff && c[1] == 0xff {
			skip = 6
		}
		if len(c) >= skip+5 && c[skip] == metadataFormatX {
			reg = string(c[skip+1 : skip+5])
		}
	}
	switch reg {
	case registeredID3:
		return transmux.ID3
	case registeredKLV:
		return transmux.KLV
	}
	return transmux.PrivateData
}

func privateCodec(desc []byte, reg string) transmux.Codec {
	switch reg {
	case registeredAC3:
		return transmux.AC3
	case registeredEAC3:
		return transmux.EAC3
	case registeredOpus:
		return transmux.Opus
	case registeredAV1:
		return transmux.AV1
	case registeredKLV:
		return transmux.KLV
	case registeredID3:
		return transmux.ID3
	case registeredHEVC:
		return transmux.H265
	}
	for tag := range descriptors(desc) {
		switch tag {
		case descAC3:
			return transmux.AC3
		case descEAC3:
			return transmux.EAC3
		case descTeletext, descVBITeletext:
			return transmux.Teletext
		case descSubtitling:
			return transmux.DVBSubtitles
		}
	}
	return transmux.PrivateData
}

// carriesSections reports whether the stream is sections and not PES packets.
func (e *pmtEntry) carriesSections() bool {
	return e.streamType == typeSections || e.codec() == transmux.SCTE35
}

// opusChannels reads channel_config_code of the Opus extension descriptor; 2 if there is none.
func opusChannels(desc []byte) int {
	for tag, c := range descriptors(desc) {
		if tag == descExtension && len(c) >= 2 && c[0] == 0x80 && c[1] >= 1 && c[1] <= 8 {
			return int(c[1])
		}
	}
	return 2
}
