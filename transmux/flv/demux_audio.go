package flv

import (
	"weir/transmux"
	"weir/transmux/codec"
)

func (d *Demuxer) audio(b []byte) error {
	format := b[0] >> 4
	if format == enhancedSoundClass {
		return d.enhancedAudio(b)
	}
	s := d.slot(AudioID)
	if s == nil || len(b) < 2 {
		return d.ignore()
	}
	channels := 1 + int(b[0]&1)
	t := transmux.Track{Rate: 11025 << (b[0] >> 2 & 3) / 2, Channels: channels}
	opaque := func(c transmux.Codec) { t.Codec, t.Config = c, []byte{b[0]} }
	switch format {
	case 0, 3:
		opaque(transmux.PCMFLV)
	case 1:
		opaque(transmux.ADPCM)
	case 4, 5, 6:
		opaque(transmux.Nellymoser)
		if format < 6 {
			t.Rate, t.Channels = 8000*int(6-format), 1 // 4: 16 kHz, 5: 8 kHz, both mono
		}
	case 11:
		opaque(transmux.Speex)
		t.Rate, t.Channels = 16000, 1
	case 2, 14:
		return d.sound(s, transmux.MP3, packetFrames, b[1:])
	case 7:
		t.Codec, t.Rate = transmux.PCMA, 8000
	case 8:
		t.Codec, t.Rate = transmux.PCMU, 8000
	case 10:
		return d.sound(s, transmux.AAC, b[1], b[2:])
	case 13:
		return d.earlyOpus(s, b[1:])
	default:
		return d.ignore()
	}
	d.use(s, t)
	return d.write(s, b[1:], true, 0)
}

// earlyOpus takes Opus under sound format 13. Some senders put a packet type before the packet as AAC has it, some do
// not. Packets that begin with 0 or 1 would be 10 ms of narrow band mono speech, which nobody sends.
func (d *Demuxer) earlyOpus(s *slot, b []byte) error {
	if b[0] <= packetFrames {
		return d.sound(s, transmux.Opus, b[0], b[1:])
	}
	return d.sound(s, transmux.Opus, packetFrames, b)
}

// sound takes what an audio packet of any signalling holds.
func (d *Demuxer) sound(s *slot, c transmux.Codec, packet byte, b []byte) error {
	switch packet {
	case packetStart:
		return d.audioConfig(s, c, b)
	case packetFrames:
	default:
		return d.ignore()
	}
	if len(b) == 0 {
		return d.ignore()
	}
	switch c {
	case transmux.AAC:
		b = d.rawAAC(s, b)
	case transmux.MP3, transmux.AC3, transmux.EAC3:
		i := codec.DescribeUnit(&transmux.Track{Codec: c}, b)
		if i.Rate > 0 || s.track == nil || s.track.Codec != c {
			d.use(s, transmux.Track{Codec: c, Rate: i.Rate, Channels: i.Channels})
		}
	case transmux.Opus:
		if s.track == nil || s.track.Codec != c {
			channels := 1 + int(b[0]>>2&1)
			d.use(s, transmux.Track{Codec: c, Rate: 48000, Channels: channels, Config: codec.OpusHead(channels)})
		}
	default:
		if s.track == nil || s.track.Codec != c {
			d.use(s, transmux.Track{Codec: c})
		}
	}
	return d.write(s, b, true, 0)
}

// audioConfig takes a sequence header.
func (d *Demuxer) audioConfig(s *slot, c transmux.Codec, config []byte) error {
	switch c {
	case transmux.FLAC:
		config = flacConfig(config)
	case transmux.Opus:
		if len(config) < 19 || string(config[:8]) != "OpusHead" {
			return d.ignore()
		}
	case transmux.AAC:
		if len(config) < 2 {
			return d.ignore()
		}
	default:
		return d.ignore() // the others have none
	}
	if len(config) == 0 {
		return d.ignore()
	}
	i := codec.Describe(&transmux.Track{Codec: c, Config: config})
	if i.Rate == 0 {
		return d.ignore()
	}
	d.use(s, transmux.Track{Codec: c, Config: config, Rate: i.Rate, Channels: i.Channels})
	return nil
}

// rawAAC removes an ADTS header that some encoders leave before the frame, and takes the configuration from it if none
// came. A raw frame never begins with those bits: they would be its end.
func (d *Demuxer) rawAAC(s *slot, b []byte) []byte {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return b
	}
	size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5)
	head := 7
	if b[1]&1 == 0 {
		head = 9
	}
	if size != len(b) || head >= size {
		return b
	}
	if s.track == nil || s.track.Codec != transmux.AAC {
		rates := [16]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
		config := codec.AAC(1+int(b[2]>>6), rates[b[2]>>2&15], int(b[2]&1)<<2|int(b[3]>>6))
		if config != nil {
			_ = d.audioConfig(s, transmux.AAC, config)
		}
	}
	return b[head:]
}

// flacConfig returns "fLaC" and a STREAMINFO block, whatever part of that the sender left out; nil if there is none.
func flacConfig(b []byte) []byte {
	const info = 34
	if len(b) >= 4 && string(b[:4]) == "fLaC" {
		b = b[4:]
	}
	if len(b) >= 4+info && b[0]&0x7f == 0 && get24(b[1:]) == info {
		b = b[4:]
	}
	if len(b) < info {
		return nil
	}
	return append([]byte("fLaC\x80\x00\x00\x22"), b[:info]...)
}
