package chunk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// all reads to the end of src, and returns the error unless it is io.EOF.
func all(src io.Reader) ([]Message, error) {
	r := NewReader(src)
	var out []Message
	for {
		m, err := r.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
}

func body(n int) string { return strings.Repeat("ab", n) }

func TestRead(t *testing.T) {
	t.Parallel()
	ab := func(n int) []byte { return bytes.Repeat([]byte{0xab}, n) }
	abcd := []byte{0xab, 0xcd}
	tests := []struct {
		it, in string
		want   []Message
	}{
		{"reads the full form", "03 000102 000002 08 01000000 abcd", []Message{{8, 1, 258, 3, abcd}}},
		{"reads a message stream ID as little-endian", "03 000000 000002 08 01020304 abcd", []Message{{8, 0x04030201, 0, 3, abcd}}},
		{"reads chunk stream IDs of two bytes", "00 ff 000000 000000 08 01000000", []Message{{8, 1, 0, 319, nil}}},
		{"reads chunk stream IDs of three bytes", "01 ffff 000000 000000 08 01000000", []Message{{8, 1, 0, 65599, nil}}},
		{"adds the delta of form 1", "03 00000a 000000 08 01000000 43 000005 000002 09 abcd", []Message{{8, 1, 10, 3, nil}, {9, 1, 15, 3, abcd}}},
		{"adds the delta of form 2", "03 00000a 000002 08 01000000 abcd 83 000005 abcd", []Message{{8, 1, 10, 3, abcd}, {8, 1, 15, 3, abcd}}},
		{"adds the delta again when form 3 begins a message", "03 00000a 000002 08 01000000 abcd 83 000005 abcd c3 abcd", []Message{{8, 1, 10, 3, abcd}, {8, 1, 15, 3, abcd}, {8, 1, 20, 3, abcd}}},
		{"keeps the time when form 3 follows form 0", "03 00000a 000002 08 01000000 abcd c3 abcd", []Message{{8, 1, 10, 3, abcd}, {8, 1, 10, 3, abcd}}},
		{"takes form 1 as the first header of a chunk stream", "43 00000a 000002 14 abcd", []Message{{20, 0, 10, 3, abcd}}},
		{"lets timestamps wrap", "03 ffffff 000000 08 01000000 fffffffe 43 000005 000000 08", []Message{{8, 1, 0xfffffffe, 3, nil}, {8, 1, 3, 3, nil}}},
		{"reads an extended timestamp", "03 ffffff 000002 08 01000000 01020304 abcd", []Message{{8, 1, 0x01020304, 3, abcd}}},
		{"reads an extended delta", "03 000001 000000 08 01000000 43 ffffff 000000 08 01000000", []Message{{8, 1, 1, 3, nil}, {8, 1, 0x01000001, 3, nil}}},
		{"reads the extended timestamp that continued chunks repeat", "03 ffffff 000082 08 01000000 01020304" + body(128) + "c3 01020304 abab", []Message{{8, 1, 0x01020304, 3, ab(130)}}},
		{"does without the extended timestamp in continued chunks", "03 ffffff 000084 08 01000000 01020304" + body(128) + "c3 abababab", []Message{{8, 1, 0x01020304, 3, ab(132)}}},
		{"does without it at the end of the data", "03 ffffff 000082 08 01000000 01020304" + body(128) + "c3 abab", []Message{{8, 1, 0x01020304, 3, ab(130)}}},
		{"reads the extended delta again when form 3 begins a message", "03 000001 000000 08 01000000 43 ffffff 000000 08 01000000 c3 01000000", []Message{{8, 1, 1, 3, nil}, {8, 1, 0x01000001, 3, nil}, {8, 1, 0x02000001, 3, nil}}},
		{"joins interleaved messages", "03 000000 000082 08 01000000" + body(128) + "04 000000 000002 09 01000000 abcd c3 abab", []Message{{9, 1, 0, 4, abcd}, {8, 1, 0, 3, ab(130)}}},
		{"obeys a new chunk size within another message", "03 000000 000183 08 01000000" + body(128) + "02 000000 000004 01 00000000 00000100 c3" + body(256-1) + "ab", // 128 + 256 = 384 = 0x180
			nil},
		{"drops what abort names", "03 000000 000082 08 01000000" + body(128) + "02 000000 000004 02 00000000 00000003 03 000000 000001 08 01000000 ab", []Message{{2, 0, 0, 2, []byte{0, 0, 0, 3}}, {8, 1, 0, 3, ab(1)}}},
		{"drops an incomplete message when another begins", "03 000000 000082 08 01000000" + body(128) + "03 000000 000001 08 01000000 ab", []Message{{8, 1, 0, 3, ab(1)}}},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			if tt.want == nil { // one case is made of too many bytes to write down
				tt.in = strings.Replace(tt.in, "000183", "000180", 1)
				tt.want = []Message{{1, 0, 0, 2, []byte{0, 0, 1, 0}}, {8, 1, 0, 3, ab(384)}}
			}
			for name, src := range map[string]io.Reader{"whole": bytes.NewReader(unhex(t, tt.in)), "byte by byte": iotest.OneByteReader(bytes.NewReader(unhex(t, tt.in)))} {
				got, err := all(src)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if d := cmp.Diff(got, tt.want, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("%s: got -; want +\n%s", name, d)
				}
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	var many []byte
	for i := range MaxChunkStreams + 1 {
		many = append(many, 0, byte(i), 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0)
	}
	tests := []struct {
		it   string
		in   []byte
		want error
	}{
		{"a continuation of nothing", unhex(t, "c3 00"), ErrHeader},
		{"form 2 before any type is known", unhex(t, "83 000000 00"), ErrHeader},
		{"a chunk size of zero", unhex(t, "02 000000 000004 01 00000000 80000000"), ErrControl},
		{"a chunk size that is cut short", unhex(t, "02 000000 000001 01 00000000 80"), ErrControl},
		{"an abort that is cut short", unhex(t, "02 000000 000000 02 00000000"), ErrControl},
		{"too many chunk streams", many, ErrStreams},
		{"an end within a header", unhex(t, "03 0000"), io.ErrUnexpectedEOF},
		{"an end within a message", unhex(t, "03 000000 000002 08 01000000 ab"), io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run("it refuses "+tt.it, func(t *testing.T) {
			t.Parallel()
			if _, err := all(bytes.NewReader(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

func TestReadRefusesBeyondItsLimit(t *testing.T) {
	t.Parallel()
	r := NewReader(bytes.NewReader(unhex(t, "03 000000 000003 08 01000000 ababab")))
	r.Limit(2)
	if _, err := r.Read(); !errors.Is(err, ErrMessageSize) {
		t.Errorf("got %v; want %v", err, ErrMessageSize)
	}
}

func TestReadAllocatesAsBytesArrive(t *testing.T) {
	t.Parallel()
	// 100 messages of 16 MiB are announced, one chunk of each is sent.
	var in []byte
	for i := range 100 {
		in = append(append(in, 0, byte(i), 0, 0, 0, 0xff, 0xff, 0xff, 8, 0, 0, 0, 0), make([]byte, DefaultChunkSize)...)
	}
	r := NewReader(bytes.NewReader(in))
	if _, err := r.Read(); err != io.EOF {
		t.Fatal(err)
	}
	if want := 100 * firstAllocation; r.partial != want {
		t.Errorf("got %d bytes allocated; want %d", r.partial, want)
	}
	if r.Stalled().IsZero() {
		t.Error("got no message under way; want 100")
	}
}

func TestReadBoundsPartialMessages(t *testing.T) {
	t.Parallel()
	in := Append(nil, Message{Type: SetChunkSize, ChunkID: 2, Payload: []byte{0, 0xff, 0xff, 0xff}}, DefaultChunkSize)
	in = append(in, Append(nil, Message{Type: Video, Payload: make([]byte, MaxMessage)}, MaxMessage)...)
	in = append(in, 2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 128)
	for i := range 4 {
		in = append(append(in, 0, byte(i), 0, 0, 0, 0xff, 0xff, 0xff, 8, 0, 0, 0, 0), make([]byte, DefaultChunkSize)...)
	}
	if _, err := all(bytes.NewReader(in)); !errors.Is(err, ErrPartial) {
		t.Errorf("got %v; want %v", err, ErrPartial)
	}
}

func TestSplitRoundTrip(t *testing.T) {
	t.Parallel()
	big := make([]byte, 2*OutChunkSize+5)
	for i := range big {
		big[i] = byte(i * 7)
	}
	for _, id := range []uint32{2, 6, 63, 64, 319, 320, 65599} {
		for _, ts := range []uint32{0, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff} {
			for _, n := range []int{0, 1, OutChunkSize - 1, OutChunkSize, OutChunkSize + 1, 2 * OutChunkSize, len(big)} {
				m := Message{Type: Video, StreamID: 1, Timestamp: ts, ChunkID: id, Payload: big[:n]}
				for _, streamID := range []uint32{1, 5} {
					var wire net.Buffers
					wire = append(wire, Append(nil, Message{Type: SetChunkSize, ChunkID: 2, Payload: []byte{0, 0, OutChunkSize >> 8, OutChunkSize & 0xff}}, DefaultChunkSize))
					c := Split(m)
					wire = c.AppendTo(wire, streamID)
					size := len(wire[0]) + c.Size()
					flat, err := io.ReadAll(&wire)
					if err != nil || len(flat) != size {
						t.Fatalf("got %d bytes, %v; want %d", len(flat), err, size)
					}
					got, err := all(bytes.NewReader(flat))
					if err != nil {
						t.Fatal(err)
					}
					want := m
					want.StreamID = streamID
					if len(got) != 2 || !same(got[1], want) {
						t.Fatalf("ID %d, time %d, %d bytes: got another message; want the one that was split", id, ts, n)
					}
					again, err := all(bytes.NewReader(Append(nil, m, DefaultChunkSize)))
					if err != nil {
						t.Fatal(err)
					}
					if len(again) != 1 || !same(again[0], m) {
						t.Fatalf("ID %d, time %d, %d bytes: got another message; want the one that was appended", id, ts, n)
					}
				}
			}
		}
	}
}

// same is a fast comparison for large payloads.
func same(a, b Message) bool {
	return a.Type == b.Type && a.StreamID == b.StreamID && a.Timestamp == b.Timestamp && a.ChunkID == b.ChunkID && bytes.Equal(a.Payload, b.Payload)
}

func TestSplitTailIsSplit(t *testing.T) {
	t.Parallel()
	payload := make([]byte, 2*OutChunkSize+5)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	for _, ts := range []uint32{0, 0x1000000} {
		for _, n := range []int{0, 5, OutChunkSize, OutChunkSize + 5, 2*OutChunkSize + 1, len(payload)} {
			for _, head := range []int{0, 1, 5, 17, OutChunkSize - 1, OutChunkSize, OutChunkSize + 1} {
				if head > n {
					continue
				}
				m := Message{Type: Video, StreamID: 1, Timestamp: ts, ChunkID: 6, Payload: payload[:n]}
				want := bytes.Join(Split(m), nil)
				m.Payload = payload[:head]
				c := SplitTail(m, payload[head:n])
				if !bytes.Equal(bytes.Join(c, nil), want) {
					t.Fatalf("time %d, %d and %d bytes: got other chunks; want those of Split", ts, head, n-head)
				}
				if head < 20 && n > head && &c[1][0] != &payload[head] {
					t.Fatalf("%d and %d bytes: got a copied tail; want the given one", head, n-head)
				}
			}
		}
	}
}

func TestAppendToSharesAllButTheHeader(t *testing.T) {
	t.Parallel()
	c := Split(Message{Type: Video, StreamID: 1, Payload: make([]byte, 10)})
	first, other := c.AppendTo(nil, 1), c.AppendTo(nil, 2)
	if &first[0][0] != &c[0][0] {
		t.Error("got a copied header; want the shared one")
	}
	if &other[0][0] == &c[0][0] || c[0][8] != 1 || other[0][8] != 2 {
		t.Error("got the shared header changed; want a copy")
	}
	if &other[1][0] != &c[1][0] {
		t.Error("got a copied payload; want the shared one")
	}
	if got := Chunked(nil).AppendTo(nil, 1); got != nil {
		t.Errorf("got %v; want nothing", got)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(unhex(f, "03 000000 000082 08 01000000"+body(128)+"04 000000 000002 09 01000000 abcd c3 abab"))
	f.Add(unhex(f, "03 ffffff 000082 08 01000000 01020304"+body(128)+"c3 01020304 abab"))
	f.Add(unhex(f, "02 000000 000004 01 00000000 00000100 43 00000a 000002 14 abcd 83 000005 abcd c3 abcd"))
	f.Add(unhex(f, "02 000000 000004 02 00000000 00000003 01 ffff 000000 000000 08 01000000"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		for {
			m, err := r.Read()
			if r.partial < 0 || r.partial > MaxPartial {
				t.Fatalf("got %d bytes of partial messages", r.partial)
			}
			if err != nil {
				break
			}
			got, err := all(bytes.NewReader(Append(nil, m, DefaultChunkSize)))
			if err != nil && !errors.Is(err, ErrControl) {
				t.Fatal(err)
			}
			if err == nil {
				if len(got) != 1 || !same(got[0], m) {
					t.Fatalf("got %v; want %v", got, m)
				}
			}
		}
	})
}

// loop gives the same bytes for ever.
type loop struct {
	b  []byte
	at int
}

func (l *loop) Read(p []byte) (int, error) {
	n := copy(p, l.b[l.at:])
	l.at = (l.at + n) % len(l.b)
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	for name, size := range map[string]int{"chunk=128": 128, "chunk=4096": 4096, "chunk=60000": 60000} {
		b.Run(name, func(b *testing.B) {
			m := Message{Type: Video, StreamID: 1, ChunkID: 6, Payload: make([]byte, 12_000)}
			l := &loop{b: Append(nil, m, size)}
			set := Append(nil, Message{Type: SetChunkSize, ChunkID: 2, Payload: []byte{0, 0, byte(size >> 8), byte(size)}}, DefaultChunkSize)
			r := NewReader(io.MultiReader(bytes.NewReader(set), l))
			r.Large()
			b.SetBytes(int64(len(m.Payload)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	m := Message{Type: Video, StreamID: 1, ChunkID: 6, Payload: make([]byte, 12_000)}
	b.SetBytes(int64(len(m.Payload)))
	b.ReportAllocs()
	var dst net.Buffers
	for b.Loop() {
		dst = Split(m).AppendTo(dst[:0], 1)
	}
}
