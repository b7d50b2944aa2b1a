// Package rules is the file that says everything a gateway does: who may publish and play, what is fetched, and where each
// stream goes.
package rules

import (
	"io"
	"os"
	"time"

	"gopkg.in/yaml.v3"
)

// A File is one checked file. It is immutable and its methods are safe for concurrent use.
type File struct {
	Name    string // as it was given to Parse
	Listen  []Listener
	Sources []Source
	Drain   time.Duration // how long publishers flow on at the end; 30 s if the file does not say

	users      map[string]Text
	access     []entry
	openAccess bool // the file has no access: loopback only
	rules      []Rule
	exact      map[string]*Source
	wild       []*Source
	carried    []string
}

// Rules returns the rules in the order of the file; nil if it has none, and so serves everything everywhere.
func (f *File) Rules() []Rule {
	if len(f.rules) == 1 && f.rules[0].index == 0 {
		return nil
	}
	return f.rules
}

// Options are what Parse may be told about its surroundings.
type Options struct {
	// Env gives the value of an environment variable, like os.LookupEnv. Nil: none is set.
	Env func(name string) (string, bool)
	// Available tells whether this build has what a role needs: a scheme to Fetch or Send, a protocol to Serve, a key
	// to Listen. Nil: everything is available.
	Available func(r Role, name string) bool
}

func (o Options) available(r Role, name string) bool {
	return o.Available == nil || o.Available(r, name)
}

// MaxSize is the greatest size of a file in bytes.
const MaxSize = 4 << 20

// DefaultDrain is the drain time of a file that does not say.
const DefaultDrain = 30 * time.Second

// Read reads a file for Parse. It stops at MaxSize and one byte more, which Parse refuses.
func Read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// Parse reads and checks a file; name is what findings call it. All findings are returned, sorted by line. The File is nil
// if one of them is an error.
func Parse(name string, data []byte, o Options) (*File, []Finding) {
	d := &decoder{report: &report{file: name}, env: o.Env, left: maxNodes}
	f := &File{Name: name, Drain: DefaultDrain}
	root, ok := d.parse(data)
	if !ok {
		return nil, d.sorted()
	}
	var hasAccess, hasRules bool
	var access pos
	if root != nil {
		d.mapping(root, "",
			field{"listen", func(n *yaml.Node) { f.Listen = d.listen(n) }},
			field{"users", func(n *yaml.Node) { f.users = d.users(n) }},
			field{"access", func(n *yaml.Node) {
				before := len(d.report.list)
				if hasAccess, f.access = true, d.access(n); len(d.report.list) == before {
					access = at(n)
				}
			}},
			field{"sources", func(n *yaml.Node) { f.Sources = d.sources(n) }},
			field{"rules", func(n *yaml.Node) { hasRules, f.rules = true, d.rules(n) }},
			field{"drain", func(n *yaml.Node) {
				var v duration
				d.unmarshal(n, "drain", &v)
				f.Drain = time.Duration(v)
			}})
	}
	f.openAccess = !hasAccess
	if !hasRules {
		f.rules = everythingServed()
	}
	f.indexListeners(o)
	f.indexSources()

	d.late = true
	f.checkListen(d.report, o)
	f.checkAccess(d.report, access)
	f.checkSources(d.report, o)
	f.checkRules(d.report, o)
	findings := d.sorted()
	if Failed(findings) {
		return nil, findings
	}
	return f, findings
}
