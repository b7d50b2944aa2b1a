package rtp

import (
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpac3"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpav1"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpklv"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtplpcm"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmjpeg"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmpeg1audio"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmpeg1video"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpsimpleaudio"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpvp8"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpvp9"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/transmux/codec"
)

// A unit is what a depacketizer hands out: the NAL units of a picture, or one or more frames that follow each other.
type unit struct {
	parts [][]byte
	time  uint32 // RTP time of the first part
}

// A depacketizer collects the packets of one track, which come in order of their sequence numbers; lost tells that
// packets are missing before p. It hands out whole units only: what a loss has damaged is dropped.
type depacketizer interface {
	push(p *rtp.Packet, lost bool, emit func(unit)) error
}

// errIncomplete is no error: more packets are needed.
var errIncomplete = errors.New("more packets are needed")

// framed adapts a decoder that hands out what one marker or packet completes.
type framed struct {
	decode  func(*rtp.Packet) ([][]byte, error)
	more    error // what decode returns when it needs more packets
	reset   func() error
	started bool
}

func (d *framed) push(p *rtp.Packet, lost bool, emit func(unit)) error {
	if lost && d.started {
		if err := d.reset(); err != nil {
			return err
		}
	}
	d.started = true
	parts, err := d.decode(p)
	if err != nil {
		if errors.Is(err, d.more) {
			return nil
		}
		return err
	}
	emit(unit{parts, p.Timestamp})
	return nil
}

// one makes a decoder of single frames a decoder of lists.
func one(decode func(*rtp.Packet) ([]byte, error)) func(*rtp.Packet) ([][]byte, error) {
	return func(p *rtp.Packet) ([][]byte, error) {
		b, err := decode(p)
		if err != nil {
			return nil, err
		}
		return [][]byte{b}, nil
	}
}

// newDepacketizer returns the depacketizer of a format whose track trackOf accepted.
func newDepacketizer(f format.Format, t *transmux.Track) (depacketizer, error) {
	switch f := f.(type) {
	case *format.H264:
		dec, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return &pictures{codec: transmux.H264, decode: dec.Decode}, nil
	case *format.H265:
		dec, err := f.CreateDecoder()
		if err != nil {
			return nil, err
		}
		return &pictures{codec: transmux.H265, decode: dec.Decode}, nil
	case *format.Generic:
		return &fragments{header: eac3Header}, nil
	}
	d := &framed{}
	d.reset = func() error { return d.renew(f) }
	return d, d.renew(f)
}

// renew begins with a decoder that remembers nothing, as is right after a loss.
func (d *framed) renew(f format.Format) error {
	var err error
	switch f := f.(type) {
	case *format.AV1:
		var dec *rtpav1.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = dec.Decode, rtpav1.ErrMorePacketsNeeded
		}
	case *format.VP8:
		var dec *rtpvp8.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = one(dec.Decode), rtpvp8.ErrMorePacketsNeeded
		}
	case *format.VP9:
		var dec *rtpvp9.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = one(dec.Decode), rtpvp9.ErrMorePacketsNeeded
		}
	case *format.MPEG1Video:
		var dec *rtpmpeg1video.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = one(dec.Decode), rtpmpeg1video.ErrMorePacketsNeeded
		}
	case *format.MPEG4Video:
		var dec *rtpfragmented.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = one(dec.Decode), rtpfragmented.ErrMorePacketsNeeded
		}
	case *format.MJPEG:
		var dec *rtpmjpeg.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = one(dec.Decode), rtpmjpeg.ErrMorePacketsNeeded
		}
	default:
		return d.renewAudio(f)
	}
	return err
}

func (d *framed) renewAudio(f format.Format) error {
	var err error
	d.more = errIncomplete
	switch f := f.(type) {
	case *format.MPEG4Audio:
		var dec *rtpmpeg4audio.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = dec.Decode, rtpmpeg4audio.ErrMorePacketsNeeded
		}
	case *format.MPEG4AudioLATM:
		var dec *rtpfragmented.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			l := &latm{config: f.StreamMuxConfig, inBand: f.CPresent, next: dec.Decode}
			d.decode, d.more = l.decode, rtpfragmented.ErrMorePacketsNeeded
		}
	case *format.MPEG1Audio:
		var dec *rtpmpeg1audio.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = dec.Decode, rtpmpeg1audio.ErrMorePacketsNeeded
		}
	case *format.AC3:
		var dec *rtpac3.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = dec.Decode, rtpac3.ErrMorePacketsNeeded
		}
	case *format.KLV:
		var dec *rtpklv.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode, d.more = one(dec.Decode), rtpklv.ErrMorePacketsNeeded
		}
	case *format.Opus:
		var dec *rtpsimpleaudio.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode = one(dec.Decode)
		}
	case *format.G722:
		var dec *rtpsimpleaudio.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode = one(dec.Decode)
		}
	case *format.G711:
		var dec *rtplpcm.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode = one(dec.Decode)
		}
	case *format.LPCM:
		var dec *rtplpcm.Decoder
		if dec, err = f.CreateDecoder(); err == nil {
			d.decode = one(dec.Decode)
		}
	default:
		return fmt.Errorf("payload format %q is not supported", f.RTPMap())
	}
	return err
}

// Bounds of one picture.
const (
	maxPicture = 16 << 20
	maxNALUs   = 4096
)

// pictures collects the NAL units of H.264 and H.265 pictures. A picture ends at a marker, or where the time changes for
// origins that set no marker. Parameter sets that came with a marker of their own go with the picture after them.
type pictures struct {
	codec  transmux.Codec
	decode func(*rtp.Packet) ([][]byte, error) // hands out NAL units at every marker

	nalus   [][]byte
	size    int
	time    uint32
	picture bool // a slice is among them
	damaged bool // a packet of this time was lost
	suspect bool // a packet before this picture was lost, maybe of this one
	done    bool // the last packet had the marker
	bad     bool // the packets of badTime are dropped, whatever comes
	badTime uint32
}

func (d *pictures) push(p *rtp.Packet, lost bool, emit func(unit)) error {
	if len(d.nalus) > 0 && p.Timestamp != d.time {
		if lost && !d.done {
			d.damaged = true
		}
		d.flush(emit)
	}
	if d.bad && p.Timestamp != d.badTime {
		d.bad = false
	}
	if lost {
		// What is missing may be a part of the picture at hand, or the beginning of this one. A fragment without a
		// beginning tells by itself; for a slice, flush looks.
		d.suspect = true
		d.damaged = d.damaged || len(d.nalus) > 0
	}
	q := *p
	q.Marker = true // complete NAL units at once; the picture is put together here
	nalus, err := d.decode(&q)
	d.done = p.Marker
	d.time = p.Timestamp
	if err != nil {
		if !moreNALU(err) {
			d.bad, d.badTime = true, p.Timestamp
			d.drop()
			return err
		}
		return nil
	}
	for _, n := range nalus {
		if len(n) == 0 || codec.IsAUD(d.codec, n) {
			continue
		}
		if d.size += len(n); d.size > maxPicture || len(d.nalus) >= maxNALUs {
			d.drop()
			return fmt.Errorf("a picture of more than %d bytes or %d NAL units", maxPicture, maxNALUs)
		}
		d.nalus = append(d.nalus, n)
		d.picture = d.picture || isSlice(d.codec, n)
	}
	if p.Marker && d.picture {
		d.flush(emit)
	}
	return nil
}

// flush hands out what is there, if it is a whole picture. Without a slice it waits for one.
func (d *pictures) flush(emit func(unit)) {
	if d.bad && d.time == d.badTime {
		d.drop()
		return
	}
	if !d.picture {
		return
	}
	if !d.damaged && !(d.suspect && !d.beginsWhole()) {
		emit(unit{d.nalus, d.time})
	}
	d.drop()
}

func (d *pictures) drop() {
	d.nalus, d.size, d.picture, d.damaged, d.suspect = nil, 0, false, false, false
}

// beginsWhole reports whether the first slice is the first of its picture: first_mb_in_slice is 0 (H.264 7.3.3) or
// first_slice_segment_in_pic_flag is set (H.265 7.3.6.1); both are the bit after the NAL unit header.
func (d *pictures) beginsWhole() bool {
	header := 1
	if d.codec == transmux.H265 {
		header = 2
	}
	for _, n := range d.nalus {
		if isSlice(d.codec, n) {
			return len(n) > header && n[header]&0x80 != 0
		}
	}
	return false
}

// isSlice reports whether a NAL unit is a coded slice.
func isSlice(c transmux.Codec, n []byte) bool {
	if c == transmux.H264 {
		t := n[0] & 0x1f
		return t >= 1 && t <= 5
	}
	return n[0]>>1&0x3f < 32
}
