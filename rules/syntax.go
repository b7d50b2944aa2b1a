package rules

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parse makes nodes of the text. It returns nil and true for a file without content.
func (d *decoder) parse(data []byte) (*yaml.Node, bool) {
	if len(data) > MaxSize {
		d.fail(pos{1, 1}, "the file is larger than %d MB", MaxSize>>20)
		return nil, false
	}
	text, stand := colons(string(data))
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, second yaml.Node
	if err := decode(dec, &doc); errors.Is(err, io.EOF) {
		return nil, true
	} else if err != nil {
		d.syntax(err, string(data))
		return nil, false
	}
	if stand != "" {
		restore(&doc, stand)
	}
	if err := decode(dec, &second); err == nil {
		d.fail(at(&second), "a file is one document; remove the --- and what follows")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err, string(data))
		return nil, false
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, true
	}
	n := doc.Content[0]
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil, true
	}
	return n, true
}

// decode is dec.Decode, which is known to panic on some hostile input instead of returning an error.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: cannot be read: %v", p)
		}
	}()
	return dec.Decode(n)
}

// valueColons finds plain values that begin with colons, like :1936 or ::1, and URLs that are nothing but a scheme.
func valueColons() *regexp.Regexp {
	return regexp.MustCompile(`(?m)(?:[:,\[{]\s+|[,\[{])(:+)[^\s:"']|(?:[:,\[{-][ \t]+|[,\[{])(?:demo|stdin|stdout)(:)[ \t]*(?:$|[,\]}#])`)
}

// colons puts another character in the place of colons where a reader sees a value and YAML does not: {address: :1936}
// and `cam: demo:`. It returns that character, or nothing if there was no need. Columns stay what they are, and restore
// undoes it in whatever it has touched, so that it may touch too much.
func colons(data string) (text, stand string) {
	found := valueColons().FindAllStringSubmatchIndex(data, -1)
	if found == nil {
		return data, ""
	}
	for r := '\ue000'; r < '\uf8ff' && stand == ""; r++ {
		if !strings.ContainsRune(data, r) {
			stand = string(r)
		}
	}
	if stand == "" {
		return data, ""
	}
	var b strings.Builder
	last := 0
	for _, m := range found {
		from, to := m[2], m[3]
		if from < 0 {
			from, to = m[4], m[5]
		}
		b.WriteString(data[last:from])
		b.WriteString(strings.Repeat(stand, to-from))
		last = to
	}
	b.WriteString(data[last:])
	return b.String(), stand
}

func restore(n *yaml.Node, stand string) {
	for todo := []*yaml.Node{n}; len(todo) > 0; {
		n := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], n.Content...)
		n.Value = strings.ReplaceAll(n.Value, stand, ":")
	}
}

// syntax makes a finding of an error of the YAML library, which knows the line at best.
func (d *decoder) syntax(err error, data string) {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	where := pos{1, 1}
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(what); m != nil {
		where.line, _ = strconv.Atoi(m[1])
		where.line = max(where.line, 1)
		what = what[len(m[0]):]
	}
	for i, line := range strings.Split(data, "\n") {
		if m := starValue().FindStringSubmatchIndex(line); m != nil {
			value := strings.TrimSpace(line[m[2]:m[3]])
			d.fail(pos{i + 1, m[2] + 1}, "%s: a value that starts with * needs quotes: %q", clip(what), clip(value))
			return
		}
	}
	lines := strings.Split(data, "\n")
	first := min(len(lines), max(0, where.line-2)) // the library counts lines from 0 or from 1
	for i, line := range lines[first:min(len(lines), where.line+1)] {
		if hint := hintFor(line); hint != "" {
			where.line = first + i + 1
			what += "; " + hint
			break
		}
	}
	d.fail(where, "%s", clip(what))
}

// hintFor says what is often wrong in a line that is no YAML.
func hintFor(line string) string {
	switch {
	case flowEnv().MatchString(line):
		return "between [ ] or { } a value with ${ needs quotes"
	case bracketed().MatchString(line):
		return `an address that starts with [ needs quotes: "[::1]:1935"`
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		return "indent with spaces, not with tabs"
	}
	return ""
}

// starValue finds a plain value that starts with *.
func starValue() *regexp.Regexp {
	return regexp.MustCompile(`^[^#"']*?(?:[:\-\[,]\s+|\[)(\*[^\s,\]}#]*)`)
}

// flowEnv finds ${ inside of [ or {.
func flowEnv() *regexp.Regexp { return regexp.MustCompile(`[\[{][^"']*\$\{`) }

// bracketed finds a plain IPv6 address with a port.
func bracketed() *regexp.Regexp { return regexp.MustCompile(`[:,\[{-]\s+\[[0-9a-fA-F:.]+\]:\d`) }
