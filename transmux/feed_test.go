package transmux_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
)

// testMuxer makes one chunk of each unit: its number in the muxer, the unit's data, and what Tracks was told before.
type testMuxer struct {
	n    uint32
	told []string
}

func newTestMuxer() transmux.Muxer { return &testMuxer{} }

func (m *testMuxer) Tracks(ts []*transmux.Track) {
	var s []string
	for _, t := range ts {
		s = append(s, fmt.Sprintf("%d:%x", t.ID, t.Config))
	}
	m.told = append(m.told, strings.Join(s, " "))
}

func (m *testMuxer) Mux(au *transmux.AccessUnit, emit func(*transmux.Chunk)) {
	c := &transmux.Chunk{
		Bufs: [][]byte{binary.BigEndian.AppendUint32(nil, m.n), au.Data}, Size: 4 + len(au.Data),
		Key: au.Key && au.Track.Kind() == transmux.KindVideo, Kind: au.Track.Kind(), DTS: au.DTS, Arrived: au.Arrived,
	}
	m.n++
	for _, s := range m.told {
		c.Bufs = append(c.Bufs, []byte(s))
	}
	m.told = nil
	emit(c)
}

func order(c *transmux.Chunk) int { return int(binary.BigEndian.Uint32(c.Bufs[0])) }

// chunks returns what is there: the number of each unit, and in parentheses what the muxer was told before it.
func chunks(r *ring.Reader[*transmux.Chunk]) (got []string) {
	for {
		c, ok := r.Try()
		if !ok {
			return got
		}
		s := fmt.Sprint(c.Bufs[1][0])
		for _, told := range c.Bufs[2:] {
			s += "(" + string(told) + ")"
		}
		got = append(got, s)
	}
}

func TestFeed(t *testing.T) {
	t.Parallel()
	v, a, d := h264(1), aac(2, "eng"), klv(3)
	v2 := h264(1)
	v2.Config = []byte{9}
	for _, c := range []struct {
		name          string
		choose        transmux.Selection
		before, after []transmux.AccessUnit
		drop          int // ID of a track that leaves the set before the feed begins
		want          []string
	}{
		{name: "it begins at the newest key frame and goes on without gap or double",
			before: []transmux.AccessUnit{au(v, 0, true, 1), au(v, 40*ms, true, 2), au(a, 40*ms, true, 3)},
			after:  []transmux.AccessUnit{au(v, 80*ms, false, 4), au(a, 60*ms, true, 5)},
			want:   []string{"2(1:010203 2:1190)", "3", "4", "5"}},
		{name: "it waits for a key frame",
			before: []transmux.AccessUnit{au(v, 0, false, 1), au(a, 0, true, 2)},
			after:  []transmux.AccessUnit{au(v, 40*ms, false, 3), au(v, 80*ms, true, 4), au(a, 80*ms, true, 5)},
			want:   []string{"4", "5"}},
		{name: "it holds chosen tracks only, in order of preference",
			choose: transmux.Selection{{Kind: transmux.KindData}, {Kind: transmux.KindVideo}},
			before: []transmux.AccessUnit{au(d, 0, true, 1), au(a, 0, true, 2), au(v, 0, true, 3), au(a, 20*ms, true, 4), au(d, 20*ms, true, 5)},
			after:  []transmux.AccessUnit{au(a, 40*ms, true, 6), au(v, 40*ms, false, 7)},
			want:   []string{"3(3: 1:010203)", "5", "7"}},
		{name: "it tells a configuration before the unit that needs it",
			before: []transmux.AccessUnit{au(a, 0, true, 1), au(v, 0, true, 2)},
			after:  []transmux.AccessUnit{au(v, 40*ms, false, 3), au(v2, 80*ms, false, 4), au(a, 80*ms, true, 5)},
			want:   []string{"2(1:010203 2:1190)", "3", "4(1:09 2:1190)", "5"}},
		{name: "it tells configurations as they were when it begins late",
			before: []transmux.AccessUnit{au(a, 0, true, 1), au(v, 0, true, 2), au(v, 40*ms, false, 3), au(v2, 80*ms, false, 4)},
			after:  []transmux.AccessUnit{au(a, 80*ms, true, 5)},
			want:   []string{"2(1:010203 2:1190)", "3", "4(1:09 2:1190)", "5"}},
		{name: "it leaves out a track that has left",
			before: []transmux.AccessUnit{au(a, 0, true, 1), au(v, 0, true, 2), au(a, 20*ms, true, 3)}, drop: 2,
			after: []transmux.AccessUnit{au(v, 40*ms, false, 4)},
			want:  []string{"2(1:010203)", "4"}},
		{name: "it takes a track that comes later",
			before: []transmux.AccessUnit{au(v, 0, true, 1)},
			after:  []transmux.AccessUnit{au(a, 0, true, 2)},
			want:   []string{"1(1:010203)", "2(1:010203 2:1190)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := transmux.NewStream("live/x", ring.Limits{})
			w := s.NewWriter()
			write(t, w, c.before...)
			if c.drop != 0 {
				w.SetTracks(slices.DeleteFunc(slices.Clone(s.Tracks()), func(t *transmux.Track) bool { return t.ID == c.drop }))
			}
			f := s.Feed("test", c.choose, newTestMuxer)
			defer f.Close()
			r := f.Reader()
			got := chunks(r)
			for _, u := range c.after {
				write(t, w, u)
				got = append(got, chunks(r)...)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

func TestFeedTellsOnlyChangesOfItsTracks(t *testing.T) {
	t.Parallel()
	s := transmux.NewStream("live/x", ring.Limits{})
	w := s.NewWriter()
	w.SetTracks([]*transmux.Track{h264(1)})
	m := &testMuxer{}
	defer s.Feed("test", transmux.Selection{{Kind: transmux.KindVideo}}, func() transmux.Muxer { return m }).Close()
	w.SetTracks([]*transmux.Track{h264(1), aac(2, "")})
	w.SetTracks([]*transmux.Track{h264(1), klv(3)})
	if want := []string{"1:010203"}; !slices.Equal(m.told, want) {
		t.Errorf("got %q; want %q", m.told, want)
	}
	w.SetTracks(nil)
	if want := []string{"1:010203", ""}; !slices.Equal(m.told, want) {
		t.Errorf("got %q; want %q", m.told, want)
	}
}

func TestFeedsAreShared(t *testing.T) {
	t.Parallel()
	s := transmux.NewStream("live/x", ring.Limits{})
	made := 0
	join := func(format string, choose transmux.Selection) *transmux.Feed {
		return s.Feed(format, choose, func() transmux.Muxer { made++; return newTestMuxer() })
	}
	audio := transmux.Selection{{Kind: transmux.KindAudio}}
	a, b := join("flv", nil), join("flv", nil)
	if a != b || made != 1 {
		t.Errorf("got %d muxers for one format; want 1", made)
	}
	c, d := join("ts", nil), join("flv", audio)
	if made != 3 || c == a || d == a {
		t.Errorf("got %d muxers for three feeds; want 3", made)
	}
	r := a.Reader()
	a.Close()
	if e := join("flv", nil); e != b {
		t.Error("got another feed while one user is left; want the same")
	}
	b.Close()
	b.Close()
	if _, err := r.Next(t.Context()); err == nil {
		t.Error("got a chunk of a feed that everybody left; want its end")
	}
	if f := join("flv", nil); f == b || made != 4 {
		t.Errorf("got %d muxers after all had left; want 4", made)
	}
}

func TestFeedHoldsLatecomersToTheNewestKey(t *testing.T) {
	t.Parallel()
	s := transmux.NewStream("live/x", ring.Limits{Items: 10, Span: 1})
	w := s.NewWriter()
	v := h264(1)
	f := s.Feed("test", nil, newTestMuxer)
	defer f.Close()
	write(t, w, au(v, 0, true, 0))
	slow := f.Reader()
	chunks(slow)
	for n := byte(1); n < 100; n++ {
		write(t, w, au(v, time.Duration(n)*40*ms, n%8 == 0, n))
	}
	if got, want := chunks(slow), []string{"96", "97", "98", "99"}; !slices.Equal(got, want) || !slow.Skipped() {
		t.Errorf("got %q for a slow reader; want %q and a skip", got, want)
	}
	if got, want := chunks(f.Reader()), []string{"96", "97", "98", "99"}; !slices.Equal(got, want) {
		t.Errorf("got %q for a late reader; want %q", got, want)
	}
}
