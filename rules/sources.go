package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// A Source is a stream, or with wildcards a family of streams, that the gateway fetches itself. Read only.
type Source struct {
	Name     string // the key
	Line     int
	Wild     bool // the key is a pattern
	OnDemand bool
	Settings Settings
	Tracks   []string // nil is all; see Send.Tracks
	Failover Failover

	pattern *Pattern
	urls    []*Template
	pos     pos // of its value
	key     pos
	broken  bool
}

// Failover says when a source with several URLs goes from one to the next.
type Failover struct {
	After  time.Duration // without an access unit
	Return time.Duration // the preferred one was healthy for so long; 0 is never
}

// Failover of a source that does not say.
const (
	DefaultAfter  = 3 * time.Second
	DefaultReturn = time.Minute
)

// Expand returns the URLs of the source for a stream that it describes, in order of preference.
func (s *Source) Expand(name string) []Text {
	var c Captures
	s.pattern.Match(name, &c)
	v := &values{name: name, captures: &c}
	out := make([]Text, len(s.urls))
	for i, u := range s.urls {
		out[i] = u.expand(v)
	}
	return out
}

// Identity returns a value that is equal for sources with the same settings, wherever they stand in the file.
func (s *Source) Identity() Identity {
	h := newHasher("source", s.Name, fmt.Sprint(s.OnDemand), s.Failover.After.String(), s.Failover.Return.String(), strings.Join(s.Tracks, ","))
	h.addSettings(s.Settings)
	for _, u := range s.urls {
		h.add(u.src.real)
	}
	return h.sum()
}

// Source returns the source that gives the named stream: an exact key, else the wildcard with the longest literal prefix.
func (f *File) Source(name string) (*Source, bool) {
	if s, ok := f.exact[name]; ok {
		return s, true
	}
	for _, s := range f.wild {
		if s.pattern.Match(name, nil) {
			return s, true
		}
	}
	return nil, false
}

// indexSources prepares Source.
func (f *File) indexSources() {
	f.exact = make(map[string]*Source)
	for i := range f.Sources {
		if s := &f.Sources[i]; s.Wild {
			f.wild = append(f.wild, s)
		} else {
			f.exact[s.Name] = s
		}
	}
	slices.SortStableFunc(f.wild, func(a, b *Source) int { return cmp.Compare(len(b.pattern.prefix), len(a.pattern.prefix)) })
}

func (d *decoder) sources(n *yaml.Node) (out []Source) {
	d.pairs(n, "sources", func(k, v *yaml.Node) {
		path := label("source", k.Value, 0)
		p := d.pattern(k, path, Text{k.Value, k.Value})
		if p == nil {
			return
		}
		if !p.wild && !ValidName(k.Value) {
			d.fail(at(k), "%s: the key is no stream name, which is %s", path, nameRule)
			return
		}
		if bad := neverName(p); bad != "" {
			d.fail(at(k), "%s: the pattern can never match: %s", path, bad)
			return
		}
		out = append(out, d.source(k, v, p))
	})
	return out
}

func (d *decoder) source(k, v *yaml.Node, p *Pattern) Source {
	path := label("source", k.Value, 0)
	real, ok := d.node(v)
	s := Source{Name: k.Value, Line: k.Line, Wild: p.wild, pattern: p, key: at(k), pos: at(real), Failover: Failover{DefaultAfter, DefaultReturn}}
	urls := func(n *yaml.Node) {
		d.list(n, path+": url", func(_ int, n *yaml.Node) {
			if t := d.template(n, path); t != nil {
				s.urls = append(s.urls, t)
			} else {
				s.broken = true
			}
		})
	}
	if ok && real.Kind != yaml.MappingNode {
		urls(v)
		return s
	}
	span := func(key string, to *time.Duration) field {
		return field{key, func(n *yaml.Node) {
			var v duration
			if d.unmarshal(n, path+": failover: "+key, &v) {
				*to = time.Duration(v)
			}
		}}
	}
	failover := pos{}
	ok = d.mapping(v, path, append(d.settings(&s.Settings, path),
		field{"url", urls},
		field{"on_demand", func(n *yaml.Node) {
			var t truth
			s.broken = !d.unmarshal(n, path+": on_demand", &t) || s.broken
			s.OnDemand = bool(t)
		}},
		field{"transport", func(n *yaml.Node) {
			w := oneOf{known: []string{"tcp", "udp", "multicast", "http"}}
			d.unmarshal(n, path+": transport", &w)
			s.Settings.Transport = w.word
		}},
		field{"program", func(n *yaml.Node) { s.Settings.Program = d.whole(n, path, "program", 1, 65535) }},
		field{"tracks", func(n *yaml.Node) { s.Tracks = d.tracks(n, path+": tracks") }},
		field{"failover", func(n *yaml.Node) {
			failover = at(n)
			d.mapping(n, path+": failover", span("after", &s.Failover.After), span("return", &s.Failover.Return))
			if s.Failover.After == 0 {
				d.fail(at(n), "%s: failover: after must be more than 0", path)
			}
		}})...)
	s.broken = s.broken || !ok
	if failover != (pos{}) && len(s.urls) == 1 {
		d.fail(failover, "%s: failover needs more than one url", path)
	}
	return s
}

func (f *File) checkSources(r *report, o Options) {
	for i := range f.Sources {
		s := &f.Sources[i]
		who := label("source", s.Name, 0)
		if len(s.urls) == 0 && !s.broken {
			r.fail(s.pos, "%s needs a url", who)
		}
		for _, t := range s.urls {
			problems := t.check([]string{"name"}, []*Pattern{s.pattern})
			for _, p := range problems {
				r.fail(t.pos, "%s: %s", who, p)
			}
			if problems == nil {
				f.checkURL(r, t, RoleFetch, s.pos, who, o)
			}
		}
		if s.Wild && !s.OnDemand && !s.broken {
			r.fail(s.pos, "%s: a key with wildcards must be on demand; add on_demand: true", who)
		}
		if s.Settings.Transport != "" && !slices.ContainsFunc(s.urls, func(t *Template) bool {
			scheme := t.src.Scheme()
			return strings.HasPrefix(scheme, "rtsp") || scheme == "onvif"
		}) && len(s.urls) > 0 {
			r.fail(s.pos, "%s: transport is for rtsp", who)
		}
	}
	if len(f.wild) > maxWild {
		r.fail(f.wild[0].key, "sources: more than %d keys have wildcards", maxWild)
		return
	}
	first := make(map[string]*Source)
	for _, s := range f.wild {
		prefix := s.pattern.prefix
		if other := first[prefix]; other != nil {
			r.fail(s.key, "%s: %q on line %d begins with the same %q, so neither wins; make one longer", label("source", s.Name, 0), other.Name, other.Line, prefix)
			continue
		}
		first[prefix] = s
	}
	for i := range f.Sources {
		s := &f.Sources[i]
		if path := f.cycle(s); path != "" {
			r.fail(s.pos, "%s follows itself: %s", label("source", s.Name, 0), path)
		}
	}
}

// maxWild is how many keys of sources may have wildcards: each is tried for a name that no exact key has.
const maxWild = 1000

// maxFollow is how many stream: URLs may follow each other.
const maxFollow = 16

// cycle follows the stream: URLs of a source and returns the way that leads back to it, or on and on; empty if none does.
func (f *File) cycle(s *Source) string {
	name := s.Name
	if s.Wild {
		if name = strings.ReplaceAll(strings.ReplaceAll(s.Name, "**", "x"), "*", "x"); !s.pattern.Match(name, nil) {
			return ""
		}
	}
	steps := 0
	var follow func(at *Source, name string, way []string) string
	follow = func(at *Source, name string, way []string) string {
		way = append(way, name)
		if steps++; steps > 1000 {
			return ""
		}
		for _, u := range at.Expand(name) {
			next, ok := strings.CutPrefix(u.Reveal(), "stream:")
			if !ok {
				continue
			}
			to, ok := f.Source(next)
			switch {
			case !ok:
			case to == s && (!s.Wild || next == way[0]) || len(way) > maxFollow:
				if len(way) > 4 {
					way = append(slices.Clone(way[:4]), "…")
				}
				return strings.Join(append(way, clip(next)), " → ")
			case slices.Contains(way, next): // a cycle of others, who say so themselves
			default:
				if found := follow(to, next, way); found != "" {
					return found
				}
			}
		}
		return ""
	}
	return follow(s, name, nil)
}
