package rules

import (
	"encoding"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds how many values one file may have, those that aliases repeat included.
const maxNodes = 100_000

// A decoder walks the nodes of a YAML document. It never stops at a finding. What it reads is described by the functions
// that call it, one for each kind of mapping; paths are what findings begin with, like `access 2: limit`.
type decoder struct {
	*report
	env         func(string) (string, bool)
	left        int // of maxNodes
	expressions int // weight of the regular expressions seen
}

// maxExpressions bounds the weight of the regular expressions of one file together.
const maxExpressions = 1 << 20

// node counts n and follows an alias. It returns false when the file has too many values.
func (d *decoder) node(n *yaml.Node) (*yaml.Node, bool) {
	for n.Kind == yaml.AliasNode && n.Alias != nil && d.left > 0 {
		d.left--
		n = n.Alias
	}
	if d.left--; d.left == 0 {
		d.fail(at(n), "the file has more than %d values; aliases count as often as they are used", maxNodes)
	}
	return n, d.left > 0
}

// a field is one key that a mapping may have.
type field struct {
	key  string
	read func(*yaml.Node)
}

// mapping reads a mapping with known keys. It returns false if n is none.
func (d *decoder) mapping(n *yaml.Node, path string, fields ...field) bool {
	return d.pairs(n, path, func(k, v *yaml.Node) {
		var known []string
		for _, f := range fields {
			if f.key == k.Value {
				f.read(v)
				return
			}
			known = append(known, f.key)
		}
		d.fail(at(k), "%s has no key %q%s", subject(path), clip(k.Value), didYouMean(k.Value, known))
	})
}

func subject(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// pairs reads a mapping with any keys, in order. Later ones of the same key are findings and left out.
func (d *decoder) pairs(n *yaml.Node, path string, each func(k, v *yaml.Node)) bool {
	n, ok := d.node(n)
	if !ok {
		return false
	}
	if n.Kind != yaml.MappingNode {
		if d.filled(n, path) {
			d.fail(at(n), "%s must be a mapping (key: value), not %s", subject(path), kindOf(n))
		}
		return false
	}
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, ok := d.node(n.Content[i])
		if !ok {
			return false
		}
		if k.Kind != yaml.ScalarNode {
			d.fail(at(k), "%s: a key must be one word, not %s", subject(path), kindOf(k))
			continue
		}
		if k.Tag == "!!merge" {
			d.fail(at(k), "%s: merging with << is not read; write the keys out", subject(path))
			continue
		}
		if line, twice := lines[k.Value]; twice {
			d.fail(at(k), "%s: %q is already set on line %d", subject(path), clip(k.Value), line)
			continue
		}
		lines[k.Value] = k.Line
		each(k, n.Content[i+1])
	}
	return true
}

// list reads a sequence; anything else counts as a list of one.
func (d *decoder) list(n *yaml.Node, path string, each func(i int, n *yaml.Node)) {
	n, ok := d.node(n)
	switch {
	case !ok || n.Kind == yaml.ScalarNode && !d.filled(n, path):
	case n.Kind != yaml.SequenceNode:
		each(0, n)
	case len(n.Content) == 0:
		d.fail(at(n), "%s is empty", subject(path))
	default:
		for i, c := range n.Content {
			each(i, c)
		}
	}
}

// filled reports whether n is anything but an empty value, which it complains about.
func (d *decoder) filled(n *yaml.Node, path string) bool {
	if n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.fail(at(n), "%s is empty; give it a value or remove it", subject(path))
		return false
	}
	return true
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(clip(n.Value))
}

// scalar returns the node of one value as it is written.
func (d *decoder) scalar(n *yaml.Node, path string) (*yaml.Node, bool) {
	n, ok := d.node(n)
	if !ok || !d.filled(n, path) {
		return n, false
	}
	if n.Kind != yaml.ScalarNode {
		d.fail(at(n), "%s must be one value, not %s", path, kindOf(n))
		return n, false
	}
	return n, true
}

// template reads a value with variables in it.
func (d *decoder) template(n *yaml.Node, path string) *Template {
	n, ok := d.scalar(n, path)
	if !ok {
		return nil
	}
	parts, problems := scan(n.Value, d.env)
	for _, p := range problems {
		d.fail(at(n), "%s: %s", path, p)
	}
	if problems != nil {
		return nil
	}
	return newTemplate(parts, at(n))
}

// text reads a value in which only the environment is filled in.
func (d *decoder) text(n *yaml.Node, path string) (Text, bool) {
	t := d.template(n, path)
	if t == nil {
		return Text{}, false
	}
	for _, p := range t.parts {
		if p.kind != literal {
			what := "$" + p.text
			if p.kind == address {
				what = "${ip:}"
			}
			d.fail(t.pos, "%s: %s is not filled in here; write $$ for a dollar sign", path, clip(what))
			return Text{}, false
		}
	}
	return t.expand(&values{}), true
}

// unmarshal reads a value of its own form.
func (d *decoder) unmarshal(n *yaml.Node, path string, to encoding.TextUnmarshaler) bool {
	t, ok := d.text(n, path)
	if !ok {
		return false
	}
	n, _ = d.node(n)
	if err := to.UnmarshalText([]byte(t.Reveal())); err != nil {
		if t.real != t.shown {
			d.fail(at(n), "%s: what the environment gives is not fit: %s", path, redact(err.Error(), t))
			return false
		}
		d.fail(at(n), "%s: %s", path, err)
		return false
	}
	return true
}

// redact takes a secret out of a sentence, in the forms in which it may have been quoted.
func redact(s string, t Text) string {
	for _, form := range []string{strconv.Quote(clip(t.real)), strconv.Quote(t.real)} {
		s = strings.ReplaceAll(s, form, strconv.Quote(t.shown))
	}
	if strings.Contains(s, t.real) {
		return "the value is " + hidden
	}
	return s
}

// whole reads a whole number.
func (d *decoder) whole(n *yaml.Node, path, key string, least, most int) int {
	t, ok := d.text(n, path+": "+key)
	if !ok {
		return 0
	}
	n, _ = d.node(n)
	v, err := strconv.Atoi(t.Reveal())
	if err != nil {
		d.fail(at(n), "%s: %s must be a whole number, not %q", path, key, clip(t.String()))
		return 0
	}
	if v < least || v > most {
		d.fail(at(n), "%s: %s must be between %d and %d", path, key, least, most)
		return 0
	}
	return v
}

// words reads one or many values that are plain words: no pattern, no variable.
func (d *decoder) words(n *yaml.Node, path string, each func(word string, p pos)) {
	d.list(n, path, func(_ int, n *yaml.Node) {
		if t, ok := d.text(n, path); ok {
			n, _ = d.node(n)
			each(t.Reveal(), at(n))
		}
	})
}

// patterns reads one or many patterns.
func (d *decoder) patterns(n *yaml.Node, path string) (out []*Pattern, ok bool) {
	ok = true
	d.list(n, path, func(_ int, n *yaml.Node) {
		t, good := d.text(n, path)
		if !good {
			ok = false
			return
		}
		n, _ = d.node(n)
		p := d.pattern(n, path, t)
		if p == nil {
			ok = false
			return
		}
		out = append(out, p)
	})
	return out, ok && out != nil
}

// pattern compiles the pattern at n; it returns nil if that cannot be.
func (d *decoder) pattern(n *yaml.Node, path string, t Text) *Pattern {
	if expr, ok := strings.CutPrefix(t.real, "~"); ok {
		if d.expressions += weight(expr); d.expressions > maxExpressions {
			d.fail(at(n), "%s: the regular expressions of the file are too many or too large", path)
			return nil
		}
	}
	p, err := newPattern(t.real, t.shown)
	if err != nil {
		d.fail(at(n), "%s: %s", path, err)
		return nil
	}
	p.pos = at(n)
	return p
}

// tracks reads a choice of tracks.
func (d *decoder) tracks(n *yaml.Node, path string) (out []string) {
	d.list(n, path, func(_ int, n *yaml.Node) {
		var t track
		if d.unmarshal(n, path, &t) {
			out = append(out, string(t))
		}
	})
	return out
}

// label names an entry that may have no name: `rule "iptv"` or `rule 2`.
func label(kind, name string, index int) string {
	if name != "" {
		return fmt.Sprintf("%s %q", kind, clip(name))
	}
	return fmt.Sprintf("%s %d", kind, index)
}
