package codec

import (
	"bytes"
	"testing"
	"time"

	"weir/transmux"
)

// FuzzCodec gives the same bytes to every parser, as configuration and as data of every codec.
func FuzzCodec(f *testing.F) {
	for _, s := range []string{
		hexSPS, hexPPS, hexVPS5, hexSPS5, hexPPS5, "fffb90c4", "0b77003f34860000", "0b770000104040", "fff8791800 01b8", "2b8a0800",
		"000001b3 16012023 ffffe018 000001b5 148200010000 00000100 000ffff8", "00000120 0086c4006750 9c 000001b6 10",
		"ffd8 ffc0 0011 08 0090 00b0 03 012200 021101 031101", "8249834200 0af0 08f6 00", "0a0b 00000004 3cff bcff 9c2010", "10020000 9d012a b000 9000",
		"00000008 06 0501aa 060184 80 00000003 419a22", "664c6143 80000022 1000 1000 000000 000000 0ac442f0",
	} {
		f.Add(unhex(s))
	}
	f.Add(AVCC(sets(hexSPS), sets(hexPPS)))
	f.Add(HVCC(sets(hexVPS5), sets(hexSPS5), sets(hexPPS5)))
	codecs := []transmux.Codec{
		transmux.H264, transmux.H265, transmux.AV1, transmux.VP8, transmux.VP9, transmux.MPEG2Video, transmux.MPEG4Video, transmux.MJPEG,
		transmux.AAC, transmux.MP3, transmux.MP2, transmux.AC3, transmux.EAC3, transmux.Opus, transmux.FLAC, transmux.PCMA, transmux.L16,
		transmux.G722, transmux.PCMFLV, transmux.Nellymoser,
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range codecs {
			track := transmux.Track{Codec: c, Config: b}
			i := DescribeUnit(&track, b)
			if i.Width < 0 || i.Height < 0 || i.Rate < 0 || i.Channels < 0 || !(i.FPS >= 0) {
				t.Fatalf("%s: got %+v", c, i)
			}
			IsKey(c, b)
			if d := FrameDuration(&track, b); d < 0 {
				t.Fatalf("%s: got a duration of %v", c, d)
			}
		}
		AV1C(b)
		if tu := TemporalUnit([][]byte{b}); len(tu) > len(b)+maxLEB128 {
			t.Fatalf("got %x", tu)
		}
		total := 0
		for nalu := range AnnexB(b) {
			total += 3 + len(nalu)
			if len(nalu) == 0 || bytes.Contains(nalu, []byte{0, 0, 1}) {
				t.Fatalf("got NAL unit %x", nalu)
			}
		}
		if total > len(b) {
			t.Fatalf("got %d bytes of %d", total, len(b))
		}
		for _, c := range codecs[:2] {
			p := NewParams(c, b)
			p.Note(b)
			if config, _ := p.Config(); len(config) > max(len(b), 2*maxParams) {
				t.Fatalf("got a record of %d bytes", len(config))
			}
		}
	})
}

// FuzzDTS gives units with hostile times.
func FuzzDTS(f *testing.F) {
	f.Add(unhex(hexSPS), []byte{0, 3, 1, 2, 6, 4, 5})
	f.Add(unhex(hexSPS5), []byte{0, 8, 4, 2, 1, 3, 6, 5, 7})
	f.Add(unhex("42001e9540"), []byte{0, 255, 0, 255})
	f.Fuzz(func(t *testing.T, sps, times []byte) {
		times = times[:min(len(times), 200)]
		for _, c := range []transmux.Codec{transmux.H264, transmux.H265, transmux.MPEG4Video} {
			d := NewDTS(c, nil)
			var last time.Duration
			for i, b := range times {
				au := AppendNALU(AppendNALU(nil, sps), append([]byte{0x65, 0x88, 0x84}, times[i:min(len(times), i+12)]...))
				pts := time.Duration(b) * 100 * time.Millisecond
				dts := d.Next(au, pts)
				if dts > pts {
					t.Fatalf("%s, unit %d: got DTS %v above PTS %v", c, i, dts, pts)
				}
				if i > 0 && dts < last && pts >= last {
					t.Fatalf("%s, unit %d: got DTS %v after %v with PTS %v", c, i, dts, last, pts)
				}
				last = dts
				if len(d.pending) > maxReorder {
					t.Fatalf("%d units are pending", len(d.pending))
				}
			}
		}
	})
}
