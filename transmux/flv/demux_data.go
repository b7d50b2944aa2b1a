package flv

import (
	"weir/transmux"
	"weir/transmux/amf"
)

// script3 takes a data message of the kind that may hold AMF3: a format byte, then AMF0 values, each of which may switch.
// They are written again in AMF0, which all receivers know.
func (d *Demuxer) script3(b []byte) error {
	if b[0] != 0 {
		return d.ignore()
	}
	var values []amf.Value
	for b = b[1:]; len(b) > 0; {
		v, rest, err := amf.Decode(b)
		if err != nil || len(values) == maxValues {
			return d.ignore()
		}
		values, b = append(values, v), rest
	}
	b, err := amf.Append(nil, values...)
	if err != nil {
		return d.ignore()
	}
	return d.script(b)
}

// maxValues bounds the values of one data message.
const maxValues = 64

// script takes a data message: AMF0 values, the name first.
func (d *Demuxer) script(b []byte) error {
	v, rest, err := amf.Decode(b)
	name, ok := v.(string)
	if err != nil || !ok {
		return d.ignore()
	}
	if name == "@setDataFrame" { // a publisher asks the server to keep what follows
		b = rest
		if v, rest, err = amf.Decode(b); err != nil {
			return d.ignore()
		}
		if name, ok = v.(string); !ok {
			return d.ignore()
		}
	}
	switch name {
	case "onMetaData":
		if v, _, err := amf.Decode(rest); err == nil && amf.Members(v) != nil {
			d.meta = amf.Members(v)
			return nil
		}
		return d.ignore()
	case "@clearDataFrame", "onStatus", "|RtmpSampleAccess": // between two peers, not part of the stream
		return d.ignore()
	}
	if d.data == nil {
		d.data = &transmux.Track{ID: DataID, Codec: transmux.AMF}
		d.announce(d.data)
	}
	now := d.now()
	return d.out.Write(transmux.AccessUnit{
		Track: d.data, DTS: now, PTS: now, Key: true, Arrived: d.arrived, Data: b[:len(b):len(b)],
	})
}
