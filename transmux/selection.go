package transmux

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Selection chooses tracks of a stream, in order of preference. Nil chooses all.
type Selection []Choice

// A Choice is one element of a selection: all tracks of a kind, or those of a language, or the n-th.
type Choice struct {
	Kind Kind
	Lang string // ISO 639-2; empty is any
	N    int    // from 1; 0 is any
}

// ParseSelection reads elements like "video", "audio:eng" and "audio:#2". An empty list gives nil, which chooses all.
func ParseSelection(list []string) (Selection, error) {
	var s Selection
	for _, text := range list {
		kind, rest, has := strings.Cut(text, ":")
		var c Choice
		switch kind {
		case "video":
			c.Kind = KindVideo
		case "audio":
			c.Kind = KindAudio
		case "data":
			c.Kind = KindData
		default:
			return nil, fmt.Errorf("track %q does not begin with video, audio or data", text)
		}
		if n, ok := strings.CutPrefix(rest, "#"); ok {
			i, err := strconv.ParseUint(n, 10, 16)
			if err != nil || i < 1 {
				return nil, fmt.Errorf("track %q: the number after # counts from 1 to 65535", text)
			}
			c.N = int(i)
		} else if has {
			if !isLang(rest) {
				return nil, fmt.Errorf("track %q: %q is neither a language of three letters nor #n", text, rest)
			}
			c.Lang = strings.ToLower(rest)
		}
		s = append(s, c)
	}
	return s, nil
}

func isLang(s string) bool {
	for _, b := range []byte(s) {
		if b |= 0x20; b < 'a' || b > 'z' {
			return false
		}
	}
	return len(s) == 3
}

// Pick returns the chosen tracks in order of preference, each once. The result may be tracks itself: do not change it.
func (s Selection) Pick(tracks []*Track) []*Track {
	if s == nil {
		return tracks
	}
	var out []*Track
	for _, c := range s {
		n := 0
		for _, t := range tracks {
			if t.Kind() != c.Kind || c.Lang != "" && !strings.EqualFold(t.Lang, c.Lang) {
				continue
			}
			n++
			if c.N != 0 && n != c.N || slices.Contains(out, t) {
				continue
			}
			out = append(out, t)
		}
	}
	return out
}

// String is the form that ParseSelection reads, joined by commas; "all" for nil. A choice of both Lang and N, which
// cannot be parsed, reads like "audio:eng:#2".
func (s Selection) String() string {
	if s == nil {
		return "all"
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(c.Kind.String())
		if c.Lang != "" {
			b.WriteString(":" + c.Lang)
		}
		if c.N != 0 {
			b.WriteString(":#" + strconv.Itoa(c.N))
		}
	}
	return b.String()
}
