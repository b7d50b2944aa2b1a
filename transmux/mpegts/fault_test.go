package mpegts

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"weir/transmux"
)

// each calls f for every packet of a stream of 188 byte packets and joins what it returns.
func each(ts []byte, f func(i int, p []byte) []byte) (out []byte) {
	for i := 0; i+PacketSize <= len(ts); i += PacketSize {
		out = append(out, f(i/PacketSize, bytes.Clone(ts[i:i+PacketSize]))...)
	}
	return out
}

func pidOf(p []byte) uint16 { return uint16(p[1]&0x1f)<<8 | uint16(p[2]) }

func clean(t testing.TB) []byte {
	return readFile(t, makeFile(t, "a.ts", append(source(append(x264(), "-c:a", "aac")...), "-f", "mpegts")...))
}

func TestFaultsWithoutLoss(t *testing.T) {
	t.Parallel()
	ts := clean(t)
	want, _ := demux(t, ts, Options{}, len(ts))
	junk := bytes.Repeat([]byte{syncByte, 1, 2, 3, 0xff}, 200)
	for _, c := range []struct {
		name  string
		ts    []byte
		check func(n Counters) bool
	}{
		{"takes packets that are sent twice once", each(ts, func(_ int, p []byte) []byte { return append(p, p...) }),
			func(n Counters) bool { return n.Duplicates == n.Packets/2 && n.CC == 0 }},
		{"ignores null packets whatever they count", each(ts, func(i int, p []byte) []byte {
			null := bytes.Repeat([]byte{0xff}, PacketSize)
			null[0], null[1], null[2], null[3] = syncByte, 0x1f, 0xff, 0x10|byte(i&7)
			return append(p, null...)
		}), func(n Counters) bool { return n.Null == n.Packets/2 && n.CC == 0 }},
		{"finds the first packet behind garbage", append(bytes.Clone(junk), ts...),
			func(n Counters) bool { return n.Skipped == uint64(len(junk)) }},
		{"steps over garbage between packets", each(ts, func(i int, p []byte) []byte {
			if i%100 == 50 {
				// The packet before it cannot be told from a damaged one, so it is sent twice.
				return slices.Concat(p, p, junk[1:77])
			}
			return p
		}), func(n Counters) bool { return n.SyncLoss > 0 && n.CC == 0 }},
		{"reads the 204 byte form", each(ts, func(_ int, p []byte) []byte { return append(p, make([]byte, 16)...) }),
			func(n Counters) bool { return n.SyncLoss == 0 }},
		{"drops packets that are marked as damaged", each(ts, func(_ int, p []byte) []byte {
			bad := bytes.Clone(p)
			bad[1] |= 0x80
			bad[3] ^= 5
			return append(bad, p...)
		}), func(n Counters) bool { return n.TEI == n.Packets/2 && n.CC == 0 }},
		{"drops packets with an impossible adaptation field", each(ts, func(_ int, p []byte) []byte {
			bad := bytes.Clone(p)
			bad[3], bad[4] = bad[3]|0x30, 200
			return append(bad, p...)
		}), func(n Counters) bool { return n.Malformed == n.Packets/2 && n.CC == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1, 188, 1000, 1316, len(c.ts)} {
				got, d := demux(t, c.ts, Options{}, piece)
				for _, id := range []int{256, 257} {
					compare(t, "units", ours(got.of(id), nil), ours(want.of(id), nil), true)
				}
				if n := d.Counters(); !c.check(n) {
					t.Errorf("pieces of %d: got counters %+v", piece, n)
				}
			}
		})
	}
}

func TestFaultsWithLoss(t *testing.T) {
	t.Parallel()
	ts := clean(t)
	whole, _ := demux(t, ts, Options{}, len(ts))
	for _, c := range []struct {
		name   string
		damage func(r *rand.Rand, ts []byte) (out []byte, lost uint64)
	}{
		{"drops what is cut by lost packets", func(r *rand.Rand, ts []byte) (out []byte, lost uint64) {
			out = each(ts, func(i int, p []byte) []byte {
				if i > 50 && r.IntN(100) == 0 {
					lost++
					return nil
				}
				return p
			})
			return out, lost
		}},
		{"drops only the packet whose sync byte is damaged", func(_ *rand.Rand, ts []byte) (out []byte, lost uint64) {
			out = each(ts, func(i int, p []byte) []byte {
				if i%50 == 49 {
					lost++
					p[0] ^= 0xff
				}
				return p
			})
			return out, lost
		}},
		{"drops what is cut by lost bytes", func(_ *rand.Rand, ts []byte) (out []byte, lost uint64) {
			out = each(ts, func(i int, p []byte) []byte {
				if i%50 == 49 {
					lost++
					return p[:138]
				}
				return p
			})
			return out, lost
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			damaged, lost := c.damage(rand.New(rand.NewPCG(1, 2)), ts)
			got, d := demux(t, damaged, Options{}, 1316)
			n := d.Counters()
			if n.CC == 0 || n.Lost < lost*9/10 || n.Lost > lost {
				t.Errorf("got %d lost packets in %d places; want about %d", n.Lost, n.CC, lost)
			}
			for _, id := range []int{256, 257} {
				have, want := ours(got.of(id), nil), ours(whole.of(id), nil)
				if len(have) < len(want)/3 || len(have) >= len(want) {
					t.Errorf("PID %d: got %d units; want most but not all of %d", id, len(have), len(want))
				}
				gaps := 0
				last := -1
				for i, u := range got.of(id) {
					at := slices.Index(want, have[i])
					if at < 0 {
						t.Fatalf("PID %d: got a unit at %v that was never sent", id, u.DTS)
					}
					if (at != last+1) != u.Gap {
						t.Errorf("PID %d unit %d: got gap %v; want %v", id, i, u.Gap, at != last+1)
					}
					if u.Gap {
						gaps++
					}
					last = at
				}
				if gaps == 0 {
					t.Errorf("PID %d: got no unit with Gap; want some", id)
				}
			}
		})
	}
}

func TestScrambled(t *testing.T) {
	t.Parallel()
	ts := clean(t)
	want, _ := demux(t, ts, Options{}, len(ts))
	got, d := demux(t, each(ts, func(_ int, p []byte) []byte {
		if pidOf(p) == 257 {
			p[3] |= 0xc0
		}
		return p
	}), Options{}, 1316)
	if len(got.tracks) != 2 || got.sets != 1 {
		t.Errorf("got %d tracks in %d sets; want both at once", len(got.tracks), got.sets)
	}
	compare(t, "video", ours(got.of(256), nil), ours(want.of(256), nil), true)
	if n := len(got.of(257)); n != 0 || d.Counters().Scrambled == 0 {
		t.Errorf("got %d units and %d scrambled packets; want no units", n, d.Counters().Scrambled)
	}
	if s := d.Programs()[0].Streams[1]; !s.Scrambled {
		t.Errorf("got %+v; want it marked as scrambled", s)
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	path := makeFile(t, "m.ts", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000",
		"-t", "2", "-map", "0:v", "-map", "1:a", "-map", "0:v", "-map", "1:a", "-map", "1:a",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a:0", "mp2", "-c:a:1", "aac", "-c:a:2", "ac3",
		"-metadata:s:3", "language=eng", "-metadata:s:4", "language=fra",
		"-program", "title=One:program_num=11:st=0:st=1", "-program", "title=Two:program_num=22:st=2:st=3:st=4", "-f", "mpegts")
	ts := readFile(t, path)
	for _, c := range []struct {
		name    string
		program int
		tracks  []string
	}{
		{"takes the first without a wish", 0, []string{"h264/", "mp3/"}},
		{"takes one by number", 11, []string{"h264/", "mp3/"}},
		{"takes another by number", 22, []string{"h264/", "aac/eng", "ac3/fra"}},
		{"takes none that is not there", 33, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, d := demux(t, ts, Options{Program: c.program}, 1316)
			var got []string
			for _, tr := range k.tracks {
				got = append(got, string(tr.Codec)+"/"+tr.Lang)
			}
			if !slices.Equal(got, c.tracks) {
				t.Errorf("got tracks %v; want %v", got, c.tracks)
			}
			p := d.Programs()
			if len(p) != 2 || p[0].Name != "One" || p[1].Name != "Two" || p[1].Number != 22 || len(p[1].Streams) != 3 {
				t.Fatalf("got programs %+v; want One and Two", p)
			}
			if rate := p[1].Streams[1].Rate; rate < 50_000 || rate > 400_000 {
				t.Errorf("got %d bit/s of audio; want about 130000", rate)
			}
			for _, tr := range k.tracks {
				if len(k.of(tr.ID)) < 40 {
					t.Errorf("got %d units of PID %d; want those of 2 s", len(k.of(tr.ID)), tr.ID)
				}
			}
		})
	}
}

func TestSilentProgram(t *testing.T) {
	t.Parallel()
	ts := clean(t)
	// A PAT with a program before the one that is there.
	pat := section(tablePAT, 1, 3, []byte{0, 9, 0xe9, 0x99, 0, 1, 0xf0, 0x00})
	cc := byte(0)
	ts = each(ts, func(_ int, p []byte) []byte {
		if pidOf(p) != patPID {
			return p
		}
		m := NewMuxer(MuxOptions{})
		m.writeSection(patPID, pat)
		m.out[3] = 0x10 | cc
		cc = (cc + 1) & 0x0f
		return m.out
	})
	k, d := demux(t, ts, Options{}, 1316)
	if len(k.tracks) != 2 || len(k.of(256)) < 60 {
		t.Errorf("got %d tracks, %d units; want those of the second program", len(k.tracks), len(k.of(256)))
	}
	if p := d.Programs(); len(p) != 2 || p[0].Selected || !p[1].Selected {
		t.Errorf("got programs %+v; want the second selected", p)
	}
}

// A stream that changes its PIDs and codecs, and one that never sends what it announces.
func TestChanges(t *testing.T) {
	t.Parallel()
	first := clean(t)
	second := readFile(t, makeFile(t, "b.ts", append(source("-c:v", "mpeg2video", "-c:a", "mp2"),
		"-f", "mpegts", "-mpegts_start_pid", "0x200", "-output_ts_offset", "3")...))
	same := readFile(t, makeFile(t, "c.ts", append(source("-c:v", "mpeg2video", "-c:a", "aac"),
		"-f", "mpegts", "-output_ts_offset", "3")...))
	for _, c := range []struct {
		name   string
		ts     []byte
		counts map[int]int
		sets   int
	}{
		{"follows a PMT with other PIDs", slices.Concat(first, second), map[int]int{256: 75, 257: 142, 512: 75, 513: 125}, 2},
		{"follows a PMT with another codec on the same PID", slices.Concat(first, same), map[int]int{256: 150, 257: 284}, 2},
		{"does not wait for a silent PID", each(first, func(_ int, p []byte) []byte {
			if pidOf(p) == 257 {
				return nil
			}
			return p
		}), map[int]int{256: 75, 257: 0}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, _ := demux(t, c.ts, Options{}, 1316)
			for id, want := range c.counts {
				if got := len(k.of(id)); got < want-1 || got > want+1 {
					t.Errorf("got %d units of PID %d; want %d", got, id, want)
				}
			}
			if k.sets != c.sets {
				t.Errorf("got %d sets of tracks; want %d", k.sets, c.sets)
			}
		})
	}
}

func TestWriteStopsWhenNobodyWantsMore(t *testing.T) {
	t.Parallel()
	ts := readFile(t, "testdata/bbb_1s.ts")
	d := New(refusing{}, Options{})
	if err := d.Write(ts, time.Time{}); err != transmux.ErrReplaced {
		t.Errorf("got %v; want %v", err, transmux.ErrReplaced)
	}
	if err := d.Flush(); err != transmux.ErrReplaced {
		t.Errorf("got %v at the end; want %v", err, transmux.ErrReplaced)
	}
}

type refusing struct{}

func (refusing) SetTracks([]*transmux.Track)     {}
func (refusing) Write(transmux.AccessUnit) error { return transmux.ErrReplaced }
