package rules

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A part is a piece of a scalar: text, or something that is filled in.
type part struct {
	kind   partKind
	text   string       // of a literal: the value; of a variable: its name or number
	secret bool         // it came from the environment
	prefix netip.Prefix // of an address
	inUser bool         // it stands in the userinfo of a URL, so what it gives must be encoded
}

type partKind uint8

const (
	literal  partKind = iota
	variable          // $name, $1, $room
	address           // ${ip:PREFIX}
)

const maxEnv = 64 << 10

// scan takes a scalar apart. Environment variables are filled in at once; what they contain is never looked at again.
func scan(raw string, env func(string) (string, bool)) (parts []part, problems []string) {
	lit := func(s string, secret bool) {
		if n := len(parts) - 1; !secret && n >= 0 && parts[n].kind == literal && !parts[n].secret {
			parts[n].text += s
		} else if s != "" {
			parts = append(parts, part{text: s, secret: secret})
		}
	}
	for raw != "" {
		before, rest, found := strings.Cut(raw, "$")
		lit(before, false)
		if !found {
			break
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			lit("$", false)
			raw = rest[1:]
			continue
		case strings.HasPrefix(rest, "{"):
			inner, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return parts, append(problems, fmt.Sprintf("%q has no closing }", clip("$"+rest)))
			}
			raw = after
			switch kind, arg, _ := strings.Cut(inner, ":"); {
			case kind == "env" && kind != inner:
				name, def, hasDefault := strings.Cut(arg, ":-")
				if word(name) != name || name == "" {
					problems = append(problems, fmt.Sprintf("%q is not the name of an environment variable", clip(name)))
					break
				}
				var v string
				var ok bool
				if env != nil {
					v, ok = env(name)
				}
				switch {
				case ok && len(v) > maxEnv:
					problems = append(problems, fmt.Sprintf("environment variable %s is longer than %d bytes", name, maxEnv))
				case ok && (v != "" || !hasDefault):
					lit(v, true)
				case hasDefault:
					lit(def, false)
				default:
					problems = append(problems, fmt.Sprintf("environment variable %s is not set; set it, or write ${env:%s:-default}", name, name))
				}
			case kind == "ip" && kind != inner:
				p, err := netip.ParsePrefix(arg)
				if err != nil {
					problems = append(problems, fmt.Sprintf("${ip:%s}: %q is not a prefix like 239.10.0.0/16", clip(arg), clip(arg)))
					break
				}
				parts = append(parts, part{kind: address, prefix: p.Masked()})
			case inner != "" && (word(inner) == inner || digits(inner)):
				parts = append(parts, part{kind: variable, text: inner})
			default:
				problems = append(problems, fmt.Sprintf("unknown ${%s}; known: ${env:NAME}, ${env:NAME:-default}, ${ip:PREFIX}, ${name}", clip(inner)))
			}
		default:
			name := word(rest)
			if name == "" {
				name = rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
			}
			if name == "" {
				problems = append(problems, "$ must be followed by what is filled in; write $$ for a dollar sign")
				raw = rest
				continue
			}
			parts = append(parts, part{kind: variable, text: name})
			raw = rest[len(name):]
		}
	}
	return parts, problems
}

// word returns the identifier that s begins with.
func word(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return s[:i]
	}
	return s
}

// clip shortens what a finding quotes.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// A Template is a value in which $name, $user, $protocol, captures and ${ip:PREFIX} are filled in for each stream.
type Template struct {
	parts []part
	src   Text // as it is in the file, the environment filled in
	pos   pos
}

// newTemplate makes a template of the parts of a scalar.
func newTemplate(parts []part, p pos) *Template {
	t := &Template{parts: parts, pos: p}
	t.src = t.source()
	t.markUserinfo()
	return t
}

// String returns the template as it is in the file, with ••• for what came from the environment.
func (t *Template) String() string { return t.src.String() }

func (t *Template) source() Text {
	var real, shown strings.Builder
	for _, p := range t.parts {
		s := p.text
		switch p.kind {
		case variable:
			s = "$" + s
		case address:
			s = "${ip:" + p.prefix.String() + "}"
		}
		real.WriteString(s)
		if p.secret {
			s = hidden
		}
		shown.WriteString(s)
	}
	return Text{real.String(), maskURL(shown.String())}
}

// constant reports whether nothing is filled in for each stream.
func (t *Template) constant() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool { return p.kind != literal })
}

func (t *Template) secret() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.secret })
}

// markUserinfo finds what is filled in between :// and @.
func (t *Template) markUserinfo() {
	inside := false
	var marked []int
	for i, p := range t.parts {
		if p.kind != literal || p.secret {
			if inside {
				marked = append(marked, i)
			}
			continue
		}
		s := p.text
		if !inside {
			_, after, ok := strings.Cut(s, "://")
			if !ok {
				continue
			}
			inside, s = true, after
		}
		if end := strings.IndexAny(s, "@/?#"); end >= 0 {
			if s[end] == '@' {
				for _, m := range marked {
					t.parts[m].inUser = true
				}
			}
			return
		}
	}
}

// userinfo encodes a value for the userinfo of a URL, unless it is fit to stand there as it is.
func userinfo(v string) string {
	if u, err := url.Parse("x://" + v + "@h"); err == nil && u.User != nil && u.Host == "h" && u.User.String() == v {
		return v
	}
	user, password, ok := strings.Cut(v, ":")
	if ok {
		return url.UserPassword(user, password).String()
	}
	return url.User(v).String()
}

// values are what a template is filled with.
type values struct {
	name, user, protocol string
	captures             *Captures
}

func (v *values) get(key string) string {
	switch key {
	case "name":
		return v.name
	case "user":
		return v.user
	case "protocol":
		return v.protocol
	}
	return v.captures.get(key)
}

// expand fills the template in.
func (t *Template) expand(v *values) Text {
	if len(t.parts) == 1 && t.parts[0].kind == variable {
		s := v.get(t.parts[0].text)
		return Text{s, s}
	}
	if t.constant() && !t.secret() {
		return t.src
	}
	real := make([]byte, 0, 2*len(t.src.real)+32)
	shown := real[:0:0]
	secret := t.secret()
	if secret {
		shown = make([]byte, 0, cap(real))
	}
	for _, p := range t.parts {
		s := p.text
		switch p.kind {
		case variable:
			s = v.get(s)
		case address:
			s = addressIn(p.prefix, v.name).String()
			if p.prefix.Addr().Is6() {
				s = "[" + s + "]"
			}
		}
		if p.inUser {
			s = userinfo(s)
		}
		real = append(real, s...)
		if p.secret {
			s = hidden
		}
		if secret {
			shown = append(shown, s...)
		}
	}
	r := string(real)
	if !secret {
		return Text{r, maskURL(r)}
	}
	return Text{r, maskURL(string(shown))}
}

// addressIn derives an address in a prefix from a name: the host bits are the low bits of the name's FNV-1a hash, 32 bits
// wide for IPv4 and 128 for IPv6.
func addressIn(prefix netip.Prefix, name string) netip.Addr {
	base := prefix.Masked().Addr().AsSlice()
	var sum []byte
	if len(base) == 4 {
		h := fnv.New32a()
		h.Write([]byte(name))
		sum = h.Sum(nil)
	} else {
		h := fnv.New128a()
		h.Write([]byte(name))
		sum = h.Sum(nil)
	}
	for i := range base {
		switch bits := prefix.Bits() - 8*i; {
		case bits <= 0:
			base[i] = sum[i]
		case bits < 8:
			base[i] |= sum[i] & (0xff >> bits)
		}
	}
	a, _ := netip.AddrFromSlice(base)
	return a
}

// check says what a template uses that is not there. named are the variables allowed besides captures; patterns are those
// whose captures it may use.
func (t *Template) check(named []string, patterns []*Pattern) []string {
	var problems []string
	for _, p := range t.parts {
		if p.kind != variable || slices.Contains(named, p.text) {
			continue
		}
		number, isNumber := 0, digits(p.text)
		if isNumber {
			number, _ = strconv.Atoi(p.text)
		}
		switch {
		case len(patterns) == 0 && isNumber:
			problems = append(problems, fmt.Sprintf("$%s: there is no name pattern to capture from", clip(p.text)))
		case isNumber:
			for _, pat := range patterns {
				if number < 1 || number > pat.Captures() {
					problems = append(problems, fmt.Sprintf("$%s: pattern %q has %d captures", clip(p.text), pat, pat.Captures()))
					break
				}
			}
		default:
			known := slices.Clone(named)
			for _, pat := range patterns {
				known = append(known, pat.names()...)
			}
			if !slices.Contains(known, p.text) {
				problems = append(problems, fmt.Sprintf("unknown $%s%s", clip(p.text), didYouMean(p.text, known)))
				continue
			}
			for _, pat := range patterns {
				if !slices.Contains(pat.names(), p.text) {
					problems = append(problems, fmt.Sprintf("$%s: pattern %q does not capture it", p.text, pat))
					break
				}
			}
		}
	}
	return problems
}

// samples fills the template in with made-up values, so that what comes out can be tried.
func (t *Template) samples() []Text {
	var out []Text
	for _, s := range []string{"1", "x", "x/y"} {
		parts := slices.Clone(t.parts)
		for i := range parts {
			if parts[i].kind == variable {
				parts[i].kind, parts[i].text = literal, s
			}
		}
		u := &Template{parts: parts}
		u.src = u.source()
		out = append(out, u.expand(&values{name: "x"}))
		if t.constant() {
			break
		}
	}
	return out
}
