package amf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Append appends values to b in AMF0. Bytes and byte arrays within others are written by a switch to AMF3. It writes no
// references. The error wraps ErrDepth, or ErrUnsupported for a Go type that is no Value; b is returned unchanged then.
func Append(b []byte, values ...Value) ([]byte, error) {
	out := b
	for _, v := range values {
		var err error
		if out, err = append0(out, v, 0); err != nil {
			return b, fmt.Errorf("encode AMF0: %w", err)
		}
	}
	return out, nil
}

func append0(b []byte, v Value, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return b, ErrDepth
	}
	switch v := v.(type) {
	case nil:
		return append(b, m0Null), nil
	case Undefined:
		return append(b, m0Undefined), nil
	case bool:
		if v {
			return append(b, m0Boolean, 1), nil
		}
		return append(b, m0Boolean, 0), nil
	case float64:
		return appendNumber(append(b, m0Number), v), nil
	case int:
		return appendNumber(append(b, m0Number), float64(v)), nil
	case uint32:
		return appendNumber(append(b, m0Number), float64(v)), nil
	case string:
		if len(v) > math.MaxUint16 {
			return appendLong(append(b, m0LongString), v)
		}
		return appendShort(append(b, m0String), v)
	case XML:
		return appendLong(append(b, m0XML), string(v))
	case Date:
		b = appendNumber(append(b, m0Date), v.Milliseconds)
		return binary.BigEndian.AppendUint16(b, uint16(v.Zone)), nil
	case Bytes:
		return append3(append(b, m0AVMPlus), v, depth)
	case Array:
		if uint64(len(v)) > math.MaxUint32 {
			return b, ErrSize
		}
		b = binary.BigEndian.AppendUint32(append(b, m0StrictArray), uint32(len(v)))
		var err error
		for _, e := range v {
			if b, err = append0(b, e, depth+1); err != nil {
				return b, err
			}
		}
		return b, nil
	case *ECMAArray:
		if v == nil {
			return append(b, m0Null), nil
		}
		b = binary.BigEndian.AppendUint32(append(b, m0ECMAArray), uint32(len(v.Fields)))
		return appendFields0(b, v.Fields, depth)
	case *Object:
		if v == nil {
			return append(b, m0Null), nil
		}
		if v.Class == "" {
			return appendFields0(append(b, m0Object), v.Fields, depth)
		}
		b, err := appendShort(append(b, m0TypedObject), v.Class)
		if err != nil {
			return b, err
		}
		return appendFields0(b, v.Fields, depth)
	}
	return b, fmt.Errorf("%w: %T is no AMF value", ErrUnsupported, v)
}

func appendFields0(b []byte, fields []Field, depth int) ([]byte, error) {
	var err error
	for _, f := range fields {
		if b, err = appendShort(b, f.Name); err != nil {
			return b, err
		}
		if b, err = append0(b, f.Value, depth+1); err != nil {
			return b, err
		}
	}
	return append(b, 0, 0, m0ObjectEnd), nil
}

func appendNumber(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

func appendShort(b []byte, s string) ([]byte, error) {
	if len(s) > math.MaxUint16 {
		return b, fmt.Errorf("%w: a name of %d bytes is longer than 65535", ErrUnsupported, len(s))
	}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...), nil
}

func appendLong(b []byte, s string) ([]byte, error) {
	if uint64(len(s)) > math.MaxUint32 {
		return b, ErrSize
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...), nil
}
