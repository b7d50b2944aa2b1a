package mpegts

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"weir/transmux"
)

// builder writes streams that no sane muxer writes.
type builder struct{ m *Muxer }

// newBuilder begins a stream of one program with the entries of a PMT.
func newBuilder(entries ...pmtEntry) *builder {
	b := &builder{m: NewMuxer(MuxOptions{})}
	for _, e := range entries {
		b.m.tracks = append(b.m.tracks, &muxTrack{pid: e.pid, streamType: e.streamType, desc: e.descriptors})
	}
	b.m.pcrPID = entries[0].pid
	b.m.psi.setPMT(b.m)
	b.m.writePSI(0, true)
	return b
}

// pes writes one PES packet; a time below 0 is none, and bounded tells its length.
func (b *builder) pes(pid uint16, pts, dts time.Duration, payload []byte, bounded bool) *builder {
	head := []byte{0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0}
	if pts >= 0 {
		head[7], head[8] = 0xc0, 10
		head = appendTime(head, 3, ticks90(pts))
		head = appendTime(head, 1, ticks90(dts))
	}
	if n := len(head) - 6 + len(payload); bounded {
		head[4], head[5] = byte(n>>8), byte(n)
	}
	all := append(head, payload...)
	for first := true; len(all) > 0; first = false {
		n := min(len(all), PacketSize-4)
		p := []byte{syncByte, byte(pid >> 8), byte(pid), 0x10 | b.next(pid)}
		if first {
			p[1] |= 0x40
		}
		if stuffing := PacketSize - 4 - n; stuffing > 0 {
			p[3] |= 0x20
			p = append(p, byte(stuffing-1))
			if stuffing > 1 {
				p = append(p, 0)
			}
			for range stuffing - 2 {
				p = append(p, 0xff)
			}
		}
		b.m.out = append(append(b.m.out, p...), all[:n]...)
		all = all[n:]
	}
	return b
}

func (b *builder) next(pid uint16) byte {
	cc := b.m.counter(pid)
	*cc = (*cc + 1) & 0x0f
	return *cc
}

func (b *builder) bytes() []byte { return b.m.out }

// picture264 is an H.264 picture of slices, without delimiter, of which no decoder is expected to make anything.
func picture264(key bool, slices, size int) (au []byte) {
	if key {
		au = append(au, 0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0a, 0xda, 0x0f, 0x6c, 0x04, 0x40, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80)
	}
	for i := range slices {
		kind, first := byte(0x41), byte(0x80)
		if key {
			kind = 0x65
		}
		if i > 0 {
			first = 0x40
		}
		au = append(au, 0, 0, 1, kind, first)
		for j := range size {
			au = append(au, byte(j)|0x11)
		}
	}
	return au
}

const step = 40 * time.Millisecond

func times(units []transmux.AccessUnit) (out []time.Duration) {
	for _, u := range units {
		out = append(out, u.DTS.Round(time.Microsecond))
	}
	return out
}

func TestUnitsAndPES(t *testing.T) {
	t.Parallel()
	const pid = 0x100
	var stream []byte
	var pictures [][]byte
	for i := range 12 {
		p := picture264(i%4 == 0, 3, 500+i)
		pictures = append(pictures, p)
		stream = append(stream, p...)
	}
	begin := func() *builder { return newBuilder(pmtEntry{streamType: typeH264, pid: pid}) }
	at := func(i int) time.Duration { return time.Second + time.Duration(i)*step }
	for _, c := range []struct {
		name  string
		build func() *builder
		skip  int // units that may be missing or broken in the beginning
	}{
		{"takes a unit of each PES packet", func() *builder {
			b := begin()
			for i, p := range pictures {
				b.pes(pid, at(i), at(i), p, false)
			}
			return b
		}, 0},
		{"takes a unit of each PES packet that tells its length", func() *builder {
			b := begin()
			for i, p := range pictures {
				b.pes(pid, at(i), at(i), p, true)
			}
			return b
		}, 0},
		{"splits two units in a PES packet", func() *builder {
			b := begin()
			for i := 0; i < len(pictures); i += 2 {
				b.pes(pid, at(i), at(i), slices.Concat(pictures[i], pictures[i+1]), true)
			}
			return b
		}, 0},
		{"makes up times that are not told", func() *builder {
			b := begin()
			for i, p := range pictures {
				if i%4 < 2 {
					b.pes(pid, at(i), at(i), p, true)
				} else {
					b.pes(pid, -1, -1, p, true)
				}
			}
			return b
		}, 0},
		{"takes headers from a PES packet of their own", func() *builder {
			b := begin()
			for i, p := range pictures {
				if i%4 == 0 {
					b.pes(pid, at(i), at(i), p[:21], true)
					p = p[21:]
				}
				b.pes(pid, at(i), at(i), p, true)
			}
			return b
		}, 0},
		{"takes headers from the end of the PES packet before", func() *builder {
			b := begin()
			for i, p := range pictures {
				if i > 0 && i%4 == 0 {
					p = p[21:]
				}
				if i < 11 && i%4 == 3 {
					p = slices.Concat(p, pictures[i+1][:21])
				}
				b.pes(pid, at(i), at(i), p, true)
			}
			return b
		}, 0},
		{"splits many units in a PES packet", func() *builder {
			return begin().pes(pid, at(0), at(0), slices.Concat(pictures[0], pictures[1]), true).
				pes(pid, at(2), at(2), slices.Concat(pictures[2:]...), true)
		}, 0},
		{"joins units that go over PES packets", func() *builder {
			b := begin()
			ends := make([]int, 0, len(pictures))
			n := 0
			for _, p := range pictures {
				n += len(p)
				ends = append(ends, n)
			}
			for pos, unit := 0, 0; pos < len(stream); pos += 1000 {
				// The time is that of the first unit that begins in the packet.
				next := min(pos+1000, len(stream))
				for unit < len(ends) && (unit == 0 && pos > 0 || unit > 0 && ends[unit-1] < pos) {
					unit++
				}
				begins := 0
				if unit > 0 {
					begins = ends[unit-1]
				}
				when := time.Duration(-1)
				if unit < len(pictures) && begins >= pos && begins < next {
					when = at(unit)
				}
				b.pes(pid, when, when, stream[pos:next], true)
			}
			return b
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, d := demux(t, c.build().bytes(), Options{}, 188)
			units := k.of(pid)
			if len(units) < len(pictures)-c.skip || len(units) > len(pictures) {
				t.Fatalf("got %d units at %v; want %d; %+v", len(units), times(units), len(pictures), d.Counters())
			}
			for i := range len(pictures) - c.skip {
				got := units[len(units)-1-i]
				n := len(pictures) - 1 - i
				if want := at(n); got.DTS.Round(time.Microsecond) != want || got.Key != (n%4 == 0) {
					t.Errorf("unit %d: got %v, key %v; want %v, key %v", n, got.DTS, got.Key, want, n%4 == 0)
				}
				var want []byte
				for nalu := range annexB(pictures[n]) {
					want = append(append(want, 0, 0, 0, 1), nalu...)
				}
				var have []byte
				for nalu := range got.NALUs() {
					have = append(append(have, 0, 0, 0, 1), nalu...)
				}
				if !slices.Equal(have, want) {
					t.Errorf("unit %d: got %d bytes; want %d", n, len(have), len(want))
				}
			}
		})
	}
}

// annexB is an independent way to take NAL units apart: the pictures above hold no zeros.
func annexB(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		from := -1
		for i := 0; i+2 < len(b); i++ {
			if b[i] != 0 || b[i+1] != 0 || b[i+2] != 1 {
				continue
			}
			if end := i; from >= 0 {
				if b[end-1] == 0 {
					end--
				}
				if !yield(b[from:end]) {
					return
				}
			}
			from = i + 3
		}
		yield(b[from:])
	}
}

// Many tiny units in one PES packet cost no more than many bytes.
func TestTinyUnits(t *testing.T) {
	t.Parallel()
	b := newBuilder(pmtEntry{streamType: typeH264, pid: 0x100})
	b.pes(0x100, 0, 0, bytes.Repeat([]byte{0, 0, 1, 0x41, 0x80}, 1<<17), false)
	k, d := demux(t, b.bytes(), Options{}, 1<<20)
	if len(k.units) != 1<<17 || d.Counters().Oversize != 0 {
		t.Errorf("got %d units; want %d", len(k.units), 1<<17)
	}
}

func TestHandsOutAtTheLastByte(t *testing.T) {
	t.Parallel()
	const pid = 0x100
	for _, c := range []struct {
		name    string
		bounded bool
		want    []int // units after each PES packet
	}{
		{"hands out at the last byte if the length is told", true, []int{1, 2, 3}},
		{"hands out when the next begins if not", false, []int{0, 1, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBuilder(pmtEntry{streamType: typeH264, pid: pid})
			k := &taken{}
			d := New(k, Options{})
			// Sync is confirmed by the tables and what follows them.
			for range 3 {
				b.m.writePSI(0, true)
			}
			for i, want := range c.want {
				at := time.Duration(i) * step
				b.pes(pid, at, at, picture264(i == 0, 1, 900), c.bounded)
				if err := d.Write(b.bytes(), time.Unix(int64(i), 0)); err != nil {
					t.Fatal(err)
				}
				b.m.out = nil
				if got := len(k.units); got != want {
					t.Errorf("after PES packet %d: got %d units; want %d", i, got, want)
				}
			}
			if got := k.units[0].Arrived; got.IsZero() {
				t.Error("got no time of arrival; want that of the last byte")
			}
		})
	}
}

// picture262 is an MPEG-2 picture of one slice: structure 1 top field, 2 bottom field, 3 frame.
func picture262(structure byte, fill byte) []byte {
	return []byte{0, 0, 1, 0, 0, 0x08, 0xff, 0xf8, 0, 0, 1, 0xb5, 0x8f, 0xff, 0xf0 | structure, 0x80, 0, 0, 1, 1, fill, fill, fill}
}

func TestFieldPairs(t *testing.T) {
	t.Parallel()
	const pid = 0x100
	b := newBuilder(pmtEntry{streamType: typeMPEG2Video, pid: pid})
	var want []int
	for i := range 4 {
		at := time.Second + time.Duration(i)*step
		b.pes(pid, at, at, picture262(1, 0x22), true)
		b.pes(pid, at+step/2, at+step/2, picture262(2, 0x33), true)
		want = append(want, 46)
	}
	b.pes(pid, 2*time.Second, 2*time.Second, picture262(3, 0x44), true)
	k, _ := demux(t, b.bytes(), Options{}, 188)
	var got []int
	for _, u := range k.units {
		got = append(got, len(u.Data))
	}
	if want = append(want, 23); !slices.Equal(got, want) {
		t.Errorf("got units of %v bytes; want %v: both fields in one", got, want)
	}
	if got, want := k.units[1].DTS, time.Second+step; got != want {
		t.Errorf("got the second frame at %v; want %v", got, want)
	}
}

func TestAudioOverPES(t *testing.T) {
	t.Parallel()
	const pid = 0x101
	ts := clean(t)
	k, _ := demux(t, ts, Options{}, len(ts))
	want := k.of(257)
	m := NewMuxer(MuxOptions{})
	m.Tracks(k.tracks)
	var stream []byte
	starts := make(map[int]time.Duration)
	for i := range want {
		m.pay.fill(m.track(want[i].Track), &want[i])
		starts[len(stream)] = want[i].PTS
		for _, p := range m.pay.parts[1:] {
			stream = append(stream, p...)
		}
	}
	for _, size := range []int{100, 777, 5000} {
		b := newBuilder(pmtEntry{streamType: typeADTS, pid: pid})
		for pos := 0; pos < len(stream); pos += size {
			end := min(pos+size, len(stream))
			when := time.Duration(-1)
			for i := pos; i < end && when < 0; i++ {
				if at, ok := starts[i]; ok {
					when = at
				}
			}
			b.pes(pid, when, when, stream[pos:end], true)
		}
		got, d := demux(t, b.bytes(), Options{}, 1000)
		compare(t, "frames", ours(got.of(pid), nil), ours(want, nil), true)
		if n := d.Counters(); n.Frame+n.Untimed != 0 {
			t.Errorf("got counters %+v; want no errors", n)
		}
	}
}
