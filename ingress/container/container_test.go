package container

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"weir/transmux"
	"weir/transmux/flv"
	"weir/wire"
)

func packets(n, size, offset int) []byte {
	var b []byte
	for range n {
		p := bytes.Repeat([]byte{0xff}, size)
		p[size-188] = 0x47
		if size == 204 {
			p[size-188], p[0] = 0xff, 0x47
		}
		b = append(b, p...)
	}
	return b[offset:]
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it   string
		in   []byte
		want Format
		sure bool
	}{
		{"knows FLV", []byte("FLV\x01\x05"), FLV, true},
		{"knows MPEG-TS", packets(5, 188, 0), TS, true},
		{"knows MPEG-TS that begins within a packet", packets(6, 188, 100), TS, true},
		{"knows MPEG-TS of 192 bytes", packets(5, 192, 0), TS, true},
		{"knows MPEG-TS of 204 bytes", packets(5, 204, 0), TS, true},
		{"waits for more", []byte("FL"), Unknown, false},
		{"waits for more packets", packets(2, 188, 0), Unknown, false},
		{"knows what it does not know", bytes.Repeat([]byte("hello"), 400), Unknown, true},
		{"is not fooled by a 0x47", []byte(strings.Repeat("G", 1) + strings.Repeat("x", 2000)), Unknown, true},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			if got, sure := Detect(tt.in); got != tt.want || sure != tt.sure {
				t.Errorf("got %q, %v; want %q, %v", got, sure, tt.want, tt.sure)
			}
		})
	}
}

// found collects what comes out.
type found struct {
	sets  [][]*transmux.Track
	units []transmux.AccessUnit
	err   error
}

func (f *found) SetTracks(t []*transmux.Track) { f.sets = append(f.sets, slices.Clone(t)) }

func (f *found) Write(au transmux.AccessUnit) error {
	f.units = append(f.units, au)
	return f.err
}

func movie() []byte {
	video := &transmux.Track{ID: 1, Codec: transmux.SorensonH263}
	audio := &transmux.Track{ID: 2, Codec: transmux.MP3, Rate: 44100, Channels: 2}
	m := flv.NewMuxer(flv.Options{})
	m.Tracks([]*transmux.Track{video, audio})
	b := bytes.NewBuffer(flv.Header(true, true))
	for i := range 10 {
		for _, track := range []*transmux.Track{video, audio} {
			at := time.Duration(i) * 40 * time.Millisecond
			m.Mux(&transmux.AccessUnit{Track: track, DTS: at, PTS: at, Key: i == 0, Data: []byte{1, 2, 3}}, func(c *transmux.Chunk) {
				for _, p := range slices.Concat(c.Init, c.Bufs) {
					b.Write(p)
				}
			})
		}
	}
	return b.Bytes()
}

func TestRead(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	audio, err := transmux.ParseSelection([]string{"audio"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		it      string
		in      io.Reader
		options Options
		out     error
		units   int
		err     error
	}{
		{"finds FLV out", bytes.NewReader(movie()), Options{}, nil, 20, nil},
		{"takes it byte by byte", iotest.OneByteReader(bytes.NewReader(movie())), Options{}, nil, 20, nil},
		{"takes the end with the data", iotest.DataErrReader(bytes.NewReader(movie())), Options{}, nil, 20, nil},
		{"believes what it is told", bytes.NewReader(movie()), Options{Format: FLV}, nil, 20, nil},
		{"hands on chosen tracks only", bytes.NewReader(movie()), Options{Tracks: audio}, nil, 10, nil},
		{"stops when nobody wants more", bytes.NewReader(movie()), Options{}, why, 1, why},
		{"says that nothing came", strings.NewReader(""), Options{}, nil, 0, io.ErrUnexpectedEOF},
		{"says what it does not know", strings.NewReader("hello"), Options{}, nil, 0, ErrUnknown},
		{"says why it cannot begin", iotest.ErrReader(why), Options{}, nil, 0, why},
		{"says why it cannot go on", io.MultiReader(bytes.NewReader(movie()), iotest.ErrReader(why)), Options{}, nil, 20, why},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			f := found{err: tt.out}
			m := new(wire.Meter)
			if err := Read(tt.in, tt.options, &f, m); !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("got %v; want %v", err, tt.err)
			}
			if len(f.units) != tt.units {
				t.Errorf("got %d units; want %d", len(f.units), tt.units)
			}
			if n, _, _ := m.Totals(); tt.units > 1 && n != uint64(len(movie())) {
				t.Errorf("got %d bytes counted; want %d", n, len(movie()))
			}
		})
	}
}

func TestOnlyFollowsChanges(t *testing.T) {
	t.Parallel()
	choose, err := transmux.ParseSelection([]string{"audio:eng"})
	if err != nil {
		t.Fatal(err)
	}
	var f found
	o := Only(&f, choose)
	video := &transmux.Track{ID: 1, Codec: transmux.H264}
	english, english2 := &transmux.Track{ID: 3, Codec: transmux.AAC, Lang: "eng"}, &transmux.Track{ID: 3, Codec: transmux.AAC, Lang: "eng", Rate: 48000}
	german := &transmux.Track{ID: 2, Codec: transmux.AAC, Lang: "deu"}
	o.SetTracks([]*transmux.Track{video, german})
	for _, track := range []*transmux.Track{video, german, english, english2, video} {
		if err := o.Write(transmux.AccessUnit{Track: track}); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.units) != 2 || f.units[0].Track != english || f.units[1].Track != english2 {
		t.Errorf("got %d units; want those in English", len(f.units))
	}
	if last := f.sets[len(f.sets)-1]; len(last) != 1 || last[0].ID != 3 {
		t.Errorf("got %d tracks; want the English one", len(last))
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Format{"a.flv": FLV, "a/b.ts": TS, "a.mp4": Unknown, "flv": Unknown} {
		if _, got := OfName(name); got != want {
			t.Errorf("%s: got %q; want %q", name, got, want)
		}
	}
	for name, want := range map[string]Format{"video/x-flv": FLV, "Video/MP2T; x=y": TS, "text/html": Unknown, "": Unknown, ";": Unknown} {
		if got := OfType(name); got != want {
			t.Errorf("%s: got %q; want %q", name, got, want)
		}
	}
	for text, want := range map[string]Format{"flv": FLV, "ts": TS, "mpegts": TS, "": Unknown} {
		if got, err := Parse(text); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", text, got, err, want)
		}
	}
	if _, err := Parse("mp4"); err == nil {
		t.Error("got no error for mp4; want one")
	}
}

// FuzzRead feeds bytes, whole and one by one: both find the same.
func FuzzRead(f *testing.F) {
	f.Add(movie())
	f.Add(packets(6, 188, 100))
	f.Add([]byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x09\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var one, two found
		err1 := Read(bytes.NewReader(b), Options{}, &one, new(wire.Meter))
		err2 := Read(iotest.OneByteReader(bytes.NewReader(b)), Options{}, &two, new(wire.Meter))
		if (err1 == nil) != (err2 == nil) || len(one.units) != len(two.units) {
			t.Errorf("got %d units, %v in one piece and %d, %v byte by byte; want the same", len(one.units), err1, len(two.units), err2)
		}
	})
}
