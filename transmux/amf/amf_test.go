package amf

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it, in string
		want   []Value
	}{
		{"reads the scalars", "00 3ff0000000000000 01 01 01 00 02 0003 616263 05 06 0d", []Value{1.0, true, false, "abc", nil, Undefined{}, Undefined{}}},
		{"reads a long string", "0c 00000002 6869", []Value{"hi"}},
		{"reads a date", "0b 4024000000000000 fff6", []Value{Date{Milliseconds: 10, Zone: -10}}},
		{"reads XML", "0f 00000004 3c612f3e", []Value{XML("<a/>")}},
		{"keeps the order of an object's keys", "03 0001 62 05 0001 61 01 01 0000 09", []Value{&Object{Fields: []Field{{"b", nil}, {"a", true}}}}},
		{"reads an ECMA array whatever its count says", "08 00000000 0001 61 02 0001 78 0000 09", []Value{&ECMAArray{Fields: []Field{{"a", "x"}}}}},
		{"reads an ECMA array whose end marker is cut off", "08 00000001 0001 61 02 0001 78", []Value{&ECMAArray{Fields: []Field{{"a", "x"}}}}},
		{"reads a typed object", "10 0003 466f6f 0001 61 05 0000 09", []Value{&Object{Class: "Foo", Fields: []Field{{"a", nil}}}}},
		{"reads a strict array", "0a 00000002 05 01 01", []Value{Array{nil, true}}},
		{"follows a reference to an earlier value", "0a 00000001 05 07 0000", []Value{Array{nil}, Array{nil}}},
		{"follows a reference within a value", "0a 00000002 03 0000 09 07 0001", []Value{Array{&Object{}, &Object{}}}},
		{"switches to AMF3 for one value", "11 04 05 05", []Value{5.0, nil}},
		{"takes an object member with an empty name", "03 0000 05 0000 09", []Value{&Object{Fields: []Field{{"", nil}}}}},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			got, err := DecodeAll(unhex(t, tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(got, tt.want); d != "" {
				t.Errorf("got -; want +\n%s", d)
			}
		})
	}
}

func TestDecode3(t *testing.T) {
	t.Parallel()
	obj := &Object{Class: "C", Fields: []Field{{"k", 1.0}}}
	tests := []struct {
		it, in string
		want   Value
	}{
		{"reads undefined", "00", Undefined{}},
		{"reads null", "01", nil},
		{"reads booleans", "09 05 01 02 03", Array{false, true}},
		{"reads integers of all lengths", "09 09 01 04 7f 04 8100 04 818000 04 80c08000", Array{127.0, 128.0, 16384.0, 2097152.0}},
		{"reads a negative integer", "04 ffffffff", -1.0},
		{"reads a double", "05 3ff8000000000000", 1.5},
		{"refers to an earlier string, never to an empty one", "09 09 01 06 01 06 0361 06 00 06 00", Array{"", "a", "a", "a"}},
		{"reads a date", "08 01 4024000000000000", Date{Milliseconds: 10}},
		{"reads XML of both kinds", "09 05 01 07 0361 0b 0362", Array{XML("a"), XML("b")}},
		{"reads a byte array", "0c 05 0102", Bytes{1, 2}},
		{"appends an array's dense members to its named ones", "09 03 03 6b 05 3ff0000000000000 01 02", &ECMAArray{Fields: []Field{{"k", 1.0}, {"0", false}}}},
		{"refers to traits", "09 05 01 0a 13 03 43 03 6b 04 01 0a 01 04 01", Array{obj, obj}},
		{"refers to an object", "09 05 01 0a 13 03 43 03 6b 04 01 0a 02", Array{obj, obj}},
		{"reads a dynamic object", "0a 0b 01 03 6b 04 01 01", &Object{Fields: []Field{{"k", 1.0}}}},
		{"unwraps a collection of Flex", "0a 07 43" + hex.EncodeToString([]byte("flex.messaging.io.ArrayCollection")) + "09 03 01 03", Array{true}},
		{"reads a vector of integers", "0d 05 00 ffffffff 00000002", Array{-1.0, 2.0}},
		{"reads a vector of unsigned integers", "0e 03 00 ffffffff", Array{4294967295.0}},
		{"reads a vector of doubles", "0f 03 00 3ff8000000000000", Array{1.5}},
		{"reads a vector of objects", "10 03 00 01 02", Array{false}},
		{"reads a dictionary", "11 05 00 06 0361 02 04 07 03", &ECMAArray{Fields: []Field{{"a", false}, {"7", true}}}},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			got, rest, err := Decode3(unhex(t, tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(got, tt.want); d != "" {
				t.Errorf("got -; want +\n%s", d)
			}
			if len(rest) > 0 {
				t.Errorf("got %d bytes left; want none", len(rest))
			}
		})
	}
}

// laughs is a message in which each array holds the one before it twice.
func laughs(n int) []byte {
	b := []byte{m0StrictArray, 0, 0, 0, 2, m0Null, m0Null}
	for i := range n {
		b = append(b, m0StrictArray, 0, 0, 0, 2, m0Reference, 0, byte(i), m0Reference, 0, byte(i))
	}
	return b
}

// wide is a message of one long string that is named many times.
func wide() []byte {
	b := []byte{m0AVMPlus}
	b = append(appendU29(append(b, m3Array), 5000<<1|1), 1)
	b, _ = appendText3(append(b, m3String), strings.Repeat("x", 10_000))
	for range 4999 {
		b = append(b, m3String, 0)
	}
	return b
}

func TestDecodeHostile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it   string
		in   []byte
		want error
	}{
		{"refuses endless nesting", []byte(strings.Repeat("\x0a\x00\x00\x00\x01", 1000)), ErrDepth},
		{"refuses endless nesting in AMF3", []byte("\x11" + strings.Repeat("\x09\x03\x01", 1000)), ErrDepth},
		{"refuses a huge count before it allocates", unhex(t, "0a ffffffff 05"), ErrShort},
		{"refuses a huge AMF3 count before it allocates", unhex(t, "11 09 ffffffff 01"), ErrShort},
		{"refuses a huge vector before it allocates", unhex(t, "11 0f ffffffff 00"), ErrShort},
		{"refuses huge traits before it allocates", unhex(t, "11 0a bffffff3 01"), ErrShort},
		{"refuses a value that contains itself", unhex(t, "0a 00000001 07 0000"), ErrCycle},
		{"refuses an AMF3 value that contains itself", unhex(t, "11 09 03 01 09 00"), ErrCycle},
		{"refuses a reference to nothing", unhex(t, "07 0000"), ErrReference},
		{"refuses an AMF3 reference to nothing", unhex(t, "11 0a 04"), ErrReference},
		{"refuses an unknown marker", unhex(t, "12"), ErrMarker},
		{"refuses a movie clip", unhex(t, "04"), ErrMarker},
		{"refuses an unknown AMF3 marker", unhex(t, "11 12"), ErrMarker},
		{"refuses a string that is cut short", unhex(t, "02 0005 61"), ErrShort},
		{"refuses an object that is cut within a member", unhex(t, "03 0001 61"), ErrShort},
		{"refuses an externalizable class", unhex(t, "11 0a 07 03 58 01"), ErrUnsupported},
		{"refuses values that double by references", laughs(20), ErrSize},
		{"refuses values that are deep by references", laughsDeep(), ErrDepth},
		{"refuses strings that grow by references", wide(), ErrSize},
		{"refuses too many values", []byte(strings.Repeat("\x05", MaxValues+1)), ErrSize},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			if _, err := DecodeAll(tt.in); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

// laughsDeep holds in each array the one before it, once.
func laughsDeep() []byte {
	b := []byte{m0StrictArray, 0, 0, 0, 1, m0Null}
	for i := range MaxDepth {
		b = append(b, m0StrictArray, 0, 0, 0, 1, m0Reference, 0, byte(i))
	}
	return b
}

func TestDecodeAllKeepsWhatCameBefore(t *testing.T) {
	t.Parallel()
	got, err := DecodeAll(unhex(t, "05 02 0005 61"))
	if !errors.Is(err, ErrShort) {
		t.Errorf("got %v; want %v", err, ErrShort)
	}
	if len(got) != 1 {
		t.Errorf("got %d values; want 1", len(got))
	}
}

func samples() []Value {
	nested := &Object{Fields: []Field{{"b", Array{1.0, "x", nil}}, {"a", &ECMAArray{Fields: []Field{{"z", true}, {"y", Undefined{}}}}}}}
	return []Value{
		nil, Undefined{}, true, false, 0.0, 1.0, -1.0, 1.5, math.Inf(1), math.Copysign(0, -1), 268435455.0, 268435456.0, -268435456.0, -268435457.0,
		"", "text", strings.Repeat("l", 70_000), XML("<a/>"), Bytes{1, 2, 3}, Date{Milliseconds: 1e12}, nested, &Object{Class: "C", Fields: []Field{{"n", nested}}}, Array{},
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range samples() {
		b, err := Append(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := Decode(b)
		if err != nil || len(rest) > 0 {
			t.Fatalf("decode %v: %v, %d bytes left", want, err, len(rest))
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("AMF0: got -; want +\n%s", d)
		}
		if b, err = Append3(nil, want); err != nil {
			t.Fatal(err)
		}
		if got, rest, err = Decode3(b); err != nil || len(rest) > 0 {
			t.Fatalf("decode3 %v: %v, %d bytes left", want, err, len(rest))
		}
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("AMF3: got -; want +\n%s", d)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	loop := &Object{}
	loop.Fields = []Field{{"self", loop}}
	tests := []struct {
		it   string
		in   Value
		want error
	}{
		{"a value that contains itself", loop, ErrDepth},
		{"a Go type that is no value", struct{}{}, ErrUnsupported},
		{"a name that is too long", &Object{Fields: []Field{{strings.Repeat("n", 70_000), nil}}}, ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			if b, err := Append([]byte{7}, tt.in); !errors.Is(err, tt.want) || len(b) != 1 {
				t.Errorf("got %d bytes, %v; want 1, %v", len(b), err, tt.want)
			}
		})
	}
	if _, err := Append3(nil, &Object{Fields: []Field{{"", nil}}}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("got %v; want %v", err, ErrUnsupported)
	}
}

func TestAppendTakesNilPointersAndIntegers(t *testing.T) {
	t.Parallel()
	b, err := Append(nil, (*Object)(nil), (*ECMAArray)(nil), 3, uint32(4))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeAll(b)
	if d := cmp.Diff(got, []Value{nil, nil, 3.0, 4.0}); d != "" || err != nil {
		t.Errorf("got -; want +\n%s %v", d, err)
	}
}

func TestFindAndNumber(t *testing.T) {
	t.Parallel()
	o := &Object{Fields: []Field{{"a", 1.0}, {"a", 2.0}}}
	if got := o.Find("a"); got != 1.0 {
		t.Errorf("got %v; want 1", got)
	}
	if got := (*Object)(nil).Find("a"); got != nil {
		t.Errorf("got %v; want nil", got)
	}
	if got := (&ECMAArray{Fields: o.Fields}).Find("b"); got != nil {
		t.Errorf("got %v; want nil", got)
	}
	if got := len(Members(o)) + len(Members("x")) + len(Members((*ECMAArray)(nil))); got != 2 {
		t.Errorf("got %d members; want 2", got)
	}
	for _, tt := range []struct {
		in   Value
		want float64
		ok   bool
	}{{1.5, 1.5, true}, {" 2 ", 2, true}, {true, 1, true}, {false, 0, true}, {"x", 0, false}, {nil, 0, false}} {
		if got, ok := Number(tt.in); ok != tt.ok || ok && got != tt.want {
			t.Errorf("Number(%v): got %v, %v; want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzAMF0(f *testing.F) {
	for _, s := range samples() {
		if b, _ := Append(nil, s); len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Add(laughs(3))
	f.Add(unhex(f, "0a 00000002 03 0000 09 07 0001"))
	f.Fuzz(func(t *testing.T, in []byte) {
		all, err := DecodeAll(in)
		if err != nil {
			return
		}
		out, err := Append(nil, all...)
		if err != nil {
			if errors.Is(err, ErrUnsupported) { // a member without a name under AMF3 bytes
				return
			}
			t.Fatalf("cannot write what was read: %v", err)
		}
		again, err := DecodeAll(out)
		if err != nil && !errors.Is(err, ErrSize) {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if err == nil && len(again) != len(all) {
			t.Fatalf("got %d values; want %d", len(again), len(all))
		}
	})
}

func FuzzAMF3(f *testing.F) {
	for _, s := range samples() {
		if b, _ := Append3(nil, s); len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Add(unhex(f, "09 05 01 0a 13 03 43 03 6b 04 01 0a 02"))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, _, err := Decode3(in)
		if err != nil {
			return
		}
		out, err := Append3(nil, v)
		if err != nil {
			return // members without a name
		}
		if _, _, err := Decode3(out); err != nil && !errors.Is(err, ErrSize) {
			t.Fatalf("cannot read what was written: %v", err)
		}
	})
}
