package transmux_test

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
)

const ms = time.Millisecond

func h264(id int) *transmux.Track {
	return &transmux.Track{ID: id, Codec: transmux.H264, Config: []byte{1, 2, 3}, Rate: 90000}
}

func aac(id int, lang string) *transmux.Track {
	return &transmux.Track{ID: id, Codec: transmux.AAC, Config: []byte{0x11, 0x90}, Rate: 48000, Lang: lang}
}

func klv(id int) *transmux.Track { return &transmux.Track{ID: id, Codec: transmux.KLV} }

// au is one unit; its only byte of data is its number.
func au(t *transmux.Track, dts time.Duration, key bool, n byte) transmux.AccessUnit {
	return transmux.AccessUnit{Track: t, DTS: dts, PTS: dts, Key: key, Data: []byte{n}}
}

func write(t *testing.T, w *transmux.Writer, units ...transmux.AccessUnit) {
	t.Helper()
	for _, u := range units {
		if err := w.Write(u); err != nil {
			t.Fatalf("write unit %v: %v", u.Data, err)
		}
	}
}

// rest returns the numbers of the units that are there.
func rest(r *ring.Reader[*transmux.AccessUnit]) (got []byte) {
	for {
		u, ok := r.Try()
		if !ok {
			return got
		}
		got = append(got, u.Data[0])
	}
}

func TestWhereReadersStart(t *testing.T) {
	t.Parallel()
	v, a, d := h264(1), aac(2, "eng"), klv(3)
	for _, c := range []struct {
		name  string
		set   []*transmux.Track
		units []transmux.AccessUnit
		want  []byte
	}{
		{"it starts at the newest video key frame", []*transmux.Track{v, a}, []transmux.AccessUnit{
			au(v, 0, true, 1), au(a, 0, false, 2), au(v, 40*ms, false, 3), au(v, 80*ms, true, 4), au(a, 80*ms, false, 5)}, []byte{4, 5}},
		{"it waits for the key frame of announced video", []*transmux.Track{v, a}, []transmux.AccessUnit{
			au(a, 0, false, 1), au(a, 1900*ms, false, 2)}, nil},
		{"it starts at audio when announced video does not come for 2 s", []*transmux.Track{v, a}, []transmux.AccessUnit{
			au(a, 0, false, 1), au(a, 2000*ms, false, 2)}, []byte{2}},
		{"it starts at audio when video has no key frame for 2 s", []*transmux.Track{v, a}, []transmux.AccessUnit{
			au(v, 0, false, 1), au(a, 2000*ms, false, 2), au(v, 2000*ms, false, 3)}, []byte{2, 3}},
		{"it starts at video again when that comes late", []*transmux.Track{v, a}, []transmux.AccessUnit{
			au(a, 0, false, 1), au(a, 3*time.Second, false, 2), au(v, 3*time.Second, true, 3), au(a, 3020*ms, false, 4)}, []byte{3, 4}},
		{"it starts at any audio without video", []*transmux.Track{a, d}, []transmux.AccessUnit{
			au(a, 0, false, 1), au(d, 0, false, 2), au(a, 20*ms, false, 3), au(d, 20*ms, false, 4)}, []byte{3, 4}},
		{"it starts at any data without video and audio", []*transmux.Track{d}, []transmux.AccessUnit{
			au(d, 0, false, 1), au(d, 20*ms, false, 2)}, []byte{2}},
		{"it starts at data when announced audio does not come for 2 s", []*transmux.Track{a, d}, []transmux.AccessUnit{
			au(d, 0, false, 1), au(d, 2*time.Second, false, 2)}, []byte{2}},
		{"it learns tracks from units", nil, []transmux.AccessUnit{
			au(a, 0, false, 1), au(v, 0, true, 2), au(a, 20*ms, false, 3)}, []byte{2, 3}},
		{"it drops units without data or track", []*transmux.Track{a}, []transmux.AccessUnit{
			au(a, 0, false, 1), {Track: a}, {Data: []byte{9}}}, []byte{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := transmux.NewStream("live/x", ring.Limits{})
			w := s.NewWriter()
			w.SetTracks(c.set)
			write(t, w, c.units...)
			if got := rest(s.Reader()); !slices.Equal(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

func TestUnitsAreOnTheLine(t *testing.T) {
	t.Parallel()
	s := transmux.NewStream("live/x", ring.Limits{})
	if s.Name() != "live/x" {
		t.Errorf("got name %q; want live/x", s.Name())
	}
	v, a := h264(1), aac(2, "")
	r := s.Reader()
	w := s.NewWriter()
	if w.Stream() != s {
		t.Error("got another stream from its writer")
	}
	in := au(v, time.Hour, true, 1)
	in.PTS += 80 * ms
	write(t, w, in, au(a, time.Hour, false, 2), au(v, 40*ms, false, 3))
	for i, want := range []transmux.AccessUnit{
		{Track: v, DTS: 1000 * ms, PTS: 1080 * ms, Key: true},
		{Track: a, DTS: 1000 * ms, PTS: 1000 * ms, Key: true},
		{Track: v, DTS: 1040 * ms, PTS: 1040 * ms, Gap: true},
	} {
		got, ok := r.Try()
		if !ok || got.Track != want.Track || got.DTS != want.DTS || got.PTS != want.PTS || got.Key != want.Key || got.Gap != want.Gap {
			t.Errorf("unit %d: got %+v; want %+v", i, got, want)
		}
	}
	if units, bytes, gaps := s.Stats(); units != 3 || bytes != 3 || gaps != 1 {
		t.Errorf("got %d units, %d bytes, %d gaps; want 3, 3, 1", units, bytes, gaps)
	}
}

func TestReplacement(t *testing.T) {
	t.Parallel()
	s := transmux.NewStream("live/x", ring.Limits{})
	v, a := h264(1), aac(2, "")
	old := s.NewWriter()
	old.SetTracks([]*transmux.Track{v})
	write(t, old, au(v, 0, true, 1), au(v, 40*ms, false, 2))
	r := s.Reader()
	next := s.NewWriter()
	if err := old.Write(au(v, 80*ms, false, 9)); err != transmux.ErrReplaced {
		t.Errorf("got %v from the old writer; want ErrReplaced", err)
	}
	old.SetTracks(nil) // has no say any more
	if got := s.Tracks(); len(got) != 1 || got[0] != v {
		t.Errorf("got tracks %v; want those of before", got)
	}
	next.SetTracks([]*transmux.Track{h264(1), a}) // announces video, but sends none
	if got := s.Tracks(); len(got) != 2 || got[0] != v || got[1] != a {
		t.Errorf("got tracks %v; want the equal track to stay", got)
	}
	write(t, next, au(a, time.Hour, false, 3))
	if got := rest(s.Reader()); !slices.Equal(got, []byte{1, 2, 3}) {
		t.Errorf("got %v for a new reader; want it to start at the last key frame", got)
	}
	write(t, next, au(a, time.Hour+2*time.Second, false, 4))
	if got := rest(s.Reader()); !slices.Equal(got, []byte{4}) {
		t.Errorf("got %v for a new reader 2 s later; want it to start at audio", got)
	}
	var last time.Duration
	for n := byte(1); n <= 4; n++ {
		u, ok := r.Try()
		if !ok || u.Data[0] != n || u.DTS < last || u.Gap != (n == 3) {
			t.Errorf("got %+v; want unit %d after %v, with a gap at the first of the new origin", u, n, last)
		}
		last = u.DTS
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, c := range []struct {
		name      string
		err, want error
	}{
		{"it ends with the error", gone, gone},
		{"it ends with io.EOF for nil", nil, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := transmux.NewStream("live/x", ring.Limits{})
			a := aac(1, "")
			replaced, w := s.NewWriter(), s.NewWriter()
			write(t, w, au(a, 0, true, 1))
			r := s.Reader()
			before := s.Feed("test", nil, newTestMuxer)
			fr := before.Reader()
			s.Close(c.err)
			s.Close(errors.New("again"))
			for name, w := range map[string]*transmux.Writer{"its writer": w, "a replaced writer": replaced, "a new writer": s.NewWriter()} {
				w.SetTracks(nil)
				if err := w.Write(au(a, 20*ms, true, 2)); err != c.want {
					t.Errorf("got %v from %s; want %v", err, name, c.want)
				}
			}
			if len(s.Tracks()) != 1 {
				t.Errorf("got tracks %v; want those of before", s.Tracks())
			}
			if got := rest(r); !slices.Equal(got, []byte{1}) {
				t.Errorf("got %v; want what was left", got)
			}
			after := s.Feed("other", nil, newTestMuxer)
			for name, next := range map[string]func() error{
				"a reader":          func() error { _, err := r.Next(t.Context()); return err },
				"a late reader":     func() error { r := s.Reader(); rest(r); _, err := r.Next(t.Context()); return err },
				"a feed":            func() error { chunks(fr); _, err := fr.Next(t.Context()); return err },
				"a feed made later": func() error { r := after.Reader(); chunks(r); _, err := r.Next(t.Context()); return err },
			} {
				if err := next(); err != c.want {
					t.Errorf("got %v from %s; want %v", err, name, c.want)
				}
			}
		})
	}
}

func TestTracks(t *testing.T) {
	t.Parallel()
	v, a := h264(1), aac(2, "eng")
	other := h264(1)
	other.Config = []byte{1, 2, 4}
	for _, c := range []struct {
		name    string
		act     func(w *transmux.Writer) error
		want    []*transmux.Track
		changed bool
	}{
		{"it keeps equal tracks", func(w *transmux.Writer) error { w.SetTracks([]*transmux.Track{aac(2, "eng"), h264(1)}); return nil }, []*transmux.Track{v, a}, false},
		{"it keeps an equal track of a unit", func(w *transmux.Writer) error { return w.Write(au(h264(1), 0, true, 1)) }, []*transmux.Track{v, a}, false},
		{"it takes a changed track", func(w *transmux.Writer) error { w.SetTracks([]*transmux.Track{other, a}); return nil }, []*transmux.Track{other, a}, true},
		{"it takes a changed track of a unit", func(w *transmux.Writer) error { return w.Write(au(other, 0, true, 1)) }, []*transmux.Track{other, a}, true},
		{"it takes fewer tracks", func(w *transmux.Writer) error { w.SetTracks([]*transmux.Track{a}); return nil }, []*transmux.Track{a}, true},
		{"it takes none", func(w *transmux.Writer) error { w.SetTracks(nil); return nil }, []*transmux.Track{}, true},
		{"it takes the last of one ID and leaves out nil", func(w *transmux.Writer) error { w.SetTracks([]*transmux.Track{v, nil, a, other}); return nil }, []*transmux.Track{other, a}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := transmux.NewStream("live/x", ring.Limits{})
			w := s.NewWriter()
			w.SetTracks([]*transmux.Track{a, v})
			before, changed := s.TracksChanged()
			if !slices.Equal(before, []*transmux.Track{v, a}) {
				t.Fatalf("got %v; want them ordered by ID", before)
			}
			if err := c.act(w); err != nil {
				t.Fatal(err)
			}
			if got := s.Tracks(); !slices.Equal(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
			select {
			case <-changed:
				if !c.changed {
					t.Error("got a change; want none")
				}
			default:
				if c.changed {
					t.Error("got no change; want one")
				}
			}
		})
	}
}

func TestUnitsHoldTheTrackOfTheSet(t *testing.T) {
	t.Parallel()
	s := transmux.NewStream("live/x", ring.Limits{})
	w := s.NewWriter()
	r := s.Reader()
	for n := range byte(3) {
		write(t, w, au(h264(1), time.Duration(n)*40*ms, true, n))
		if u, ok := r.Try(); !ok || u.Track != s.Tracks()[0] {
			t.Errorf("got unit %+v; want one that points to the track of the set", u)
		}
	}
}

func TestReadersWaitForUnits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := transmux.NewStream("live/x", ring.Limits{})
		got := make(chan byte, 1)
		go func() {
			if u, err := s.Reader().Next(t.Context()); err == nil {
				got <- u.Data[0]
			}
		}()
		w := s.NewWriter()
		write(t, w, au(h264(1), 0, false, 1))
		synctest.Wait()
		if len(got) != 0 {
			t.Fatalf("got unit %d; want the reader to wait for a key frame", <-got)
		}
		write(t, w, au(h264(1), 40*ms, true, 2))
		if n := <-got; n != 2 {
			t.Errorf("got unit %d; want 2", n)
		}
	})
}

// TestAllAtOnce has writers of two tracks, replacements, changing track sets, readers and feeds beside each other.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	s := transmux.NewStream("live/x", ring.Limits{Items: 200, Span: 1})
	var readers, writers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			r := s.Reader()
			last := make(map[int]time.Duration)
			for {
				u, err := r.Next(t.Context())
				if err != nil {
					return
				}
				if u.DTS < last[u.Track.ID] || u.PTS < u.DTS {
					t.Errorf("got %v to %v after %v", u.DTS, u.PTS, last[u.Track.ID])
				}
				last[u.Track.ID] = u.DTS
			}
		})
		readers.Go(func() {
			for range 50 {
				f := s.Feed("test", nil, newTestMuxer)
				r := f.Reader()
				last := -1
				for range 20 {
					c, ok := r.Try()
					if !ok {
						runtime.Gosched()
						continue
					}
					if n := order(c); !r.Skipped() && last >= 0 && n != last+1 {
						t.Errorf("got chunk %d after %d; want neither gap nor double", n, last)
					} else {
						last = n
					}
				}
				f.Close()
			}
		})
	}
	for round := range 5 {
		w := s.NewWriter()
		for id := 1; id <= 2; id++ {
			track := h264(id)
			if id == 2 {
				track = aac(id, "")
			}
			writers.Go(func() {
				for n := range 2000 {
					if n%100 == 0 {
						w.SetTracks([]*transmux.Track{h264(1), aac(2, ""), klv(3 + n/100%3)})
					}
					u := au(track, time.Duration(n)*20*ms, n%10 == 0, byte(round))
					if err := w.Write(u); err != nil {
						if err != transmux.ErrReplaced {
							t.Errorf("got %v; want ErrReplaced or nil", err)
						}
						return
					}
					if n%50 == 0 {
						runtime.Gosched()
					}
				}
			})
		}
		for range 200 {
			runtime.Gosched()
		}
	}
	writers.Wait()
	s.Close(nil)
	readers.Wait()
}

func BenchmarkWrite(b *testing.B) {
	for name, feeds := range map[string]int{"alone": 0, "with a feed": 1} {
		b.Run(name, func(b *testing.B) {
			s := transmux.NewStream("live/x", ring.Limits{})
			w := s.NewWriter()
			v, a := h264(1), aac(2, "")
			w.SetTracks([]*transmux.Track{v, a})
			if feeds > 0 {
				defer s.Feed("test", nil, newTestMuxer).Close()
			}
			data := make([]byte, 4000)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				dts := time.Duration(n) * 20 * ms
				if err := w.Write(transmux.AccessUnit{Track: v, DTS: dts, PTS: dts, Key: n%50 == 0, Data: data}); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}
