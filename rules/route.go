package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Stream is what rules are matched against.
type Stream struct {
	Name     string
	Protocol string // it came over; for what is fetched see ProtocolOf
	Listener string // empty for sources
	Address  netip.Addr
	User     string
	Video    []string // codec names
	Audio    []string
}

// A Route is all that the rules want for one stream. Equal cables are one, whatever the number of rules that want them.
type Route struct {
	Serves   []Serve
	Sends    []Send
	Problems []Problem // what could not be filled in for this stream
}

// A Cable is one way out of a stream. Two cables are the same (==) if they do the same.
type Cable struct {
	Stream   string
	Served   bool   // under a name over a protocol; else sent to a URL
	Protocol string // over which it is served; the scheme of the URL if it is sent
	To       Text   // the served name or the URL
	Tracks   string // joined by commas; empty is all
	Settings Settings
}

// An Owner is a rule that wants a cable. The rule that a file without rules stands for has no name and Line 0.
type Owner struct {
	Rule  string // its name, or its number from 1
	Line  int
	Index int // from 1; 0 in a file without rules
}

// A Serve is a cable to players.
type Serve struct {
	Cable    Cable
	Protocol string
	As       string   // the name to ask for
	Tracks   []string // nil is all; see Send
	Owner             // the first of Owners
	Owners   []Owner
}

// A Send is a cable to a destination.
type Send struct {
	Cable    Cable
	URL      Text
	Tracks   []string // nil is all; else elements like "video", "audio:eng" and "audio:#2", in order of preference
	Settings Settings
	Owner    // the first of Owners
	Owners   []Owner
}

// A Problem is something that a rule wants and this stream cannot have.
type Problem struct {
	Owner
	What string
}

// Route applies all rules to a stream. It is safe for concurrent use.
func (f *File) Route(s Stream) Route {
	var r Route
	fact := s.facts()
	for i := range f.rules {
		rule := &f.rules[i]
		if rule.match.test(&fact) == yes {
			f.apply(rule, s, &r)
		}
	}
	return r
}

func (s *Stream) facts() facts {
	return facts{name: s.Name, protocol: s.Protocol, listener: s.Listener, user: s.User, address: s.Address, video: s.Video, audio: s.Audio}
}

func (r *Rule) owner() Owner {
	o := Owner{Rule: r.Name, Line: r.Line, Index: r.index}
	if o.Rule == "" && r.index > 0 {
		o.Rule = fmt.Sprint(r.index)
	}
	return o
}

// apply adds what one rule wants.
func (f *File) apply(rule *Rule, s Stream, r *Route) {
	c := rule.match.captures(s.Name)
	v := &values{name: s.Name, user: s.User, protocol: s.Protocol, captures: &c}
	owner := rule.owner()
	if rule.serve != nil {
		as := s.Name
		if rule.as != nil {
			as = rule.as.expand(v).Reveal()
		}
		if !ValidName(as) {
			r.Problems = append(r.Problems, Problem{owner, fmt.Sprintf("as: %s gives no stream name here", rule.as)})
		} else {
			for _, p := range rule.serves(f) {
				r.serve(Cable{Stream: s.Name, Served: true, Protocol: p, To: Text{as, as}, Tracks: rule.tracksKey}, rule.Tracks, owner)
			}
		}
	}
	for i := range rule.sends {
		t := &rule.sends[i]
		to := t.url.expand(v)
		if !t.url.constant() {
			if sch, ok := scheme(to.Scheme()); !ok || !sch.Send {
				r.Problems = append(r.Problems, Problem{owner, fmt.Sprintf("send: %s is not a URL", to)})
				continue
			} else if _, err := parseURL(to.Reveal(), sch, RoleSend); err != nil {
				r.Problems = append(r.Problems, Problem{owner, fmt.Sprintf("send: %s is not an address", to)})
				continue
			}
		}
		r.send(Cable{Stream: s.Name, Protocol: to.Scheme(), To: to, Tracks: t.tracksKey, Settings: t.settings}, t.tracks, owner)
	}
}

func (r *Route) serve(c Cable, tracks []string, o Owner) {
	for i := range r.Serves {
		if r.Serves[i].Cable == c {
			r.Serves[i].Owners = append(r.Serves[i].Owners, o)
			return
		}
	}
	r.Serves = append(r.Serves, Serve{Cable: c, Protocol: c.Protocol, As: c.To.Reveal(), Tracks: tracks, Owner: o, Owners: []Owner{o}})
}

func (r *Route) send(c Cable, tracks []string, o Owner) {
	for i := range r.Sends {
		if r.Sends[i].Cable == c {
			if !slices.Contains(r.Sends[i].Owners, o) {
				r.Sends[i].Owners = append(r.Sends[i].Owners, o)
			}
			return
		}
	}
	r.Sends = append(r.Sends, Send{Cable: c, URL: c.To, Tracks: tracks, Settings: c.Settings, Owner: o, Owners: []Owner{o}})
}

// serves returns the protocols that a rule serves, all of them written out.
func (r *Rule) serves(f *File) []string {
	if slices.Contains(r.serve, all) {
		return f.carried
	}
	return r.serve
}

// Carried returns the protocols that have a listener, which is what `serve: all` means.
func (f *File) Carried() []string { return slices.Clone(f.carried) }

// ListenerOf returns the name of the first listener that carries a protocol; empty if none does.
func (f *File) ListenerOf(protocol string) string {
	for i := range f.Listen {
		if slices.Contains(f.Listen[i].Carries(), protocol) {
			return f.Listen[i].Name
		}
	}
	return ""
}

func (f *File) indexListeners(o Options) {
	for i := range f.Listen {
		for _, p := range f.Listen[i].Carries() {
			if !slices.Contains(f.carried, p) && o.available(RoleServe, p) {
				f.carried = append(f.carried, p)
			}
		}
	}
}

func tracksKey(tracks []string) string { return strings.Join(tracks, ",") }
