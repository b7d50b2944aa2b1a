package amf

import (
	"encoding/binary"
	"fmt"
	"math"
)

const maxU29 = 1<<29 - 1

// Append3 appends values to b in AMF3. It writes no references, so each value stands for itself; whole numbers of up to
// 29 bits are written as integers. The errors are those of Append.
func Append3(b []byte, values ...Value) ([]byte, error) {
	out := b
	for _, v := range values {
		var err error
		if out, err = append3(out, v, 0); err != nil {
			return b, fmt.Errorf("encode AMF3: %w", err)
		}
	}
	return out, nil
}

func append3(b []byte, v Value, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return b, ErrDepth
	}
	switch v := v.(type) {
	case nil:
		return append(b, m3Null), nil
	case Undefined:
		return append(b, m3Undefined), nil
	case bool:
		if v {
			return append(b, m3True), nil
		}
		return append(b, m3False), nil
	case float64:
		return appendNumber3(b, v), nil
	case int:
		return appendNumber3(b, float64(v)), nil
	case uint32:
		return appendNumber3(b, float64(v)), nil
	case string:
		return appendText3(append(b, m3String), v)
	case XML:
		return appendText3(append(b, m3XML), string(v))
	case Bytes:
		return appendText3(append(b, m3ByteArray), string(v))
	case Date:
		return appendNumber(append(b, m3Date, 1), v.Milliseconds), nil
	case Array:
		if len(v) > maxU29>>1 {
			return b, ErrSize
		}
		b = append(appendU29(append(b, m3Array), len(v)<<1|1), 1)
		var err error
		for _, e := range v {
			if b, err = append3(b, e, depth+1); err != nil {
				return b, err
			}
		}
		return b, nil
	case *ECMAArray:
		if v == nil {
			return append(b, m3Null), nil
		}
		return appendFields3(append(b, m3Array, 1), v.Fields, depth)
	case *Object:
		if v == nil {
			return append(b, m3Null), nil
		}
		// 0x0b: here, traits here, not externalizable, dynamic, no sealed members.
		b, err := appendText3(append(b, m3Object, 0x0b), v.Class)
		if err != nil {
			return b, err
		}
		return appendFields3(b, v.Fields, depth)
	}
	return b, fmt.Errorf("%w: %T is no AMF value", ErrUnsupported, v)
}

// appendFields3 ends with the empty name, so a member without a name cannot be said.
func appendFields3(b []byte, fields []Field, depth int) ([]byte, error) {
	for _, f := range fields {
		if f.Name == "" {
			return b, fmt.Errorf("%w: AMF3 has no members without a name", ErrUnsupported)
		}
		var err error
		if b, err = appendText3(b, f.Name); err != nil {
			return b, err
		}
		if b, err = append3(b, f.Value, depth+1); err != nil {
			return b, err
		}
	}
	return append(b, 1), nil
}

func appendNumber3(b []byte, f float64) []byte {
	n := int64(f)
	if float64(n) != f || n < -(1<<28) || n >= 1<<28 || n == 0 && math.Signbit(f) {
		return binary.BigEndian.AppendUint64(append(b, m3Double), math.Float64bits(f))
	}
	return appendU29(append(b, m3Integer), int(n)&maxU29)
}

func appendText3(b []byte, s string) ([]byte, error) {
	if len(s) > maxU29>>1 {
		return b, ErrSize
	}
	return append(appendU29(b, len(s)<<1|1), s...), nil
}

func appendU29(b []byte, n int) []byte {
	switch {
	case n < 1<<7:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, byte(n>>7)|0x80, byte(n)&0x7f)
	case n < 1<<21:
		return append(b, byte(n>>14)|0x80, byte(n>>7)|0x80, byte(n)&0x7f)
	}
	return append(b, byte(n>>22)|0x80, byte(n>>15)|0x80, byte(n>>8)|0x80, byte(n))
}
