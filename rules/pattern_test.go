package rules

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPatternMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it, pattern, text string
		want              []string // captures; nil if it must not match
	}{
		{"matches itself", "live/7", "live/7", []string{}},
		{"minds case", "live/A", "live/a", nil},
		{"takes one segment", "cam/*", "cam/gate", []string{"gate"}},
		{"takes no more than one segment", "cam/*", "cam/a/b", nil},
		{"needs something in a segment", "cam/*", "cam/", nil},
		{"takes a part of a segment", "cam/a*z", "cam/abcz", []string{"bc"}},
		{"takes an empty part", "cam/a*", "cam/a", []string{""}},
		{"lets the earlier take less", "*-*", "a-b-c", []string{"a", "b-c"}},
		{"does not use a byte twice", "ab*ba", "aba", nil},
		{"finds pieces in order", "a*b*c", "a1b2c", []string{"1", "2"}},
		{"takes any number of segments", "**", "a/b/c", []string{"a/b/c"}},
		{"takes no segment at all", "a/**/b", "a/b", []string{""}},
		{"takes segments between", "a/**/b", "a/x/y/b", []string{"x/y"}},
		{"takes no segment at the end", "a/**", "a", []string{""}},
		{"takes segments at the end", "a/**", "a/b/c", []string{"b/c"}},
		{"does not split segments", "a/**", "ab", nil},
		{"takes segments at the beginning", "**/x", "a/b/x", []string{"a/b"}},
		{"goes back to the last **", "**/a/*/**/b", "a/1/a/2/b", []string{"", "1", "a/2"}},
		{"goes on behind a false start", "**/a/b", "a/a/a/b", []string{"a/a"}},
		{"matches families", "rtmp*", "rtmpte", []string{"te"}},
		{"anchors expressions at both ends", "~a|b", "ab", nil},
		{"gives groups", `~room/(\w+)/(\d*)`, "room/x/", []string{"x", ""}},
		{"gives nothing for groups without part", `~a(b)?`, "a", []string{""}},
		{"takes expressions without groups", `~\d+`, "42", []string{}},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			p, err := NewPattern(c.pattern)
			if err != nil {
				t.Fatal(err)
			}
			var got Captures
			if ok := p.Match(c.text, &got); ok != (c.want != nil) || ok != p.Match(c.text, nil) {
				t.Fatalf("%s on %s: got %v; want %v", c.pattern, c.text, ok, c.want != nil)
			}
			if c.want != nil && !slices.Equal(all16(&got, p.Captures()), c.want) {
				t.Errorf("%s on %s: got captures %q; want %q", c.pattern, c.text, all16(&got, p.Captures()), c.want)
			}
		})
	}
}

func all16(c *Captures, n int) []string {
	out := []string{}
	for i := 1; i <= n; i++ {
		out = append(out, c.Get(i))
	}
	return out
}

// reference is the same glob as a regular expression that prefers little.
func reference(glob string) *regexp.Regexp {
	var b strings.Builder
	segs := strings.Split(glob, "/")
	for i, s := range segs {
		switch {
		case s == "**" && len(segs) == 1:
			b.WriteString(`(.*)`)
			continue
		case s == "**" && i == len(segs)-1:
			b.WriteString(`(?:/(?:.*))?`)
			continue
		case s == "**":
			b.WriteString(`(?:(?:[^/]*/)*?)`)
			continue
		case s == "*":
			b.WriteString(`[^/]+?`)
		default:
			b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(s), `\*`, `[^/]*?`))
		}
		if i < len(segs)-1 && !(i == len(segs)-2 && segs[i+1] == "**") {
			b.WriteString("/")
		}
	}
	return regexp.MustCompile(`\A(?:` + b.String() + `)\z`)
}

func TestGlobIsARegularExpression(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(words []string, n int) string {
		var out []string
		for range 1 + r.IntN(n) {
			out = append(out, words[r.IntN(len(words))])
		}
		return strings.Join(out, "/")
	}
	matched := 0
	for range 20000 {
		glob := pick([]string{"a", "b", "*", "**", "a*", "*b", "a*b", "*a*"}, 5)
		if strings.Contains(glob, "**/**") {
			continue
		}
		p, err := NewPattern(glob)
		if err != nil {
			t.Fatal(err)
		}
		ref := reference(glob)
		for range 5 {
			text := pick([]string{"a", "b", "ab", "aab", "ba"}, 6)
			got, want := p.Match(text, nil), ref.MatchString(text)
			if got != want {
				t.Fatalf("%s on %s: got %v; want %v", glob, text, got, want)
			}
			if got {
				matched++
			}
		}
	}
	if matched < 1000 {
		t.Errorf("got %d matches; want more, or this shows nothing", matched)
	}
}

// TestCapturesRebuildTheText fills the captures of a glob back into it.
func TestCapturesRebuildTheText(t *testing.T) {
	t.Parallel()
	for _, glob := range []string{"a/*/b*c", "**/x", "a/**/b", "*-*", "**"} {
		p, err := NewPattern(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"a/1/b2c", "q/r/x", "a/1/2/b", "x-y-z", "whatever/it/is"} {
			var c Captures
			if !p.Match(text, &c) {
				continue
			}
			rebuilt := glob
			for i := 1; i <= p.Captures(); i++ {
				at := strings.IndexByte(rebuilt, '*')
				end := at + 1
				if strings.HasPrefix(rebuilt[at:], "**") {
					end++
				}
				rebuilt = rebuilt[:at] + c.Get(i) + rebuilt[end:]
			}
			if rebuilt != text {
				t.Errorf("%s on %s: got %q; want the text", glob, text, rebuilt)
			}
		}
	}
}

func TestGlobTimeIsBounded(t *testing.T) {
	t.Parallel()
	p, err := NewPattern(strings.Repeat("**/a*a*a/", 3) + "**/b")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("aaaaaaaa/", 28) + "c"
	for range 1000 { // would not end in a lifetime if each ** tried all places of the others
		if p.Match(text, nil) {
			t.Fatal("got a match; want none")
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p, err := NewPattern("live/**/*-x")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		var c Captures
		p.Match("live/a/b/c-x", &c)
	}); n != 0 {
		t.Errorf("got %v allocations; want none", n)
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{{"cam/*", "cam/gate"}, {"**/a", "b/a"}, {"~(a+)+", "aaaa"}, {"a*b*", "ab"}, {"~(?P<x>.)", "y"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(text) > 4*MaxName {
			return
		}
		p, err := NewPattern(pattern)
		if err != nil {
			return
		}
		var c Captures
		if p.Match(text, &c) != p.Match(text, nil) {
			t.Errorf("%q on %q: got another answer without captures; want the same", pattern, text)
		}
		for i := range maxCaptures + 2 {
			if s := c.Get(i); !strings.Contains(text, s) {
				t.Errorf("%q on %q: got capture %q; want a part of the text", pattern, text, s)
			}
		}
		c.get("x")
	})
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "live/cam-1_x.y": true, "...": true, strings.Repeat("a", 255): true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "a/..": false, "a b": false, "ä": false, "a*": false, strings.Repeat("a", 256): false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("%q: got %v; want %v", name, got, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}, {"studoi", "studio", 1}} {
		if got := distance(c.a, c.b); got != c.want || got != distance(c.b, c.a) {
			t.Errorf("%s to %s: got %d; want %d", c.a, c.b, got, c.want)
		}
	}
	if got := didYouMean("xyz", []string{"name", "user"}); got != "; known: name, user" {
		t.Errorf("got %q; want the known words", got)
	}
}
