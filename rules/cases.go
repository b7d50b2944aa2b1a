package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Result is the outcome of one routing test.
type Result struct {
	It       string // the sentence after "it"
	Line     int
	Failures []Finding // empty if it passed; What begins with the sentence
}

// RunTests reads a file of routing tests and runs them on f; name is what findings call it. The findings are about the
// tests' own text: if there are any, nothing was run. What a test does not say is: address 127.0.0.1, no user, no codecs,
// and the first listener that carries the protocol.
func RunTests(f *File, name string, data []byte) ([]Result, []Finding) {
	d := &decoder{report: &report{file: name}, left: maxNodes}
	root, ok := d.parse(data)
	if !ok {
		return nil, d.sorted()
	}
	var tests []testCase
	if root != nil {
		d.list(root, "the file", func(i int, n *yaml.Node) { tests = append(tests, d.testCase(n, i+1)) })
	}
	if len(d.report.list) > 0 {
		return nil, d.sorted()
	}
	var out []Result
	for _, t := range tests {
		r := &report{file: name}
		t.run(f, r)
		out = append(out, Result{t.it, t.pos.line, r.sorted()})
	}
	return out, nil
}

// testCase is one element of a file of routing tests.
type testCase struct {
	it           string
	request      Request
	video, audio []string
	want         want
	pos          pos
}

// want is what a test expects; what it does not name may be anything.
type want struct {
	send, serve *list
	deny        *expected
	allow       *expected
	as          *expected
	pos         pos
}

type expected struct {
	text string
	pos  pos
}

type list struct {
	items []string
	pos   pos
}

func (d *decoder) testCase(n *yaml.Node, index int) testCase {
	path := fmt.Sprintf("test %d", index)
	n, _ = d.node(n)
	t := testCase{pos: at(n), request: Request{Address: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	wants := false
	d.mapping(n, path,
		field{"it", func(n *yaml.Node) {
			if n, ok := d.scalar(n, path+": it"); ok {
				t.it = n.Value
			}
		}},
		field{"publish", func(n *yaml.Node) { d.request(n, &t, Publish, path+": publish") }},
		field{"play", func(n *yaml.Node) { d.request(n, &t, Play, path+": play") }},
		field{"want", func(n *yaml.Node) {
			wants = true
			d.want(n, &t.want, path+": want")
		}})
	switch {
	case n.Kind != yaml.MappingNode:
	case t.it == "":
		d.fail(t.pos, "%s needs it: a sentence that says what it shows", path)
	case t.request.Action == "":
		d.fail(t.pos, "%s needs publish or play", path)
	case !wants:
		d.fail(t.pos, "%s needs want", path)
	}
	return t
}

func (d *decoder) request(n *yaml.Node, t *testCase, a Action, path string) {
	if t.request.Action != "" {
		d.fail(at(n), "%s: a test has either publish or play", path)
	}
	t.request.Action = a
	text := func(key string, to *string) field {
		return field{key, func(n *yaml.Node) {
			if n, ok := d.scalar(n, path+": "+key); ok {
				*to = n.Value
			}
		}}
	}
	d.mapping(n, path,
		text("name", &t.request.Name), text("user", &t.request.User), text("listener", &t.request.Listener),
		field{"protocol", func(n *yaml.Node) {
			w := oneOf{known: append(protocolNames(RoleFetch), "http")}
			d.unmarshal(n, path+": protocol", &w)
			t.request.Protocol = w.word
		}},
		field{"address", func(n *yaml.Node) {
			n, ok := d.scalar(n, path+": address")
			if !ok {
				return
			}
			addr, err := netip.ParseAddr(n.Value)
			if err != nil {
				d.fail(at(n), "%s: address: %q is not an address", path, clip(n.Value))
			}
			t.request.Address = addr
		}},
		field{"codecs", func(n *yaml.Node) {
			d.words(n, path+": codecs", func(w string, p pos) {
				video, audio := Codecs()
				switch {
				case slices.Contains(video, w):
					t.video = append(t.video, w)
				case slices.Contains(audio, w):
					t.audio = append(t.audio, w)
				default:
					d.fail(p, "%s: codecs: unknown %q%s", path, clip(w), didYouMean(w, append(video, audio...)))
				}
			})
		}})
	if t.request.Name == "" {
		d.fail(at(n), "%s needs a name", path)
	}
}

func (d *decoder) want(n *yaml.Node, w *want, path string) {
	w.pos = at(n)
	one := func(key string, to **expected) field {
		return field{key, func(n *yaml.Node) {
			if n, ok := d.scalar(n, path+": "+key); ok {
				*to = &expected{n.Value, at(n)}
			}
		}}
	}
	many := func(key string, to **list) field {
		return field{key, func(n *yaml.Node) {
			l := &list{pos: at(n)}
			*to = l
			if n, ok := d.node(n); ok && n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
				return // nothing is expected
			}
			d.list(n, path+": "+key, func(_ int, n *yaml.Node) {
				if n, ok := d.scalar(n, path+": "+key); ok {
					l.items = append(l.items, n.Value)
				}
			})
		}}
	}
	ok := d.mapping(n, path, many("send", &w.send), many("serve", &w.serve), one("deny", &w.deny), one("allow", &w.allow), one("as", &w.as))
	if !ok {
		return
	}
	if w.send == nil && w.serve == nil && w.deny == nil && w.allow == nil && w.as == nil {
		d.fail(w.pos, "%s: it needs send, serve, deny, allow or as", path)
	}
	if w.allow != nil && w.allow.text != "true" && w.allow.text != "false" {
		d.fail(w.allow.pos, "%s: allow: %q is not true or false", path, clip(w.allow.text))
	}
}

// run compares what happens with what is wanted.
func (t *testCase) run(f *File, r *report) {
	req := t.request
	if req.Listener == "" {
		req.Listener = f.ListenerOf(req.Protocol)
	}
	var e Explanation
	if req.Action == Publish {
		e = f.ExplainPublish(req, t.video, t.audio)
	} else {
		e = f.ExplainPlay(req, t.video, t.audio)
	}
	differs := func(p pos, key, got, want string) { r.fail(p, "%s: %s: got %s; want %s", clip(t.it), key, got, want) }
	d, w := e.Decision, &t.want
	outcome := "allow"
	if !d.Allow {
		outcome = "deny: " + d.Reason
	}
	if w.deny != nil {
		switch denied := !d.Allow; {
		case w.deny.text == "true" && !denied, w.deny.text != "false" && w.deny.text != "true" && (!denied || d.Reason != w.deny.text):
			differs(w.deny.pos, "deny", outcome, "deny: "+w.deny.text)
		case w.deny.text == "false" && denied:
			differs(w.deny.pos, "deny", outcome, "allow")
		}
	} else if !d.Allow && (w.allow == nil || w.allow.text != "false") {
		differs(w.pos, "access", outcome, "allow")
		return
	}
	if w.allow != nil && d.Allow && w.allow.text == "false" {
		differs(w.allow.pos, "allow", outcome, "deny")
	}
	if w.as != nil && d.As != w.as.text {
		differs(w.as.pos, "as", d.As, w.as.text)
	}
	if w.send != nil {
		got, same := sends(e.Route, w.send.items)
		if !same {
			differs(w.send.pos, "send", bracket(got), bracket(w.send.items))
		}
	}
	if w.serve != nil {
		got, want := serves(e.Route, d.As), f.written(w.serve.items)
		if !slices.Equal(got, want) {
			differs(w.serve.pos, "serve", bracket(got), bracket(want))
		}
	}
}

// sends returns the destinations of a route as they are shown, and whether they are the wanted ones, in any order; a
// wanted one may be written with the secret or with ••• for it.
func sends(r Route, wanted []string) (got []string, same bool) {
	left := slices.Clone(wanted)
	same = true
	for _, s := range r.Sends {
		got = append(got, s.URL.String())
		i := slices.IndexFunc(left, func(w string) bool { return w == s.URL.String() || w == s.URL.Reveal() })
		if i < 0 {
			same = false
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	return got, same && len(left) == 0
}

// serves returns what a route serves as "protocol", or "protocol as name" where the name is another, sorted.
func serves(r Route, name string) []string {
	var out []string
	for _, s := range r.Serves {
		if s.As == name {
			out = append(out, s.Protocol)
		} else {
			out = append(out, s.Protocol+" as "+s.As)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// written returns the items of a wanted serve with all written out, sorted.
func (f *File) written(items []string) []string {
	var out []string
	for _, w := range items {
		if proto, as, _ := strings.Cut(w, " as "); proto == all {
			for _, p := range f.carried {
				out = append(out, p+strings.TrimPrefix(w, all))
			}
		} else if as == "" {
			out = append(out, proto)
		} else {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func bracket(items []string) string { return "[" + strings.Join(items, ", ") + "]" }
