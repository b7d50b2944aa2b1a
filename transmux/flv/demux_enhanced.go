package flv

import (
	"encoding/binary"
	"time"

	"weir/transmux"
)

// enhancedVideo takes a body with an ExVideoTagHeader (Enhanced RTMP v2).
func (d *Demuxer) enhancedVideo(b []byte) error {
	frame := b[0] >> 4 & 7
	packet, b, ok := d.modEx(b[0]&15, b[1:])
	if !ok || frame == frameCommand || packet == packetMetadata {
		return d.ignore()
	}
	key := frame == frameKey
	return d.each(packetVideoTracks, packet, b, func(packet byte, f fourCC, id byte, b []byte) error {
		c, s := videoOf(f), d.slot(VideoID+int(id))
		if c == "" || s == nil {
			return d.ignore()
		}
		var composition time.Duration
		if packet == packetFrames && (c == transmux.H264 || c == transmux.H265) {
			if len(b) < 3 {
				return d.ignore()
			}
			composition, b = signed24(b), b[3:]
		}
		if packet == packetFramesX {
			packet = packetFrames
		}
		return d.picture(s, c, packet, key, composition, b)
	})
}

// enhancedAudio takes a body with an ExAudioTagHeader (Enhanced RTMP v2).
func (d *Demuxer) enhancedAudio(b []byte) error {
	packet, b, ok := d.modEx(b[0]&15, b[1:])
	if !ok {
		return d.ignore()
	}
	return d.each(packetAudioTracks, packet, b, func(packet byte, f fourCC, id byte, b []byte) error {
		c, s := audioOf(f), d.slot(AudioID+int(id))
		if c == "" || s == nil {
			return d.ignore()
		}
		return d.sound(s, c, packet, b)
	})
}

// modEx reads the modifiers before a packet and returns the type and rest of the packet they belong to.
func (d *Demuxer) modEx(packet byte, b []byte) (byte, []byte, bool) {
	for packet == packetModEx {
		if len(b) < 1 {
			return 0, nil, false
		}
		size := int(b[0]) + 1
		b = b[1:]
		if size == 256 {
			if len(b) < 2 {
				return 0, nil, false
			}
			size = int(binary.BigEndian.Uint16(b)) + 1
			b = b[2:]
		}
		if len(b) < size+1 {
			return 0, nil, false
		}
		if b[size]>>4 == modExNano && size >= 3 {
			if n := get24(b); n <= 999999 {
				d.nano = time.Duration(n)
			}
		}
		packet, b = b[size]&15, b[size+1:]
	}
	return packet, b, true
}

// each calls take for the packet, or for each track in it if it is of the type multi.
func (d *Demuxer) each(multi, packet byte, b []byte, take func(packet byte, f fourCC, id byte, b []byte) error) error {
	if packet != multi {
		if len(b) < 4 {
			return d.ignore()
		}
		return take(packet, fourCC(b), 0, b[4:])
	}
	if len(b) < 1 {
		return d.ignore()
	}
	how := b[0] >> 4
	packet, b = b[0]&15, b[1:]
	if how > tracksManyCodecs || packet == multi || packet == packetModEx {
		return d.ignore()
	}
	var f fourCC
	if how != tracksManyCodecs {
		if len(b) < 4 {
			return d.ignore()
		}
		f, b = fourCC(b), b[4:]
	}
	for len(b) > 0 {
		if how == tracksManyCodecs {
			if len(b) < 4 {
				return d.ignore()
			}
			f, b = fourCC(b), b[4:]
		}
		if len(b) < 1 {
			return d.ignore()
		}
		id := b[0]
		b = b[1:]
		size := len(b)
		if how != tracksOne {
			if len(b) < 3 || get24(b) > len(b)-3 {
				return d.ignore()
			}
			size, b = get24(b), b[3:]
		}
		if err := take(packet, f, id, b[:size:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}
