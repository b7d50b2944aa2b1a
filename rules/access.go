package rules

import (
	"fmt"
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"
)

// An Action is what a peer asks for.
type Action string

// Publish is to send a stream to the gateway, Play to get one from it.
const (
	Publish Action = "publish"
	Play    Action = "play"
)

// A Request is a peer's question to the access list.
type Request struct {
	Action   Action
	Name     string // as the protocol says it
	Protocol string
	Listener string
	Address  netip.Addr
	User     string // authenticated; empty if not
}

// A Decision is the access list's answer.
type Decision struct {
	Allow    bool   `json:"allow"`
	Entry    int    `json:"entry,omitempty"`  // that decided, from 1; 0 if none did
	Line     int    `json:"line,omitempty"`   // of the entry; 0 if there is none
	Reason   string `json:"reason,omitempty"` // why not; for the log and, in short, for the peer
	As       string `json:"as"`               // the stream's name from here on
	Limit    Limit  `json:"limit"`
	NeedUser bool   `json:"need_user,omitempty"` // refused, but an authenticated user might not be: ask who it is
}

// A Limit bounds what one access entry admits at a time. Zero is no limit.
type Limit struct {
	Streams  int   `json:"streams,omitempty"`  // that are published
	Sessions int   `json:"sessions,omitempty"` // of all kinds
	Bitrate  int64 `json:"bitrate,omitempty"`  // of one stream, in bits per second, averaged over 5 s
}

// entry is one element of `access`.
type entry struct {
	match
	index         int
	allow         bool
	publish, play bool
	as            *Template
	limit         Limit
	because       Text
	pos           pos
}

func (e *entry) about(a Action) bool {
	return a == Publish && e.publish || a == Play && e.play
}

// loopbackOnly is the reason of a file that has no access list.
const loopbackOnly = "without access in the file only loopback peers are admitted"

// Admit asks the access list. The first entry that matches decides; it costs no allocation unless a name is filled in.
// It is safe for concurrent use.
func (f *File) Admit(r Request) Decision {
	d := Decision{As: r.Name}
	if !ValidName(r.Name) {
		d.Reason = "not a stream name: " + nameRule
		return d
	}
	fact := facts{name: r.Name, protocol: r.Protocol, listener: r.Listener, user: r.User, address: r.Address}
	if f.openAccess {
		if d.Allow = r.Address.Unmap().IsLoopback(); !d.Allow {
			d.Reason = loopbackOnly
		}
		return d
	}
	for i := range f.access {
		e := &f.access[i]
		if e.about(r.Action) && e.test(&fact) == yes {
			d.Entry, d.Line = e.index, e.pos.line
			if !e.allow {
				if d.Reason = e.because.String(); d.Reason == "" {
					d.Reason = fmt.Sprintf("access %d denies %s", e.index, r.Action)
				}
				break
			}
			return e.admit(d, r)
		}
	}
	if d.Reason == "" {
		d.Reason = "no entry allows " + string(r.Action)
	}
	d.NeedUser = r.User == "" && len(f.users) > 0 && f.aUserMight(r.Action, &fact)
	return d
}

func (e *entry) admit(d Decision, r Request) Decision {
	if e.as != nil {
		c := e.captures(r.Name)
		as := e.as.expand(&values{name: r.Name, user: r.User, protocol: r.Protocol, captures: &c}).Reveal()
		if !ValidName(as) {
			d.Reason = fmt.Sprintf("as: %s gives no stream name here", e.as)
			return d
		}
		d.As = as
	}
	d.Allow, d.Limit = true, e.limit
	return d
}

// aUserMight reports whether somebody who is authenticated could be admitted where nobody is.
func (f *File) aUserMight(a Action, fact *facts) bool {
	unknown := *fact
	unknown.anyUser = true
	for i := range f.access {
		e := &f.access[i]
		if !e.about(a) {
			continue
		}
		switch e.test(&unknown) {
		case yes:
			return e.allow
		case maybe:
			if e.allow {
				return true
			}
		}
	}
	return false
}

// Password returns the password of a user.
func (f *File) Password(user string) (string, bool) {
	t, ok := f.users[user]
	return t.Reveal(), ok
}

// Users returns the names of all users, sorted.
func (f *File) Users() []string { return f.userNames() }

func (f *File) userNames() []string {
	var out []string
	for u := range f.users {
		out = append(out, u)
	}
	slices.Sort(out)
	return out
}

func (d *decoder) users(n *yaml.Node) map[string]Text {
	out := make(map[string]Text)
	d.pairs(n, "users", func(k, v *yaml.Node) {
		path := fmt.Sprintf("user %q", clip(k.Value))
		if !validUser(k.Value) {
			d.fail(at(k), "%s: a user's name is made of A-Z a-z 0-9 . _ - @", path)
			return
		}
		out[k.Value] = Text{} // so that it is known, whatever is wrong with the password
		t := d.template(v, path)
		if t == nil {
			return
		}
		if !t.constant() {
			d.fail(t.pos, "%s: nothing but ${env:NAME} is filled in here; write $$ for a dollar sign", path)
			return
		}
		text := t.expand(&values{})
		if text.Reveal() == "" {
			d.fail(t.pos, "%s: the password is empty", path)
		} else if !t.secret() {
			d.warn(t.pos, "%s: the password is written in clear; use ${env:NAME}", path)
		}
		out[k.Value] = Text{text.Reveal(), hidden}
	})
	return out
}

func (d *decoder) access(n *yaml.Node) (out []entry) {
	real, ok := d.node(n)
	if ok && real.Kind == yaml.SequenceNode && len(real.Content) == 0 {
		return nil // said by the check
	}
	d.list(n, "access", func(i int, n *yaml.Node) { out = append(out, d.entry(n, i+1)) })
	return out
}

func (d *decoder) entry(n *yaml.Node, index int) entry {
	path := fmt.Sprintf("access %d", index)
	n, _ = d.node(n)
	e := entry{index: index, pos: at(n)}
	e.where = e.pos
	allows, denies := false, false
	actions := func(key string, seen *bool) field {
		return field{key, func(n *yaml.Node) {
			*seen = true
			d.list(n, path+": "+key, func(_ int, n *yaml.Node) {
				w := oneOf{known: []string{string(Publish), string(Play)}}
				if !d.unmarshal(n, path+": "+key, &w) {
					e.broken = true
				}
				e.publish = e.publish || w.word == string(Publish)
				e.play = e.play || w.word == string(Play)
			})
		}}
	}
	number := func(to *int, key string) field {
		return field{key, func(n *yaml.Node) { *to = d.whole(n, path+": limit", key, 1, 1<<30) }}
	}
	before := len(d.report.list)
	ok := d.mapping(n, path, append(d.conditions(&e.match, path, false, 0),
		actions("allow", &allows), actions("deny", &denies),
		field{"as", func(n *yaml.Node) { e.as = d.template(n, path+": as") }},
		field{"because", func(n *yaml.Node) { e.because, _ = d.text(n, path+": because") }},
		field{"limit", func(n *yaml.Node) {
			d.mapping(n, path+": limit", number(&e.limit.Streams, "streams"), number(&e.limit.Sessions, "sessions"),
				field{"bitrate", func(n *yaml.Node) {
					var b bitrate
					d.unmarshal(n, path+": limit: bitrate", &b)
					e.limit.Bitrate = int64(b)
				}})
		}})...)
	e.broken = e.broken || len(d.report.list) > before
	e.allow = allows
	switch {
	case ok && allows == denies:
		d.fail(e.pos, "%s needs either allow or deny", path)
		e.broken = true
	case denies && e.limit != (Limit{}):
		d.fail(e.pos, "%s: limit bounds what is allowed; it does nothing in deny", path)
	case denies && e.as != nil:
		d.fail(e.pos, "%s: as names what is allowed; it does nothing in deny", path)
	case allows && e.because != (Text{}):
		d.fail(e.pos, "%s: because explains a refusal; it does nothing in allow", path)
	}
	return e
}

// checkAccess looks at the access list, which begins at where; nowhere if there is none, or findings enough about it.
func (f *File) checkAccess(r *report, where pos) {
	admits := false
	all := map[Action]*entry{}
	for i := range f.access {
		e := &f.access[i]
		path := fmt.Sprintf("access %d", e.index)
		for _, a := range []Action{Publish, Play} {
			if !e.about(a) {
				continue
			}
			if first := all[a]; first != nil {
				r.fail(e.pos, "%s can never decide %s: the entry on line %d matches every %s", path, a, first.pos.line, a)
			} else if e.everything() {
				all[a] = e
			}
		}
		f.checkMatch(r, &e.match, e.pos, path)
		if e.as != nil {
			for _, p := range e.as.check([]string{"name", "user", "protocol"}, e.name) {
				r.fail(e.as.pos, "%s: as: %s", path, p)
			}
			if !possibleName(e.as) {
				r.fail(e.as.pos, "%s: as: %q cannot give a stream name, which is %s", path, clip(e.as.String()), nameRule)
			}
		}
		admits = admits || e.allow || e.broken
	}
	if where != (pos{}) && !admits {
		r.warn(where, "access admits nobody; these two lines admit this machine: \"- allow: [publish, play]\", \"  address: [127.0.0.0/8, '::1']\"")
	}
}

// possibleName reports whether a template can give a name.
func possibleName(t *Template) bool {
	return slices.ContainsFunc(t.samples(), func(s Text) bool { return ValidName(s.Reveal()) })
}
