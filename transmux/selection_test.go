package transmux_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/transmux"
)

func TestParseSelection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   []string
		want transmux.Selection
		err  string
	}{
		{"it takes all for nothing", nil, nil, ""},
		{"it reads kinds", []string{"video", "audio", "data"}, transmux.Selection{{Kind: transmux.KindVideo}, {Kind: transmux.KindAudio}, {Kind: transmux.KindData}}, ""},
		{"it reads a language", []string{"audio:eng"}, transmux.Selection{{Kind: transmux.KindAudio, Lang: "eng"}}, ""},
		{"it reads a language in capitals", []string{"audio:ENG"}, transmux.Selection{{Kind: transmux.KindAudio, Lang: "eng"}}, ""},
		{"it reads a number", []string{"audio:#12"}, transmux.Selection{{Kind: transmux.KindAudio, N: 12}}, ""},
		{"it refuses an unknown kind", []string{"vidoe"}, nil, `track "vidoe" does not begin with video, audio or data`},
		{"it refuses nothing at all", []string{""}, nil, `track "" does not begin with video, audio or data`},
		{"it refuses number zero", []string{"audio:#0"}, nil, `track "audio:#0": the number after # counts from 1 to 65535`},
		{"it refuses a sign", []string{"audio:#+1"}, nil, `track "audio:#+1": the number after # counts from 1 to 65535`},
		{"it refuses a number that is too large", []string{"audio:#65536"}, nil, `track "audio:#65536": the number after # counts from 1 to 65535`},
		{"it refuses an empty language", []string{"audio:"}, nil, `track "audio:": "" is neither a language of three letters nor #n`},
		{"it refuses two letters", []string{"audio:en"}, nil, `track "audio:en": "en" is neither a language of three letters nor #n`},
		{"it refuses what are no letters", []string{"audio:e,g"}, nil, `track "audio:e,g": "e,g" is neither a language of three letters nor #n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := transmux.ParseSelection(c.in)
			if text := errText(err); text != c.err {
				t.Errorf("got error %q; want %q", text, c.err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestPick(t *testing.T) {
	t.Parallel()
	v, eng, deu, eng2, d := h264(1), aac(2, "eng"), aac(3, "deu"), aac(4, "ENG"), klv(5)
	all := []*transmux.Track{v, eng, deu, eng2, d}
	for _, c := range []struct {
		name string
		s    transmux.Selection
		want []*transmux.Track
	}{
		{"it picks all for nil", nil, all},
		{"it picks none for none", transmux.Selection{}, nil},
		{"it picks a kind", transmux.Selection{{Kind: transmux.KindAudio}}, []*transmux.Track{eng, deu, eng2}},
		{"it picks a language", transmux.Selection{{Kind: transmux.KindAudio, Lang: "eng"}}, []*transmux.Track{eng, eng2}},
		{"it picks the n-th", transmux.Selection{{Kind: transmux.KindAudio, N: 2}}, []*transmux.Track{deu}},
		{"it picks the n-th of a language", transmux.Selection{{Kind: transmux.KindAudio, Lang: "eng", N: 2}}, []*transmux.Track{eng2}},
		{"it picks nothing beyond the last", transmux.Selection{{Kind: transmux.KindAudio, N: 4}}, nil},
		{"it picks in order of preference, each once", transmux.Selection{{Kind: transmux.KindAudio, Lang: "deu"}, {Kind: transmux.KindVideo}, {Kind: transmux.KindAudio}}, []*transmux.Track{deu, v, eng, eng2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.s.Pick(all); !slices.Equal(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

func FuzzParseSelection(f *testing.F) {
	for _, s := range []string{"video", "audio:eng,video", "audio:#2,data", "audio:#+2", "audio:ENG", ":", "audio:eng:#2", "video:\xff\xff\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := transmux.ParseSelection(strings.Split(in, ","))
		if err != nil {
			return
		}
		again, err := transmux.ParseSelection(strings.Split(s.String(), ","))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("got %v, %v from %q; want what %q gives", again, err, s.String(), in)
		}
		s.Pick([]*transmux.Track{h264(1), aac(2, "eng"), aac(3, "deu")})
	})
}
