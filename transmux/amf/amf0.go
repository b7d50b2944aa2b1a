package amf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Type markers of AMF0 (section 2.1).
const (
	m0Number      = 0x00
	m0Boolean     = 0x01
	m0String      = 0x02
	m0Object      = 0x03
	m0MovieClip   = 0x04
	m0Null        = 0x05
	m0Undefined   = 0x06
	m0Reference   = 0x07
	m0ECMAArray   = 0x08
	m0ObjectEnd   = 0x09
	m0StrictArray = 0x0a
	m0Date        = 0x0b
	m0LongString  = 0x0c
	m0Unsupported = 0x0d
	m0RecordSet   = 0x0e
	m0XML         = 0x0f
	m0TypedObject = 0x10
	m0AVMPlus     = 0x11
)

// Decode reads the first AMF0 value of b and returns what follows it. It keeps no part of b.
func Decode(b []byte) (Value, []byte, error) {
	d := decoder0{b: b, budget: newBudget()}
	v, err := d.value()
	if err != nil {
		return nil, b, fmt.Errorf("decode AMF0 at byte %d: %w", len(b)-len(d.b), err)
	}
	return v, d.b, nil
}

// DecodeAll reads AMF0 values to the end of b, as the arguments of a command stand. References may point to earlier
// values. On an error it returns the values before it too, for peers whose last argument is cut short.
func DecodeAll(b []byte) ([]Value, error) {
	d := decoder0{b: b, budget: newBudget()}
	var all []Value
	for len(d.b) > 0 {
		v, err := d.value()
		if err != nil {
			return all, fmt.Errorf("decode AMF0 at byte %d: %w", len(b)-len(d.b), err)
		}
		all = append(all, v)
	}
	return all, nil
}

type decoder0 struct {
	b []byte
	budget
	refs []*shared
}

func (d *decoder0) take(n int) ([]byte, error) {
	if n > len(d.b) {
		return nil, ErrShort
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p, nil
}

func (d *decoder0) value() (Value, error) {
	m, err := d.take(1)
	if err != nil {
		return nil, err
	}
	if err := d.charge(1, 0); err != nil {
		return nil, err
	}
	switch m[0] {
	case m0Number:
		return d.number()
	case m0Boolean:
		p, err := d.take(1)
		if err != nil {
			return nil, err
		}
		return p[0] != 0, nil
	case m0String:
		return d.text(2)
	case m0LongString:
		return d.text(4)
	case m0XML:
		s, err := d.text(4)
		return XML(s), err
	case m0Null:
		return nil, nil
	case m0Undefined, m0Unsupported:
		return Undefined{}, nil
	case m0Date:
		ms, err := d.number()
		if err != nil {
			return nil, err
		}
		p, err := d.take(2)
		if err != nil {
			return nil, err
		}
		return Date{Milliseconds: ms, Zone: int16(binary.BigEndian.Uint16(p))}, nil
	case m0Reference:
		p, err := d.take(2)
		if err != nil {
			return nil, err
		}
		return d.refer(d.refs, int(binary.BigEndian.Uint16(p)))
	case m0Object, m0TypedObject, m0ECMAArray, m0StrictArray:
		return d.complex(m[0])
	case m0AVMPlus:
		d3 := decoder3{b: d.b, budget: d.budget}
		v, err := d3.value()
		d.b, d.budget = d3.b, d3.budget
		return v, err
	}
	return nil, fmt.Errorf("%w 0x%02x", ErrMarker, m[0])
}

// complex reads what references may name.
func (d *decoder0) complex(marker byte) (Value, error) {
	s, err := d.open()
	if err != nil {
		return nil, err
	}
	d.refs = append(d.refs, s)
	switch marker {
	case m0StrictArray:
		s.value, err = d.array()
	case m0ECMAArray:
		// The count is a hint; senders write 0 or too little (AMF0 2.10).
		if _, err = d.take(4); err == nil {
			a := &ECMAArray{}
			s.value = a
			a.Fields, err = d.fields()
		}
	default:
		o := &Object{}
		s.value = o
		if marker == m0TypedObject {
			o.Class, err = d.text(2)
		}
		if err == nil {
			o.Fields, err = d.fields()
		}
	}
	if err != nil {
		return nil, err
	}
	d.close(s)
	return s.value, nil
}

// fields reads members to the end marker. An end of the data after a whole member counts as the end too: several
// encoders cut the last three bytes of onMetaData.
func (d *decoder0) fields() ([]Field, error) {
	var fields []Field
	for {
		if len(d.b) == 0 && d.depth == 1 {
			return fields, nil
		}
		name, err := d.text(2)
		if err != nil {
			return fields, err
		}
		if name == "" && len(d.b) > 0 && d.b[0] == m0ObjectEnd {
			d.b = d.b[1:]
			return fields, nil
		}
		v, err := d.value()
		if err != nil {
			return fields, err
		}
		fields = append(fields, Field{Name: name, Value: v})
	}
}

func (d *decoder0) array() (Array, error) {
	p, err := d.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(p)
	// Each value takes at least its marker.
	if uint64(n) > uint64(len(d.b)) {
		return nil, ErrShort
	}
	if int(n) > d.values {
		return nil, ErrSize
	}
	a := make(Array, 0, n)
	for range n {
		v, err := d.value()
		if err != nil {
			return a, err
		}
		a = append(a, v)
	}
	return a, nil
}

func (d *decoder0) number() (float64, error) {
	p, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(p)), nil
}

// text reads a string whose length takes size bytes, 2 or 4.
func (d *decoder0) text(size int) (string, error) {
	p, err := d.take(size)
	if err != nil {
		return "", err
	}
	var n uint32
	if size == 2 {
		n = uint32(binary.BigEndian.Uint16(p))
	} else {
		n = binary.BigEndian.Uint32(p)
	}
	if uint64(n) > uint64(len(d.b)) {
		return "", ErrShort
	}
	if err := d.charge(0, int(n)); err != nil {
		return "", err
	}
	p, err = d.take(int(n))
	return string(p), err
}
