package rules

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// facts are what is known of a peer or a stream.
type facts struct {
	name, protocol, listener, user string
	address                        netip.Addr
	video, audio                   []string
	anyUser                        bool // the user is not known yet
}

// match is a set of conditions: of each key one pattern must match; all keys must; none of not may.
type match struct {
	name, protocol, listener, user []*Pattern
	address                        []netip.Prefix
	video, audio                   []*Pattern
	not                            []*match
	broken                         bool // it could not be read as a whole
	where                          pos
}

// everything reports whether nothing is asked.
func (m *match) everything() bool {
	return !m.broken && m.protocol == nil && m.listener == nil && m.user == nil && m.address == nil && m.video == nil && m.audio == nil &&
		m.not == nil && (m.name == nil || hasAll(m.name))
}

func hasAll(list []*Pattern) bool {
	for _, p := range list {
		if p.src == "**" {
			return true
		}
	}
	return false
}

// answer is no, maybe or yes; maybe only while the user is not known.
type answer int8

const (
	no    answer = -1
	maybe answer = 0
	yes   answer = 1
)

// test says whether f matches.
func (m *match) test(f *facts) answer {
	if m.broken || m.name != nil && !anyOf(m.name, f.name) || m.protocol != nil && !oneOfThem(m.protocol, f.protocol) ||
		m.listener != nil && !oneOfThem(m.listener, f.listener) || m.address != nil && !contains(m.address, f.address) ||
		m.video != nil && !meets(m.video, f.video) || m.audio != nil && !meets(m.audio, f.audio) {
		return no
	}
	result := yes
	if m.user != nil {
		if f.anyUser {
			result = maybe
		} else if !oneOfThem(m.user, f.user) {
			return no
		}
	}
	for _, n := range m.not {
		result = min(result, -n.test(f))
	}
	return result
}

// captures returns what the first pattern that matches the name of a match captured.
func (m *match) captures(name string) (c Captures) {
	for _, p := range m.name {
		if p.Match(name, &c) {
			break
		}
	}
	return c
}

func anyOf(list []*Pattern, s string) bool {
	for _, p := range list {
		if p.Match(s, nil) {
			return true
		}
	}
	return false
}

// oneOfThem is anyOf for facts that may be empty: what is not there matches nothing.
func oneOfThem(list []*Pattern, s string) bool { return s != "" && anyOf(list, s) }

func contains(list []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func meets(list []*Pattern, codecs []string) bool {
	for _, c := range codecs {
		if oneOfThem(list, c) {
			return true
		}
	}
	return false
}

// why says which condition f does not meet; empty if it meets all.
func (m *match) why(f *facts) string {
	for _, k := range []struct {
		key      string
		patterns []*Pattern
		fact     string
	}{{"name", m.name, f.name}, {"protocol", m.protocol, f.protocol}, {"listener", m.listener, f.listener}} {
		if k.patterns != nil && !oneOfThem(k.patterns, k.fact) {
			return isNot(k.key, k.fact, k.patterns)
		}
	}
	if m.address != nil && !contains(m.address, f.address) {
		if !f.address.IsValid() {
			return "no address, not in " + prefixes(m.address)
		}
		return fmt.Sprintf("address %s is not in %s", f.address.Unmap(), prefixes(m.address))
	}
	if m.user != nil && !oneOfThem(m.user, f.user) {
		return isNot("user", f.user, m.user)
	}
	if m.video != nil && !meets(m.video, f.video) {
		return isNotCodec("video", f.video, m.video)
	}
	if m.audio != nil && !meets(m.audio, f.audio) {
		return isNotCodec("audio", f.audio, m.audio)
	}
	for _, n := range m.not {
		if n.test(f) == yes {
			return "it is what not excludes: " + n.String()
		}
	}
	return ""
}

func isNot(key, fact string, list []*Pattern) string {
	if fact == "" {
		return fmt.Sprintf("no %s, not %s", key, patternList(list))
	}
	return fmt.Sprintf("%s %q is not %s", key, clip(fact), patternList(list))
}

func isNotCodec(key string, have []string, list []*Pattern) string {
	if have == nil {
		return fmt.Sprintf("no %s, not %s", key, patternList(list))
	}
	return fmt.Sprintf("%s %s is not %s", key, strings.Join(have, ", "), patternList(list))
}

// String returns the conditions like "name [cam/*], user [studio]".
func (m *match) String() string {
	var out []string
	for _, k := range []struct {
		key      string
		patterns []*Pattern
	}{{"name", m.name}, {"protocol", m.protocol}, {"listener", m.listener}, {"user", m.user}, {"video", m.video}, {"audio", m.audio}} {
		if k.patterns != nil {
			out = append(out, k.key+" "+patternList(k.patterns))
		}
	}
	if m.address != nil {
		out = append(out, "address "+prefixes(m.address))
	}
	for _, n := range m.not {
		out = append(out, "not {"+n.String()+"}")
	}
	if out == nil {
		return "everything"
	}
	return strings.Join(out, ", ")
}

func patternList(list []*Pattern) string {
	var b strings.Builder
	for i, p := range list {
		if i == 8 {
			b.WriteString(" …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.String())
	}
	return "[" + b.String() + "]"
}

func prefixes(list []netip.Prefix) string {
	var b strings.Builder
	for i, p := range list {
		if i == 8 {
			b.WriteString(" …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		if p.IsSingleIP() {
			b.WriteString(p.Addr().String())
		} else {
			b.WriteString(p.String())
		}
	}
	return "[" + b.String() + "]"
}

// maxNot is how deep not may stand in not.
const maxNot = 8

// conditions returns the keys of a match, to be read into m. withCodecs tells that the tracks are known.
func (d *decoder) conditions(m *match, path string, withCodecs bool, depth int) []field {
	list := func(to *[]*Pattern, key string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			var ok bool
			if *to, ok = d.patterns(n, path+": "+key); !ok {
				m.broken = true
			}
		}
	}
	fields := []field{
		{"name", list(&m.name, "name")}, {"protocol", list(&m.protocol, "protocol")}, {"listener", list(&m.listener, "listener")},
		{"address", func(n *yaml.Node) {
			d.list(n, path+": address", func(_ int, n *yaml.Node) {
				var p prefix
				if !d.unmarshal(n, path+": address", &p) {
					m.broken = true
					return
				}
				m.address = append(m.address, netip.Prefix(p))
			})
			m.broken = m.broken || m.address == nil
		}},
		{"user", list(&m.user, "user")},
		{"not", func(n *yaml.Node) {
			if depth == maxNot {
				d.fail(at(n), "%s: not stands in not more than %d times", path, maxNot)
				m.broken = true
				return
			}
			d.list(n, path+": not", func(_ int, n *yaml.Node) {
				inner := d.match(n, path+": not", withCodecs, depth+1)
				m.not = append(m.not, inner)
				m.broken = m.broken || inner.broken
			})
		}},
	}
	if withCodecs {
		return append(fields, field{"video", list(&m.video, "video")}, field{"audio", list(&m.audio, "audio")})
	}
	for _, key := range []string{"video", "audio"} {
		fields = append(fields, field{key, func(n *yaml.Node) {
			d.fail(at(n), "%s: %s is not known yet when access is decided; match it in rules", path, key)
			m.broken = true
		}})
	}
	return fields
}

// match reads a mapping of conditions.
func (d *decoder) match(n *yaml.Node, path string, withCodecs bool, depth int) *match {
	m := &match{where: at(n)}
	before := len(d.report.list)
	if !d.mapping(n, path, d.conditions(m, path, withCodecs, depth)...) {
		m.broken = true
	}
	m.broken = m.broken || len(d.report.list) > before
	return m
}

// checkMatch looks at what a match refers to.
func (f *File) checkMatch(r *report, m *match, where pos, who string) {
	for _, p := range m.name {
		if bad := neverName(p); bad != "" {
			r.fail(p.pos, "%s: name: pattern %q can never match: %s", who, p, bad)
		}
	}
	if r.full() {
		return
	}
	for _, p := range m.user {
		if _, ok := f.users[p.exact]; !ok && !p.wild {
			r.fail(where, "%s: no user %q%s", who, clip(p.src), cmp.Or(didYouMean(p.exact, f.userNames()), "; add it to users"))
		}
	}
	var listeners []string
	for _, l := range f.Listen {
		listeners = append(listeners, l.Name)
	}
	f.checkWords(r, m.listener, who+": listener", listeners)
	f.checkWords(r, m.protocol, who+": protocol", append(protocolNames(RoleFetch), "http"))
	video, audio := Codecs()
	f.checkWords(r, m.video, who+": video", video)
	f.checkWords(r, m.audio, who+": audio", audio)
	for _, n := range m.not {
		f.checkMatch(r, n, where, who)
	}
}

// checkWords finds patterns that match none of the words there are.
func (f *File) checkWords(r *report, list []*Pattern, path string, known []string) {
	for _, p := range list {
		if !matchesAny(p, known) {
			if p.wild {
				r.fail(p.pos, "%s: pattern %q matches nothing there is", path, clip(p.src))
			} else {
				r.fail(p.pos, "%s: unknown %q%s", path, clip(p.src), cmp.Or(didYouMean(p.exact, known), "; there is none"))
			}
		}
	}
}

func matchesAny(p *Pattern, known []string) bool {
	for _, k := range known {
		if p.Match(k, nil) {
			return true
		}
	}
	return false
}

// neverName says why a glob cannot match a stream's name; empty if it can.
func neverName(p *Pattern) string {
	if p.re != nil {
		return ""
	}
	s := p.exact
	if strings.HasPrefix(s, "/") {
		return "names do not begin with /"
	}
	for _, c := range s {
		if c > 127 || !nameByte(byte(c)) && c != '/' && c != '*' {
			return fmt.Sprintf("%s is not in a name, which is %s", strconv.QuoteRune(c), nameRule)
		}
	}
	if sample := strings.ReplaceAll(strings.ReplaceAll(s, "**", "x"), "*", "x"); len(s) <= MaxName && !ValidName(sample) {
		return "a name is " + nameRule
	}
	return ""
}
