package mpegts

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"
	"time"

	"weir/transmux"
)

// strict checks what every Out may rely on.
type strict struct {
	t    *testing.T
	kept int
}

func (s *strict) SetTracks(tracks []*transmux.Track) {
	seen := make(map[int]bool)
	for _, t := range tracks {
		if t == nil || t.ID < 0 || t.ID > 0xffff {
			s.t.Fatalf("got track %+v; want an ID of 16 bits", t)
		}
		seen[t.ID] = true
	}
}

func (s *strict) Write(au transmux.AccessUnit) error {
	if au.Track == nil || len(au.Data) == 0 || au.PTS < au.DTS {
		s.t.Fatalf("got unit %+v; want one with track, data and PTS >= DTS", au)
	}
	s.kept += len(au.Data)
	return nil
}

func FuzzDemux(f *testing.F) {
	for _, name := range []string{"bbb_1s.ts", "obs_hevc_aac.ts", "avc_with_time.ts"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:60*PacketSize], uint16(1316))
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		out := &strict{t: t}
		d := New(out, Options{})
		for rest := b; len(rest) > 0; {
			n := min(int(piece)+1, len(rest))
			if err := d.Write(rest[:n], time.Time{}); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
		d.Programs()
		if out.kept > 4*len(b)+1000 {
			t.Fatalf("got %d bytes of units from %d; want no more than came", out.kept, len(b))
		}
	})
}

// The elementary streams behind valid tables: each byte string goes to one stream of each kind.
func FuzzStreams(f *testing.F) {
	types := []uint8{typeMPEG2Video, typeMPEG1Audio, typeADTS, typeMPEG4Video, typeLATM, typeMetadata, typeH264, typeH265, typeAC3, typeSCTE35, typePrivate}
	var entries []pmtEntry
	for i, v := range types {
		entries = append(entries, pmtEntry{streamType: v, pid: uint16(0x100 + i)})
	}
	entries = append(entries, pmtEntry{typePrivate, 0x180, registration(registeredAV1)}, pmtEntry{typePrivate, 0x181, registration(registeredOpus)})
	for i := range entries {
		f.Add(uint8(i), picture264(true, 2, 40), picture264(false, 1, 40), true)
		f.Add(uint8(i), picture262(1, 1), []byte{0xff, 0xf1, 0x4c, 0x80, 1, 0x1f, 0xfc, 0}, false)
		f.Add(uint8(i), []byte{0x56, 0xe0, 4, 0x20, 0, 0x11, 0x90}, []byte{0x0b, 0x77, 0, 2, 0x34, 0x80, 0, 0}, false)
		f.Add(uint8(i), []byte{0x7f, 0xfc, 3, 0, 1, 0, 1, 2, 9, 9, 1, 2, 3}, []byte{0, 0, 1, 0x0a, 1, 0, 0, 3, 0}, true)
	}
	f.Fuzz(func(t *testing.T, which uint8, a, b []byte, bounded bool) {
		e := entries[int(which)%len(entries)]
		s := newBuilder(entries...)
		for i := range 3 {
			at := time.Duration(i) * step
			s.pes(e.pid, at, at, a, bounded && len(a) < 60000).pes(e.pid, -1, -1, b, bounded && len(b) < 60000)
		}
		d := New(&strict{t: t}, Options{})
		if err := d.Write(s.bytes(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
	})
}

// Sections with a CRC that is right reach their parsers.
func FuzzTables(f *testing.F) {
	m := NewMuxer(MuxOptions{})
	m.Tracks([]*transmux.Track{{ID: 1, Codec: transmux.H264}, {ID: 2, Codec: transmux.Opus, Lang: "deu"}, {ID: 3, Codec: transmux.SCTE35}})
	for pid, s := range map[uint16][]byte{patPID: m.psi.pat, m.psi.pmtPID: m.psi.pmt, sdtPID: m.psi.sdt} {
		f.Add(pid, s)
	}
	f.Fuzz(func(t *testing.T, pid uint16, s []byte) {
		if len(s) < 12 || len(s) > 4000 {
			return
		}
		s = slices.Clone(s)
		binary.BigEndian.PutUint16(s[1:], uint16(0xb000|len(s)-3))
		binary.BigEndian.PutUint32(s[len(s)-4:], sectionCRC(s[:len(s)-4]))
		b := newBuilder(pmtEntry{streamType: typeH264, pid: 0x100})
		b.m.writeSection(pid&0x1fff, s)
		b.m.writePSI(0, true)
		d := New(&strict{t: t}, Options{})
		if err := d.Write(b.bytes(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		d.Programs()
		if table, ok := parseTable(s); ok {
			parsePAT(table.body)
			parsePMT(table.body)
			parseSDT(table.body)
			language(table.body)
		}
	})
}

func FuzzPES(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0xe0, 0, 0, 0x84, 0xc0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1})
	f.Add([]byte{0, 0, 1, 0xbe, 0, 10})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, ok := parsePES(b)
		if ok && (n > len(b) || n > 0 && n < 6 || h.length < -1 || h.hasDTS && !h.hasPTS) {
			t.Fatalf("got %+v of %d bytes, %v; want a head within %d bytes", h, n, ok, len(b))
		}
		parseOpusControl(b)
		if len(b) >= PacketSize {
			adaptation(b)
			PCR(b)
		}
	})
}
