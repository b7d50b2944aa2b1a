package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Pattern is a glob or, after ~, a regular expression (RE2), matched against the whole of a text. In a glob * stands
// for one segment or a part of one, ** between slashes for any number of segments, also none. Of several wildcards the
// earlier takes as little as it can. Patterns are immutable and safe for concurrent use.
type Pattern struct {
	src      string // as it is printed
	exact    string // the text, if it has no wildcard
	wild     bool
	segments []segment
	captures int
	re       *regexp.Regexp
	prefix   string // the text before the first wildcard
	must     string // what every match begins with: the same, but for the slash before **
	pos      pos    // in the file
}

// segment is what stands between two slashes of a glob: literals with stars between them.
type segment struct {
	deep   bool // **
	pieces []string
}

// Limits of a pattern.
const (
	maxPattern  = 1000
	maxCaptures = 16
)

// NewPattern compiles a pattern of at most 1000 bytes with at most 16 captures. The error is a sentence that quotes it.
func NewPattern(s string) (*Pattern, error) { return newPattern(s, s) }

// newPattern compiles s and prints it, also in errors, as shown.
func newPattern(s, shown string) (*Pattern, error) {
	p := &Pattern{src: shown, exact: s}
	switch {
	case s == "":
		return nil, errors.New("a pattern must not be empty")
	case len(s) > maxPattern:
		return nil, fmt.Errorf("a pattern is at most %d bytes long", maxPattern)
	case s[0] == '~':
		if err := p.compileRE(s[1:]); err != nil {
			if s != shown {
				return nil, fmt.Errorf("%q is not a regular expression", shown)
			}
			return nil, err
		}
		return p, nil
	case !strings.Contains(s, "*"):
		p.prefix = s
		return p, nil
	}
	p.wild = true
	p.prefix, _, _ = strings.Cut(s, "*")
	p.must = strings.TrimSuffix(p.prefix, "/")
	for seg := range strings.SplitSeq(s, "/") {
		if seg == "**" {
			p.segments = append(p.segments, segment{deep: true})
			p.captures++
			continue
		}
		if strings.Contains(seg, "**") {
			return nil, fmt.Errorf("%q: ** must stand alone between slashes", shown)
		}
		pieces := strings.Split(seg, "*")
		p.captures += len(pieces) - 1
		p.segments = append(p.segments, segment{pieces: pieces})
	}
	if p.captures > maxCaptures {
		return nil, fmt.Errorf("%q has more than %d wildcards", shown, maxCaptures)
	}
	return p, nil
}

func (p *Pattern) compileRE(expr string) error {
	bare, err := regexp.Compile(expr)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return fmt.Errorf("%q is not a regular expression: %s", p.src, clip(why))
	}
	if p.re, err = regexp.Compile(`\A(?:` + expr + `)\z`); err != nil {
		return fmt.Errorf("%q is not a regular expression", p.src)
	}
	p.wild = true
	p.prefix, _ = bare.LiteralPrefix()
	p.must = p.prefix
	if p.captures = p.re.NumSubexp(); p.captures > maxCaptures {
		return fmt.Errorf("%q has more than %d groups", p.src, maxCaptures)
	}
	return nil
}

// weight bounds how many instructions a regular expression can compile to: counted repetitions multiply what they repeat,
// by 1000 at most, and Unicode classes are long lists.
func weight(expr string) int {
	times := 1
	for _, part := range strings.Split(expr, "{")[1:] {
		count, _, _ := strings.Cut(part, "}")
		for n := range strings.SplitSeq(count, ",") {
			if v, err := strconv.Atoi(n); err == nil && v > 1 {
				times = min(times*min(v, 1000), 1000)
			}
		}
	}
	return (len(expr) + 1000*strings.Count(strings.ToLower(expr), `\p`)) * times
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.src }

// Captures is how many captures a match has.
func (p *Pattern) Captures() int { return p.captures }

// Wild reports whether the pattern can match more than one text.
func (p *Pattern) Wild() bool { return p.wild }

// names returns the names of its captures.
func (p *Pattern) names() []string {
	if p.re == nil {
		return nil
	}
	var out []string
	for _, n := range p.re.SubexpNames() {
		if n != "" {
			out = append(out, n)
		}
	}
	return out
}

// Captures are what the wildcards or groups of a pattern stood for. The zero value has none.
type Captures struct {
	pattern *Pattern
	in      string
	at      [maxCaptures + 1][2]int // from 1; the end is -1 for a group that took no part
}

// Get returns capture n, counted from 1; empty if there is none.
func (c *Captures) Get(n int) string {
	if c == nil || c.pattern == nil || n < 1 || n > c.pattern.captures || c.at[n][0] < 0 {
		return ""
	}
	return c.in[c.at[n][0]:c.at[n][1]]
}

// get returns a capture by number or name.
func (c *Captures) get(key string) string {
	if c == nil || c.pattern == nil {
		return ""
	}
	if digits(key) {
		n, err := strconv.Atoi(key)
		if err != nil {
			return ""
		}
		return c.Get(n)
	}
	if c.pattern.re == nil {
		return ""
	}
	return c.Get(c.pattern.re.SubexpIndex(key))
}

// Match reports whether s matches as a whole. Captures go to c, which may be nil. Globs do not allocate.
func (p *Pattern) Match(s string, c *Captures) bool {
	switch {
	case !p.wild:
		if s != p.exact {
			return false
		}
		if c != nil {
			c.pattern = p
		}
		return true
	case !strings.HasPrefix(s, p.must):
		return false
	case p.re != nil:
		return p.matchRE(s, c)
	}
	var own Captures
	if c == nil {
		c = &own
	}
	if !p.glob(s, c) {
		return false
	}
	c.pattern, c.in = p, s
	return true
}

func (p *Pattern) matchRE(s string, c *Captures) bool {
	if c == nil || p.captures == 0 {
		if !p.re.MatchString(s) {
			return false
		}
		if c != nil {
			c.pattern = p
		}
		return true
	}
	m := p.re.FindStringSubmatchIndex(s)
	if m == nil {
		return false
	}
	c.pattern, c.in = p, s
	for i := 1; i <= p.captures; i++ {
		c.at[i] = [2]int{m[2*i], m[2*i+1]}
	}
	return true
}

// glob matches segment by segment. Only the last ** seen ever needs to give way: an earlier one could only let the ones
// behind it begin later, which they can do on their own. So the time is at most quadratic in len(s).
func (p *Pattern) glob(s string, c *Captures) bool {
	i, from, n := 0, 0, 0 // next segment of the pattern, where the next one of s begins (len(s)+1: none left), captures
	deep, deepFrom, deepEnd, deepN := -1, 0, 0, 0
	for {
		ok := false
		switch {
		case i == len(p.segments):
			if from == len(s)+1 {
				return true
			}
		case p.segments[i].deep:
			deep, deepFrom, deepEnd, deepN = i, from, from, n
			n++
			c.at[n] = [2]int{min(from, len(s)), min(from, len(s))}
			i++
			ok = true
		case from <= len(s):
			end := from
			for end < len(s) && s[end] != '/' {
				end++
			}
			if ok = p.segments[i].match(s, from, end, c, n); ok {
				n += len(p.segments[i].pieces) - 1
				from = end + 1
				i++
			}
		}
		if ok {
			continue
		}
		if deep < 0 || deepEnd > len(s) {
			return false
		}
		for deepEnd < len(s) && s[deepEnd] != '/' {
			deepEnd++
		}
		n = deepN + 1
		c.at[n] = [2]int{deepFrom, deepEnd}
		deepEnd++
		from, i = deepEnd, deep+1
	}
}

// match matches s[from:end], which has no slash, and writes captures behind the first n. A star that is the whole segment
// needs at least one byte.
func (g *segment) match(s string, from, end int, c *Captures, n int) bool {
	first, last := g.pieces[0], g.pieces[len(g.pieces)-1]
	if len(g.pieces) == 1 {
		return s[from:end] == first
	}
	if len(g.pieces) == 2 && first == "" && last == "" && from == end {
		return false
	}
	if end-from < len(first)+len(last) || s[from:from+len(first)] != first || s[end-len(last):end] != last {
		return false
	}
	at, stop := from+len(first), end-len(last)
	for k, piece := range g.pieces[1 : len(g.pieces)-1] {
		j := strings.Index(s[at:stop], piece)
		if j < 0 {
			return false
		}
		c.at[n+1+k] = [2]int{at, at + j}
		at += j + len(piece)
	}
	c.at[n+len(g.pieces)-1] = [2]int{at, stop}
	return true
}
