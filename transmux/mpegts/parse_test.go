package mpegts

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"weir/transmux"
)

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"reads plain text", "France 2", "France 2"},
		{"reads UTF-8 that says so", "\x15Zürich", "Zürich"},
		{"reads UTF-8 that does not", "Zürich", "Zürich"},
		{"reads Latin-1", "Z\xfcrich", "Zürich"},
		{"reads Latin-9 by its long name", "\x10\x00\x0fZ\xfcrich", "Zürich"},
		{"reads UCS-2", "\x11\x00Z\x00\xfc", "Zü"},
		{"leaves out emphasis and control characters", "\x05A\x86B\x07C\x8aD\n", "ABC D"},
		{"reads nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := dvbText([]byte(c.in)); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		entry pmtEntry
		want  transmux.Codec
		lang  string
	}{
		{"knows AC-3 of DVB", pmtEntry{streamType: 6, descriptors: []byte{descLanguage, 4, 'F', 'R', 'A', 0, descAC3, 1, 0}}, transmux.AC3, "fra"},
		{"knows E-AC-3 by registration", pmtEntry{streamType: 6, descriptors: registration("EAC3")}, transmux.EAC3, ""},
		{"knows teletext and its language", pmtEntry{streamType: 6, descriptors: []byte{descTeletext, 5, 'd', 'e', 'u', 9, 0}}, transmux.Teletext, "deu"},
		{"takes HDMV DTS for private, not for SCTE-35", pmtEntry{streamType: 0x86, descriptors: registration("HDMV")}, transmux.PrivateData, ""},
		{"knows SCTE-35 without registration", pmtEntry{streamType: 0x86}, transmux.SCTE35, ""},
		{"knows ID3 by its metadata descriptor", pmtEntry{streamType: 0x15, descriptors: []byte{descMetadata, 13, 0xff, 0xff, 'I', 'D', '3', ' ', 0xff, 'I', 'D', '3', ' ', 0, 0x0f}}, transmux.ID3, ""},
		{"knows KLV with a short metadata descriptor", pmtEntry{streamType: 0x15, descriptors: []byte{descMetadata, 9, 1, 0, 0xff, 'K', 'L', 'V', 'A', 0, 0x0f}}, transmux.KLV, ""},
		{"ignores a language that is none", pmtEntry{streamType: 0x0f, descriptors: []byte{descLanguage, 4, 0, 1, 2, 0}}, transmux.AAC, ""},
		{"stops at a descriptor that does not fit", pmtEntry{streamType: 6, descriptors: []byte{descAC3, 200, 1}}, transmux.PrivateData, ""},
		{"keeps what it does not know", pmtEntry{streamType: 0xea}, transmux.PrivateData, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.entry.track(); got.Codec != c.want || got.Lang != c.lang {
				t.Errorf("got %s %q; want %s %q", got.Codec, got.Lang, c.want, c.lang)
			}
		})
	}
}

func TestFrameSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		form form
		in   []byte
		want int
	}{
		{"knows layer III of MPEG-1", new(mpa), []byte{0xff, 0xfb, 0x90, 0x64}, 417},
		{"knows layer III of MPEG-2", new(mpa), []byte{0xff, 0xf3, 0x84, 0x64}, 192},
		{"knows layer III of MPEG-2.5", new(mpa), []byte{0xff, 0xe3, 0x48, 0x64}, 288},
		{"knows layer II of MPEG-1", new(mpa), []byte{0xff, 0xfd, 0xa4, 0}, 576},
		{"knows layer II of MPEG-2", new(mpa), []byte{0xff, 0xf5, 0x84, 0}, 384},
		{"knows layer I of MPEG-1", new(mpa), []byte{0xff, 0xff, 0xc4, 0}, 384},
		{"knows AAC where MPEG audio was announced", new(mpa), []byte{0xff, 0xf1, 0x4c, 0x80, 0x10, 0x1f}, 128},
		{"knows AC-3 at 48 kHz", new(ac3), []byte{0x0b, 0x77, 0, 0, 0x14, 0x40, 0, 0}, 768},
		{"knows the longer AC-3 frame at 44.1 kHz", new(ac3), []byte{0x0b, 0x77, 0, 0, 0x55, 0x40, 0, 0}, 836},
		{"knows E-AC-3", new(ac3), []byte{0x0b, 0x77, 0, 0xff, 0x34, 0x80, 0, 0}, 512},
		{"knows LOAS", new(loas), []byte{0x56, 0xe1, 0x02}, 261},
		{"waits for more of a head", new(adts), []byte{0xff, 0xf1, 0x4c}, 0},
		{"refuses free format", new(mpa), []byte{0xff, 0xfb, 0x00, 0x64}, -1},
		{"refuses what is no frame", new(ac3), []byte{0x0b, 0x78}, -1},
		{"refuses an ADTS frame shorter than its head", new(adts), []byte{0xff, 0xf1, 0x4c, 0x80, 0, 0x1f}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.form.size(c.in, false); got != c.want {
				t.Errorf("got %d; want %d", got, c.want)
			}
		})
	}
}

// Dependent substreams of E-AC-3 stay with the frame that they belong to.
func TestSubstreams(t *testing.T) {
	t.Parallel()
	one := func(kind byte) []byte {
		b := make([]byte, 64)
		copy(b, []byte{0x0b, 0x77, kind << 6, 31, 0x34, 0x80})
		return b
	}
	unit := slices.Concat(one(0), one(1))
	b := newBuilder(pmtEntry{streamType: typeEAC3, pid: 0x100})
	for i := range 4 {
		at := time.Second + time.Duration(i)*32*time.Millisecond
		b.pes(0x100, at, at, unit, true)
	}
	k, _ := demux(t, b.bytes(), Options{}, 188)
	if len(k.units) != 4 {
		t.Fatalf("got %d units; want 4", len(k.units))
	}
	for _, u := range k.units {
		if !bytes.Equal(u.Data, unit) {
			t.Errorf("got a unit of %d bytes; want %d", len(u.Data), len(unit))
		}
	}
}

func TestTimesOnTheWire(t *testing.T) {
	t.Parallel()
	for _, want := range []uint64{0, 1, 1<<15 - 1, 1 << 15, 1 << 30, 1<<33 - 1, 0x123456789 & (1<<33 - 1)} {
		if got, ok := readTime(appendTime(nil, 2, want)); !ok || got != want {
			t.Errorf("got %d, %v; want %d", got, ok, want)
		}
	}
	for _, d := range []time.Duration{-time.Second, 0, time.Second, 27 * time.Hour} {
		m := NewMuxer(MuxOptions{})
		m.pcrPID = 0x100
		m.writePCR(d)
		base, ext := ticks27(d)
		if got, pid, ok := PCR(m.out); !ok || pid != 0x100 || got != base*300+ext {
			t.Errorf("got %d on %d, %v; want %d", got, pid, ok, base*300+ext)
		}
	}
}
