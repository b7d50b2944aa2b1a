// Package amf reads and writes Adobe's Action Message Format, versions 0 and 3, as RTMP commands and FLV script tags use it.
package amf

import (
	"errors"
	"strconv"
	"strings"
)

// A Value is what AMF can say, as one of these Go types:
//
//	nil         null
//	Undefined   undefined, and AMF0's "unsupported"
//	bool        boolean
//	float64     number; AMF3 integers too
//	string      string, long string
//	*Object     object, with a class name if it is typed
//	*ECMAArray  array with named members, keys in the order of the wire
//	Array       strict array; AMF3 vectors too
//	Date        date
//	XML         XML document
//	Bytes       AMF3 byte array
//
// The encoders take int and uint32 as numbers besides.
type Value = any

// Undefined is ActionScript's undefined.
type Undefined struct{}

// XML is the text of an XML document.
type XML string

// Bytes is an AMF3 byte array. AMF0 carries it by switching to AMF3 for that value.
type Bytes []byte

// A Date is a moment, in milliseconds since 1970 UTC. Zone is the time zone field of AMF0, reserved and always 0 in practice.
type Date struct {
	Milliseconds float64
	Zone         int16
}

// A Field is a named member of an object or an ECMA array.
type Field struct {
	Name  string
	Value Value
}

// An Object is a set of named members in the order of the wire; Class is empty for anonymous objects.
type Object struct {
	Class  string
	Fields []Field
}

// An ECMAArray is an array with named members. Members of an AMF3 array that have a position instead of a name are
// appended with their position as the name.
type ECMAArray struct {
	Fields []Field
}

// An Array is a list of values.
type Array []Value

// Find returns the value of the first member of that name; nil if there is none, or if o is nil.
func (o *Object) Find(name string) Value {
	if o == nil {
		return nil
	}
	return find(o.Fields, name)
}

// Find returns the value of the first member of that name; nil if there is none, or if a is nil.
func (a *ECMAArray) Find(name string) Value {
	if a == nil {
		return nil
	}
	return find(a.Fields, name)
}

func find(fields []Field, name string) Value {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// Members returns the named members of an *Object or an *ECMAArray, which peers use one for the other; nil for all else.
func Members(v Value) []Field {
	switch v := v.(type) {
	case *Object:
		if v != nil {
			return v.Fields
		}
	case *ECMAArray:
		if v != nil {
			return v.Fields
		}
	}
	return nil
}

// Number returns v as a number, if it is one, or a string or boolean that stands for one, as sloppy senders write it.
func Number(v Value) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil
	}
	return 0, false
}

// Bounds of what the decoders take. They hold for one call of a decoder, so for one message.
const (
	MaxDepth  = 32       // values within values
	MaxValues = 64 << 10 // values, each reference counted with all that it stands for
	MaxBytes  = 16 << 20 // bytes of strings, each reference counted again
)

// Errors of the decoders, wrapped with where they happened.
var (
	ErrShort       = errors.New("the data ends within a value")
	ErrDepth       = errors.New("values are nested too deeply")
	ErrSize        = errors.New("there are too many values, or they are too large")
	ErrCycle       = errors.New("a value contains itself")
	ErrReference   = errors.New("a reference points to nothing")
	ErrMarker      = errors.New("unknown type marker")
	ErrUnsupported = errors.New("the value cannot be carried")
)

// budget counts down what one message may still hold. References make a small message stand for a large value, so what
// they stand for is charged each time: whoever walks or writes the value does no more work than was paid for.
type budget struct {
	values, bytes int
	depth         int // containers that are open
	deepest       int // the most that were open within the newest container
}

func newBudget() budget { return budget{values: MaxValues, bytes: MaxBytes} }

func (b *budget) charge(values, bytes int) error {
	b.values -= values
	b.bytes -= bytes
	if b.values < 0 || b.bytes < 0 {
		return ErrSize
	}
	return nil
}

// A shared value is one that references may name. It is not done while its members are being read: a reference to it
// from within is a cycle. Until then values, bytes and height hold what the budget was when it began.
type shared struct {
	value         Value
	done          bool
	values, bytes int // what it costs
	height        int // containers within it
}

// open begins a container.
func (b *budget) open() (*shared, error) {
	s := &shared{values: b.values, bytes: b.bytes, height: b.deepest}
	b.depth++
	b.deepest = b.depth
	if b.depth > MaxDepth {
		return nil, ErrDepth
	}
	return s, nil
}

// close ends it, and knows what it cost.
func (b *budget) close(s *shared) {
	before := s.height
	s.done, s.values, s.bytes, s.height = true, s.values-b.values, s.bytes-b.bytes, b.deepest-b.depth
	b.deepest = max(before, b.deepest)
	b.depth--
}

// refer charges and returns the value of reference i.
func (b *budget) refer(table []*shared, i int) (Value, error) {
	if i < 0 || i >= len(table) {
		return nil, ErrReference
	}
	s := table[i]
	if !s.done {
		return nil, ErrCycle
	}
	deep := b.depth + 1 + s.height
	if deep > MaxDepth {
		return nil, ErrDepth
	}
	b.deepest = max(b.deepest, deep)
	return s.value, b.charge(s.values, s.bytes)
}
