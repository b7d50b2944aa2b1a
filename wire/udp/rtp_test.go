package udp

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// packets makes n TS packets of the given size with numbered payloads.
func packets(n, size int) []byte {
	var b []byte
	for i := range n {
		p := bytes.Repeat([]byte{byte(i)}, size)
		if size == 192 {
			p[4] = syncByte
		} else {
			p[0] = syncByte
		}
		b = append(b, p...)
	}
	return b
}

func rtp(h Header, payload []byte) []byte { return append(h.Append(nil), payload...) }

func TestParseRTP(t *testing.T) {
	t.Parallel()
	h := Header{PayloadType: 33, Marker: true, Sequence: 65535, Timestamp: 1 << 31, SSRC: 7}
	base := rtp(h, []byte("payload"))
	with := func(first byte, rest ...byte) []byte {
		b := slices.Clone(base[:HeaderSize])
		b[0] = first
		return append(b, rest...)
	}
	for _, tt := range []struct {
		it   string
		in   []byte
		want string
		ok   bool
	}{
		{"takes a plain packet", base, "payload", true},
		{"leaves out contributors", with(0x82, append(make([]byte, 8), "x"...)...), "x", true},
		{"leaves out an extension", with(0x90, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, 'x'), "x", true},
		{"leaves out padding", with(0xa0, 'x', 0, 0, 3), "x", true},
		{"takes an empty payload", with(0x80), "", true},
		{"refuses another version", with(0x40, 'x'), "", false},
		{"refuses a short header", base[:11], "", false},
		{"refuses contributors that are cut off", with(0x8f, 'x'), "", false},
		{"refuses an extension that is cut off", with(0x90, 0, 0, 0xff, 0xff), "", false},
		{"refuses padding of nothing", with(0xa0, 'x', 0), "", false},
		{"refuses padding beyond the payload", with(0xa0, 'x', 200), "", false},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			got, payload, ok := ParseRTP(tt.in)
			if ok != tt.ok || string(payload) != tt.want {
				t.Fatalf("got %q, %v; want %q, %v", payload, ok, tt.want, tt.ok)
			}
			if ok && got != h {
				t.Errorf("got %+v; want %+v", got, h)
			}
		})
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	header := Header{PayloadType: 33, Timestamp: 0x47000000}
	for _, tt := range []struct {
		it   string
		in   []byte
		want Encapsulation
	}{
		{"knows 7 packets of 188 bytes", packets(7, 188), Raw},
		{"knows 1 packet", packets(1, 188), Raw},
		{"knows 64 packets of 204 bytes", packets(64, 204), Raw},
		{"knows packets of 192 bytes", packets(7, 192), Raw},
		{"knows RTP", rtp(header, packets(7, 188)), RTP},
		{"knows RTP of 192 byte packets", rtp(header, packets(7, 192)), RTP},
		{"is not fooled by RTP with the length of 192 byte packets", rtp(header, packets(3, 188)), RTP},
		{"does not guess", []byte("hello"), Undecided},
		{"does not guess from RTP with something else in it", rtp(header, make([]byte, 188)), Undecided},
		{"survives nothing", nil, Undecided},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			if got := classify(tt.in); got != tt.want {
				t.Errorf("got %s; want %s", got, tt.want)
			}
		})
	}
}

func TestUnwrapperTakesCutPacketsAfterAWhile(t *testing.T) {
	t.Parallel()
	stream := packets(40, 188)[100:]
	var u Unwrapper
	var got []byte
	for chunk := range slices.Chunk(stream, 500) {
		u.Push(chunk, time.Time{}, func(b []byte, _ bool) { got = append(got, b...) })
	}
	if u.Encapsulation() != Raw {
		t.Errorf("got %s; want raw", u.Encapsulation())
	}
	if want := stream[undecidedLimit*500:]; !bytes.Equal(got, want) {
		t.Errorf("got %d bytes; want the last %d", len(got), len(want))
	}
}

func TestReorderer(t *testing.T) {
	t.Parallel()
	type in struct {
		seq  uint16
		ssrc uint32
		at   time.Duration
	}
	run := func(from, n int, at time.Duration) (out []in) {
		for i := range n {
			out = append(out, in{seq: uint16(from + i), at: at})
		}
		return out
	}
	seqs := func(from, n int) (out []uint16) {
		for i := range n {
			out = append(out, uint16(from+i))
		}
		return out
	}
	for _, tt := range []struct {
		it    string
		in    []in
		want  []uint16
		lost  []uint16 // those handed on with lost set
		stats RTPStats
	}{
		{"passes what is in order, across the wrap", run(65534, 4, 0), seqs(65534, 4), nil, RTPStats{Received: 4}},
		{"swaps two", []in{{seq: 1}, {seq: 3}, {seq: 2}, {seq: 4}}, seqs(1, 4), nil, RTPStats{Received: 4, Reordered: 1}},
		{"drops duplicates, of those that wait as well", []in{{seq: 1}, {seq: 1}, {seq: 3}, {seq: 3}, {seq: 2}, {seq: 2}}, seqs(1, 3), nil,
			RTPStats{Received: 6, Reordered: 1, Duplicates: 3}},
		{"gives up after 50 ms", []in{{seq: 1}, {seq: 3}, {seq: 4, at: 49 * time.Millisecond}, {seq: 5, at: 51 * time.Millisecond}},
			[]uint16{1, 3, 4, 5}, []uint16{3}, RTPStats{Received: 4, Lost: 1}},
		{"counts what comes after it was given up", []in{{seq: 1}, {seq: 3}, {seq: 4, at: 51 * time.Millisecond}, {seq: 2, at: 51 * time.Millisecond}},
			[]uint16{1, 3, 4}, []uint16{3}, RTPStats{Received: 4, Lost: 1, Late: 1}},
		{"gives up when 64 wait", append([]in{{seq: 0}}, run(2, 64, 0)...), append([]uint16{0}, seqs(2, 64)...), []uint16{2},
			RTPStats{Received: 65, Lost: 1}},
		{"takes a jump of a thousand for loss", []in{{seq: 1}, {seq: 1001}}, []uint16{1, 1001}, []uint16{1001}, RTPStats{Received: 2, Lost: 999}},
		{"begins anew with another source", []in{{seq: 1}, {seq: 3}, {seq: 1, ssrc: 9}, {seq: 2, ssrc: 9}}, []uint16{1, 3, 1, 2}, []uint16{3, 1},
			RTPStats{Received: 4, Lost: 1, Restarts: 1}},
		{"begins anew after a silence", []in{{seq: 30000}, {seq: 5, at: time.Second}}, []uint16{30000, 5}, []uint16{5},
			RTPStats{Received: 2, Restarts: 1}},
		{"begins anew when a run shows it", append([]in{{seq: 30000}}, run(5, 5, 0)...), []uint16{30000, 8, 9}, []uint16{8},
			RTPStats{Received: 6, Late: 3, Restarts: 1}},
		{"never begins anew for a run of duplicates", append(run(1, 10, 0), run(1, 10, 0)...), seqs(1, 10), nil, RTPStats{Received: 20, Duplicates: 10}},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			var r Reorderer
			var got, lost []uint16
			emit := func(b []byte, l bool) {
				seq := uint16(b[0])<<8 | uint16(b[1])
				got = append(got, seq)
				if l {
					lost = append(lost, seq)
				}
			}
			zero := time.Unix(0, 0)
			for _, p := range tt.in {
				r.Expire(zero.Add(p.at), emit)
				r.Push(Header{Sequence: p.seq, SSRC: p.ssrc}, []byte{byte(p.seq >> 8), byte(p.seq)}, zero.Add(p.at), emit)
			}
			r.Expire(zero.Add(time.Hour), emit)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v; want %v", got, tt.want)
			}
			if !slices.Equal(lost, tt.lost) {
				t.Errorf("got lost before %v; want %v", lost, tt.lost)
			}
			if d := cmp.Diff(tt.stats, r.stats); d != "" {
				t.Errorf("stats (-want +got):\n%s", d)
			}
		})
	}
}

// FuzzUnwrapper feeds pieces of its input as datagrams: two bytes of length, one of time in ms, then the datagram.
func FuzzUnwrapper(f *testing.F) {
	add := func(datagrams ...[]byte) {
		var b []byte
		for i, d := range datagrams {
			b = append(b, byte(len(d)>>8), byte(len(d)), byte(i))
			b = append(b, d...)
		}
		f.Add(b)
	}
	add(packets(7, 188), packets(7, 204), packets(7, 192))
	h := Header{PayloadType: 33}
	add(rtp(h, packets(1, 188)), rtp(Header{Sequence: 2}, packets(1, 188)), rtp(Header{Sequence: 1}, packets(1, 188)), rtp(Header{Sequence: 40000}, packets(1, 188)))
	f.Add([]byte{0, 4, 0, 0x9f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var u Unwrapper
		now := time.Unix(0, 0)
		in, out := 0, 0
		emit := func(p []byte, _ bool) { out++ }
		for len(b) >= 3 {
			n := min(int(b[0])<<8|int(b[1]), len(b)-3)
			now = now.Add(time.Duration(b[2]) * time.Millisecond)
			in++
			u.Expire(now, emit)
			u.Push(b[3:3+n], now, emit)
			b = b[3+n:]
		}
		u.Expire(now.Add(time.Hour), emit)
		if u.reorder.waiting != 0 {
			t.Errorf("got %d datagrams still waiting; want 0", u.reorder.waiting)
		}
		s := u.Stats()
		if out+int(s.Duplicates+s.Late+s.Foreign) != in {
			t.Errorf("got %d of %d datagrams out, %+v; want every one accounted for", out, in, s)
		}
	})
}
