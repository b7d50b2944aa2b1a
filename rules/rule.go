package rules

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// A Rule says where the streams that it matches go. Read only.
type Rule struct {
	Name   string // may be empty
	Line   int
	Tracks []string // of what it serves, and of what it sends if that does not say; nil is all

	index     int
	match     match
	serve     []string // protocols, or all
	as        *Template
	sends     []target
	tracksKey string
	pos       pos
	broken    bool // it wants something that could not be read
}

// target is one URL of `send`.
type target struct {
	url       *Template
	tracks    []string
	tracksKey string
	settings  Settings
}

// all stands in serve for every protocol that has a listener.
const all = "all"

func (d *decoder) rules(n *yaml.Node) (out []Rule) {
	d.list(n, "rules", func(i int, n *yaml.Node) { out = append(out, d.rule(n, i+1)) })
	return out
}

func (d *decoder) rule(n *yaml.Node, index int) Rule {
	path := fmt.Sprintf("rule %d", index)
	n, _ = d.node(n)
	r := Rule{index: index, Line: n.Line, pos: at(n)}
	before := len(d.report.list)
	var sends *yaml.Node
	d.mapping(n, path,
		field{"name", func(n *yaml.Node) {
			t, _ := d.text(n, path+": name")
			r.Name = t.String()
		}},
		field{"match", func(n *yaml.Node) { r.match = *d.match(n, path+": match", true, 0) }},
		field{"serve", func(n *yaml.Node) {
			d.words(n, path+": serve", func(w string, _ pos) {
				if !slices.Contains(r.serve, w) {
					r.serve = append(r.serve, w)
				}
			})
		}},
		field{"as", func(n *yaml.Node) { r.as = d.template(n, path+": as") }},
		field{"tracks", func(n *yaml.Node) { r.Tracks = d.tracks(n, path+": tracks") }},
		field{"send", func(n *yaml.Node) { sends = n }})
	r.tracksKey = tracksKey(r.Tracks)
	if sends != nil { // last, because it takes over the rule's tracks
		d.list(sends, path+": send", func(_ int, n *yaml.Node) { d.send(&r, n, path+": send") })
	}
	r.broken = len(d.report.list) > before
	return r
}

func (d *decoder) send(r *Rule, n *yaml.Node, path string) {
	t := target{tracks: r.Tracks}
	var urls []*Template
	url := func(n *yaml.Node) {
		d.list(n, path+": url", func(_ int, n *yaml.Node) {
			if u := d.template(n, path); u != nil {
				urls = append(urls, u)
			}
		})
	}
	real, ok := d.node(n)
	if ok && real.Kind == yaml.ScalarNode {
		url(n)
	} else {
		before := len(d.report.list)
		if d.mapping(n, path, append(d.settings(&t.settings, path), field{"url", url},
			field{"tracks", func(n *yaml.Node) { t.tracks = d.tracks(n, path+": tracks") }})...) && urls == nil && len(d.report.list) == before {
			d.fail(at(n), "%s needs a url", path)
		}
	}
	t.tracksKey = tracksKey(t.tracks)
	for _, u := range urls {
		t.url = u
		r.sends = append(r.sends, t)
	}
}

// everythingServed is the rule that a file without rules stands for.
func everythingServed() []Rule { return []Rule{{serve: []string{all}}} }

func (f *File) checkRules(r *report, o Options) {
	lines := make(map[string]int)
	for i := range f.rules {
		rule := &f.rules[i]
		if rule.index == 0 {
			return
		}
		who := label("rule", rule.Name, rule.index)
		if line, twice := lines[rule.Name]; twice && rule.Name != "" {
			r.fail(rule.pos, "%s: the name is already used on line %d", who, line)
		} else {
			lines[rule.Name] = rule.Line
		}
		f.checkMatch(r, &rule.match, rule.pos, who)
		f.checkServe(r, rule, who, o)
		for _, t := range rule.sends {
			problems := t.url.check([]string{"name", "user", "protocol"}, rule.match.name)
			for _, p := range problems {
				r.fail(t.url.pos, "%s: %s", who, p)
			}
			if problems == nil {
				f.checkURL(r, t.url, RoleSend, rule.pos, who+": send", o)
			}
		}
		if rule.serve == nil && rule.sends == nil && !rule.broken {
			r.fail(rule.pos, "%s does nothing: it needs send or serve", who)
		}
	}
}

func (f *File) checkServe(r *report, rule *Rule, who string, o Options) {
	for _, name := range rule.serve {
		if name == all {
			if len(f.carried) == 0 {
				r.fail(rule.pos, "%s: serve: all has no listener; add one like \"rtmp: :1935\" to listen", who)
			}
			continue
		}
		p, known := protocol(name)
		switch {
		case !known:
			r.fail(rule.pos, "%s: serve: unknown %q%s", who, clip(name), didYouMean(name, append(protocolNames(RoleServe), all)))
		case !p.Serve:
			r.fail(rule.pos, "%s: serve: %q has no players; what goes out over it stands in send", who, name)
		case !o.available(RoleServe, name):
			r.fail(rule.pos, "%s: serve: %q is not available in this build", who, name)
		case !slices.Contains(f.carried, name):
			r.fail(rule.pos, "%s: serve: %q has no listener; %s", who, name, listenerFor(name))
		}
	}
	if rule.as == nil {
		return
	}
	if rule.serve == nil {
		r.fail(rule.as.pos, "%s: as names what is served; it does nothing without serve", who)
	}
	problems := rule.as.check([]string{"name", "user", "protocol"}, rule.match.name)
	for _, p := range problems {
		r.fail(rule.as.pos, "%s: as: %s", who, p)
	}
	if problems == nil && !possibleName(rule.as) {
		r.fail(rule.as.pos, "%s: as: %q cannot give a stream name, which is %s", who, clip(rule.as.String()), nameRule)
	}
}

// listenerFor says what to add so that a protocol has a listener.
func listenerFor(name string) string {
	for _, k := range Listeners() {
		if slices.Contains(k.Serves, name) {
			if k.TLS {
				return fmt.Sprintf("add \"%s: {address: %s, cert: FILE, key: FILE}\" to listen", k.Name, k.Address)
			}
			return fmt.Sprintf("add \"%s: %s\" to listen", k.Name, k.Address)
		}
	}
	return "add one to listen"
}
