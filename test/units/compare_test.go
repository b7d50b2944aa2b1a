package units

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// source is 50 pictures with B-frames, a key frame every ten, and 90 audio frames.
func source() []Unit {
	var out []Unit
	for i := range 50 {
		dts := time.Duration(i) * 40 * ms
		u := Unit{Kind: Video, DTS: dts, PTS: dts + []time.Duration{80, 120, 0, 40}[i%4]*ms, Key: i%10 == 0}
		u.Data = Normal("h264", fmt.Appendf(nil, "\x00\x00\x00\x01e picture %d", i))
		out = append(out, u)
	}
	for i := range 90 {
		t := time.Duration(i) * 1024 * time.Second / 48000
		out = append(out, Unit{Kind: Audio, DTS: t, PTS: t, Key: true, Data: fmt.Appendf(nil, "frame %d", i)})
	}
	return out
}

// late is what a receiver gets that came at the third key frame, on a time line of its own.
func late() []Unit {
	var out []Unit
	for _, u := range source() {
		if u.DTS >= 800*ms {
			u.DTS += 5 * time.Second
			u.PTS += 5 * time.Second
			out = append(out, u)
		}
	}
	return out
}

func TestCompareItPasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it   string
		got  []Unit
		rule Rule
	}{
		{"equal lists", source(), Rule{}},
		{"a late joiner with another origin of time", late(), Rule{}},
		{"times rounded to milliseconds, within a millisecond", each(late(), func(_ int, u *Unit) {
			u.DTS, u.PTS = u.DTS.Round(ms), u.PTS.Round(ms)
		}), Rule{Spread: ms}},
		{"a missing tail that the way in excuses", source()[:138], Rule{Tail: map[string]int{Audio: 2}}},
		{"an open end", source()[:120], Rule{Open: true}},
		{"made-up DTS of a witness that gets none", each(source(), func(_ int, u *Unit) { u.DTS = 0 }), Rule{PTSOnly: true}},
		{"derived DTS by another constant", each(source(), func(_ int, u *Unit) { u.DTS -= 40 * ms }), Rule{DerivedDTS: true}},
	} {
		if r := Compare(source(), c.got, c.rule); !r.Equal() {
			t.Errorf("it passes %s: got %q; want equal", c.it, r)
		}
	}
}

func TestCompareItFinds(t *testing.T) {
	t.Parallel()
	video := func(i int) func(int, *Unit) bool { return func(n int, _ *Unit) bool { return n == i } }
	for _, c := range []struct {
		it, want string
		got      []Unit
		rule     Rule
	}{
		{"a lost picture", "1 video units are lost before unit 7", without(source(), 7), Rule{}},
		{"a lost audio frame", "1 audio units are lost before unit 30", without(source(), 80), Rule{}},
		{"a doubled picture", "video unit 7 came twice", slices.Insert(source(), 8, source()[7]), Rule{}},
		{"swapped pictures", "video units are reordered at unit 7", swapped(source(), 7), Rule{}},
		{"a changed picture", "is not in the source", only(source(), video(9), func(u *Unit) { u.Data = []byte("x") }), Rule{}},
		{"a missing end", "the last 2 audio units did not come", source()[:138], Rule{}},
		{"a start without key frame", "no key frame", source()[3:], Rule{}},
		{"a shifted picture", "video PTS are off by up to 40ms", only(source(), video(9), func(u *Unit) { u.PTS += 40 * ms }), Rule{Spread: ms}},
		{"a shift of 2 ms", "video DTS are off by up to 2ms", only(source(), video(9), func(u *Unit) { u.DTS -= 2 * ms }), Rule{Spread: ms}},
		{"times one tick apart where none is allowed", "audio PTS are off by up to 11", only(source(), video(99), func(u *Unit) { u.PTS += 11 * time.Microsecond }), Rule{}},
		{"audio moved against video", "A/V 2ms", each(source(), func(_ int, u *Unit) {
			if u.Kind == Audio {
				u.PTS += 2 * ms
				u.DTS += 2 * ms
			}
		}), Rule{Spread: ms}},
		{"PTS that are DTS", "video PTS are off by up to 120ms", each(source(), func(_ int, u *Unit) { u.PTS = u.DTS }), Rule{Spread: ms}},
		{"a drift", "audio PTS are off by up to", each(source(), func(i int, u *Unit) {
			if u.Kind == Audio {
				u.PTS += time.Duration(i) * 100 * time.Microsecond
			}
		}), Rule{Spread: ms}},
		{"DTS after PTS", "after its PTS", each(source(), func(_ int, u *Unit) { u.DTS += time.Second }), Rule{DerivedDTS: true}},
		{"DTS that go back", "DTS goes back", only(source(), video(9), func(u *Unit) { u.DTS -= 100 * ms }), Rule{DerivedDTS: true}},
		{"no audio", "no audio came", source()[:50], Rule{}},
		{"audio that was not to come", "audio came", source(), Rule{Kinds: []string{Video}}},
		{"nothing", "no video came", nil, Rule{}},
	} {
		r := Compare(source(), c.got, c.rule)
		if r.Equal() || !strings.Contains(r.String(), c.want) {
			t.Errorf("it finds %s: got %q; want %q in it", c.it, r, c.want)
		}
	}
}

func TestComparePCM(t *testing.T) {
	t.Parallel()
	flow := make([]byte, 16000)
	x := uint32(7)
	for i := range flow {
		x = x*1664525 + 1013904223
		flow[i] = byte(x >> 24)
	}
	cut := func(from, step int) (out []Unit) {
		for at := from; at+step <= len(flow); at += step {
			d := time.Duration(at) * time.Second / 8000
			out = append(out, Unit{Kind: Audio, PTS: d, DTS: d, Key: true, Data: flow[at : at+step]})
		}
		return out
	}
	rule := Rule{PCM: 8000, Tail: map[string]int{Audio: 160}}
	if r := Compare(cut(0, 1000), cut(320, 160), rule); !r.Equal() {
		t.Errorf("it passes another cut of the same bytes: got %q; want equal", r)
	}
	if r := Compare(cut(0, 1000), without(cut(320, 160), 5), rule); r.Equal() {
		t.Error("it finds lost bytes: got equal; want a finding")
	}
	shifted := only(cut(320, 160), func(i int, _ *Unit) bool { return i == 4 }, func(u *Unit) { u.PTS += 3 * ms })
	if r := Compare(cut(0, 1000), shifted, rule); r.Equal() {
		t.Error("it finds a shift: got equal; want a finding")
	}
}

func TestNormalItMakesContainersEqual(t *testing.T) {
	t.Parallel()
	want := "\x00\x00\x00\x05eabcd\x00\x00\x00\x03Axy"
	for it, in := range map[string]string{
		"lengths":               want,
		"annex b":               "\x00\x00\x00\x01eabcd\x00\x00\x01Axy",
		"annex b with more":     "\x00\x00\x00\x01\x09\xf0\x00\x00\x00\x01gSPS\x00\x00\x00\x01hPPS\x00\x00\x01eabcd\x00\x00\x00\x01Axy",
		"lengths with sps, aud": "\x00\x00\x00\x02\x09\xf0\x00\x00\x00\x04gSPS" + want,
	} {
		if got := string(Normal("h264", []byte(in))); got != want {
			t.Errorf("it reads %s: got %q; want %q", it, got, want)
		}
	}
}

func each(list []Unit, f func(int, *Unit)) []Unit {
	for i := range list {
		f(i, &list[i])
	}
	return list
}

func only(list []Unit, which func(int, *Unit) bool, f func(*Unit)) []Unit {
	return each(list, func(i int, u *Unit) {
		if which(i, u) {
			f(u)
		}
	})
}

func without(list []Unit, i int) []Unit { return slices.Delete(list, i, i+1) }

func swapped(list []Unit, i int) []Unit {
	list[i], list[i+1] = list[i+1], list[i]
	list[i].DTS, list[i+1].DTS = list[i+1].DTS, list[i].DTS
	return list
}
