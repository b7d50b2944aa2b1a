package rtp

import (
	"fmt"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/transmux/codec"
)

// room is the largest payload: with the headers of RTP, UDP and IPv6 it fills an Ethernet frame of 1500 bytes.
const room = 1500 - 40 - 8 - 12

type packer = func(au *transmux.AccessUnit) ([]*rtp.Packet, error)

// newPacker returns what cuts access units of a format into packets. Sequence numbers and sources are set by the caller,
// who also adds the RTP time of the unit to those of the packets.
func newPacker(f format.Format) (packer, error) {
	switch f := f.(type) {
	case *format.H264:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return nalus(e.Encode), nil
	case *format.H265:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return nalus(e.Encode), nil
	case *format.AV1:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return func(au *transmux.AccessUnit) ([]*rtp.Packet, error) {
			var obus [][]byte
			for o := range codec.OBUs(au.Data) {
				obus = append(obus, withoutSize(o))
			}
			if len(obus) == 0 {
				return nil, fmt.Errorf("a temporal unit without OBUs")
			}
			return e.Encode(obus)
		}, nil
	case *format.VP8:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return whole(e.Encode), nil
	case *format.VP9:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return whole(e.Encode), nil
	case *format.MPEG1Video:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return whole(e.Encode), nil
	case *format.MPEG4Video:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return whole(e.Encode), nil
	case *format.MJPEG:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return whole(e.Encode), nil
	}
	return newAudioPacker(f)
}

func newAudioPacker(f format.Format) (packer, error) {
	switch f := f.(type) {
	case *format.MPEG4Audio:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return single(e.Encode), nil
	case *format.MPEG1Audio:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return single(e.Encode), nil
	case *format.AC3:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return single(e.Encode), nil
	case *format.KLV:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		e.PayloadMaxSize = room
		return whole(e.Encode), nil
	case *format.G711:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		return whole(e.Encode), nil
	case *format.LPCM:
		e, err := f.CreateEncoder()
		if err != nil {
			return nil, err
		}
		return whole(e.Encode), nil
	case *format.Opus:
		return plain(f.PayloadTyp), nil
	case *format.G722:
		return plain(typeG722), nil
	case *format.Generic:
		return func(au *transmux.AccessUnit) (packets []*rtp.Packet, err error) {
			payloads := packetsEAC3(au.Data, room)
			if len(payloads) > maxFragments {
				return nil, fmt.Errorf("an E-AC-3 frame of %d bytes", len(au.Data))
			}
			for i, b := range payloads {
				h := rtp.Header{Version: 2, PayloadType: f.PayloadTyp, Marker: i == len(payloads)-1}
				packets = append(packets, &rtp.Packet{Header: h, Payload: b})
			}
			return packets, nil
		}, nil
	}
	return nil, fmt.Errorf("payload format %q is not supported", f.RTPMap())
}

func nalus(encode func([][]byte) ([]*rtp.Packet, error)) packer {
	return func(au *transmux.AccessUnit) ([]*rtp.Packet, error) {
		var list [][]byte
		for n := range au.NALUs() {
			list = append(list, n)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("a picture without NAL units")
		}
		return encode(list)
	}
}

func whole(encode func([]byte) ([]*rtp.Packet, error)) packer {
	return func(au *transmux.AccessUnit) ([]*rtp.Packet, error) { return encode(au.Data) }
}

func single(encode func([][]byte) ([]*rtp.Packet, error)) packer {
	return func(au *transmux.AccessUnit) ([]*rtp.Packet, error) { return encode([][]byte{au.Data}) }
}

// plain is for frames that are a payload as they are.
func plain(payloadType uint8) packer {
	return func(au *transmux.AccessUnit) ([]*rtp.Packet, error) {
		if len(au.Data) > room {
			return nil, fmt.Errorf("an audio frame of %d bytes does not fit a packet", len(au.Data))
		}
		h := rtp.Header{Version: 2, PayloadType: payloadType}
		return []*rtp.Packet{{Header: h, Payload: au.Data}}, nil
	}
}
