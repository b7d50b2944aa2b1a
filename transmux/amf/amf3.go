package amf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// Type markers of AMF3 (section 3.1).
const (
	m3Undefined    = 0x00
	m3Null         = 0x01
	m3False        = 0x02
	m3True         = 0x03
	m3Integer      = 0x04
	m3Double       = 0x05
	m3String       = 0x06
	m3XMLDocument  = 0x07
	m3Date         = 0x08
	m3Array        = 0x09
	m3Object       = 0x0a
	m3XML          = 0x0b
	m3ByteArray    = 0x0c
	m3VectorInt    = 0x0d
	m3VectorUint   = 0x0e
	m3VectorDouble = 0x0f
	m3VectorObject = 0x10
	m3Dictionary   = 0x11
)

// Externalizable classes of Flex whose body is one value: the collection that they wrap.
var wrappers = [...]string{
	"flex.messaging.io.ArrayCollection",
	"flex.messaging.io.ObjectProxy",
}

// Decode3 reads the first AMF3 value of b and returns what follows it. It keeps no part of b. Vectors become Arrays, and
// dictionaries whose keys are strings or numbers become ECMA arrays. Externalizable objects have a form that only their
// class knows; they are refused, except for the collections of Flex, which stand for what they hold.
func Decode3(b []byte) (Value, []byte, error) {
	d := decoder3{b: b, budget: newBudget()}
	v, err := d.value()
	if err != nil {
		return nil, b, fmt.Errorf("decode AMF3 at byte %d: %w", len(b)-len(d.b), err)
	}
	return v, d.b, nil
}

type decoder3 struct {
	b []byte
	budget
	refs    []*shared
	strings []string
	traits  []*traits
}

type traits struct {
	class          string
	dynamic        bool
	externalizable bool
	names          []string
}

func (d *decoder3) take(n int) ([]byte, error) {
	if n > len(d.b) {
		return nil, ErrShort
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p, nil
}

// u29 reads an unsigned integer of up to 29 bits (section 1.3.1).
func (d *decoder3) u29() (int, error) {
	v := 0
	for i := range 4 {
		p, err := d.take(1)
		if err != nil {
			return 0, err
		}
		if i == 3 {
			return v<<8 | int(p[0]), nil
		}
		v = v<<7 | int(p[0]&0x7f)
		if p[0] < 0x80 {
			break
		}
	}
	return v, nil
}

func (d *decoder3) value() (Value, error) {
	m, err := d.take(1)
	if err != nil {
		return nil, err
	}
	if err := d.charge(1, 0); err != nil {
		return nil, err
	}
	switch m[0] {
	case m3Undefined:
		return Undefined{}, nil
	case m3Null:
		return nil, nil
	case m3False:
		return false, nil
	case m3True:
		return true, nil
	case m3Integer:
		n, err := d.u29()
		if n >= 1<<28 {
			n -= 1 << 29
		}
		return float64(n), err
	case m3Double:
		return d.double()
	case m3String:
		return d.text()
	}
	if m[0] > m3Dictionary {
		return nil, fmt.Errorf("%w 0x%02x", ErrMarker, m[0])
	}
	return d.complex(m[0])
}

// complex reads what references may name. The lowest bit of the integer that begins it says whether it stands here
// (section 1.3.4).
func (d *decoder3) complex(marker byte) (Value, error) {
	n, err := d.u29()
	if err != nil {
		return nil, err
	}
	if n&1 == 0 {
		return d.refer(d.refs, n>>1)
	}
	n >>= 1
	s, err := d.open()
	if err != nil {
		return nil, err
	}
	d.refs = append(d.refs, s)
	switch marker {
	case m3XMLDocument, m3XML:
		var p []byte
		p, err = d.sized(n)
		s.value = XML(p)
	case m3ByteArray:
		var p []byte
		p, err = d.sized(n)
		s.value = append(Bytes{}, p...)
	case m3Date:
		var ms float64
		ms, err = d.double()
		s.value = Date{Milliseconds: ms}
	case m3Array:
		s.value, err = d.array(n)
	case m3Object:
		s.value, err = d.object(n)
	case m3Dictionary:
		s.value, err = d.dictionary(n)
	default:
		s.value, err = d.vector(marker, n)
	}
	if err != nil {
		return nil, err
	}
	d.close(s)
	return s.value, nil
}

// sized takes n bytes that count as text.
func (d *decoder3) sized(n int) ([]byte, error) {
	if n > len(d.b) {
		return nil, ErrShort
	}
	if err := d.charge(0, n); err != nil {
		return nil, err
	}
	return d.take(n)
}

func (d *decoder3) double() (float64, error) {
	p, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(p)), nil
}

// text reads a string or a reference to one; the empty string is never referred to (section 1.3.2).
func (d *decoder3) text() (string, error) {
	n, err := d.u29()
	if err != nil {
		return "", err
	}
	if n&1 == 0 {
		if n>>1 >= len(d.strings) {
			return "", ErrReference
		}
		s := d.strings[n>>1]
		return s, d.charge(0, len(s))
	}
	p, err := d.sized(n >> 1)
	if err != nil {
		return "", err
	}
	s := string(p)
	if s != "" {
		d.strings = append(d.strings, s)
	}
	return s, nil
}

// room refuses a count of values that cannot stand in what is left, at least size bytes each.
func (d *decoder3) room(n, size int) error {
	if n > len(d.b)/size {
		return ErrShort
	}
	if n > d.values {
		return ErrSize
	}
	return nil
}

// array reads the named members and then the n dense ones (section 3.11).
func (d *decoder3) array(n int) (Value, error) {
	named, err := d.dynamic()
	if err != nil {
		return nil, err
	}
	if err := d.room(n, 1); err != nil {
		return nil, err
	}
	dense := make(Array, 0, n)
	for range n {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		dense = append(dense, v)
	}
	if len(named) == 0 {
		return dense, nil
	}
	for i, v := range dense {
		named = append(named, Field{Name: strconv.Itoa(i), Value: v})
	}
	return &ECMAArray{Fields: named}, nil
}

// dynamic reads named members up to an empty name.
func (d *decoder3) dynamic() ([]Field, error) {
	var fields []Field
	for {
		name, err := d.text()
		if err != nil || name == "" {
			return fields, err
		}
		v, err := d.value()
		if err != nil {
			return fields, err
		}
		fields = append(fields, Field{Name: name, Value: v})
	}
}

func (d *decoder3) object(n int) (Value, error) {
	t, err := d.traitsOf(n)
	if err != nil {
		return nil, err
	}
	if t.externalizable {
		for _, w := range wrappers {
			if t.class == w {
				return d.value()
			}
		}
		return nil, fmt.Errorf("%w: class %.80q has a form of its own", ErrUnsupported, t.class)
	}
	o := &Object{Class: t.class}
	if err := d.room(len(t.names), 1); err != nil {
		return nil, err
	}
	for _, name := range t.names {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		// The name is charged like any reference to a string.
		if err := d.charge(0, len(name)); err != nil {
			return nil, err
		}
		o.Fields = append(o.Fields, Field{Name: name, Value: v})
	}
	if t.dynamic {
		more, err := d.dynamic()
		o.Fields = append(o.Fields, more...)
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// traitsOf reads the description of a class: 0 in the lowest bit refers to an earlier one, then one bit says
// externalizable and one dynamic, the rest counts sealed members (section 3.12).
func (d *decoder3) traitsOf(n int) (*traits, error) {
	if n&1 == 0 {
		if n>>1 >= len(d.traits) {
			return nil, ErrReference
		}
		t := d.traits[n>>1]
		return t, d.charge(0, len(t.class))
	}
	t := &traits{externalizable: n&2 != 0, dynamic: n&4 != 0}
	count := n >> 3
	if t.externalizable {
		count = 0
	}
	var err error
	if t.class, err = d.text(); err != nil {
		return nil, err
	}
	if err := d.room(count, 1); err != nil {
		return nil, err
	}
	for range count {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		t.names = append(t.names, name)
	}
	d.traits = append(d.traits, t)
	return t, nil
}

func (d *decoder3) dictionary(n int) (Value, error) {
	if _, err := d.take(1); err != nil { // weak keys, of no meaning on the wire
		return nil, err
	}
	if err := d.room(n, 2); err != nil {
		return nil, err
	}
	a := &ECMAArray{}
	for range n {
		k, err := d.value()
		if err != nil {
			return nil, err
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		switch k := k.(type) {
		case string:
			a.Fields = append(a.Fields, Field{Name: k, Value: v})
		case float64:
			a.Fields = append(a.Fields, Field{Name: strconv.FormatFloat(k, 'g', -1, 64), Value: v})
		default:
			return nil, fmt.Errorf("%w: a dictionary key is neither text nor number", ErrUnsupported)
		}
	}
	return a, nil
}

// vector reads a typed list (section 3.15).
func (d *decoder3) vector(marker byte, n int) (Value, error) {
	if _, err := d.take(1); err != nil { // fixed length or not
		return nil, err
	}
	size := 4
	switch marker {
	case m3VectorDouble:
		size = 8
	case m3VectorObject:
		size = 1
		if _, err := d.text(); err != nil { // class of the elements
			return nil, err
		}
	}
	if err := d.room(n, size); err != nil {
		return nil, err
	}
	a := make(Array, 0, n)
	for range n {
		var v Value
		var err error
		switch marker {
		case m3VectorObject:
			v, err = d.value()
		case m3VectorDouble:
			v, err = d.double()
		default:
			var p []byte
			if p, err = d.take(4); err == nil {
				u := binary.BigEndian.Uint32(p)
				v = float64(u)
				if marker == m3VectorInt {
					v = float64(int32(u))
				}
			}
		}
		if err != nil {
			return nil, err
		}
		if marker != m3VectorObject { // those charged themselves
			if err := d.charge(1, 0); err != nil {
				return nil, err
			}
		}
		a = append(a, v)
	}
	return a, nil
}
