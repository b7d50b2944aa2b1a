package rules

import (
	"cmp"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// A Finding is one thing that is wrong with a file, and where. What never contains a secret.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1
	Col      int      `json:"column"` // from 1
	Severity Severity `json:"severity"`
	What     string   `json:"what"`

	late bool // found after the whole file was read; such findings stand behind the others of their line
}

// String returns "file:line:col: what".
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.What)
}

// Severity says whether a file can be used in spite of a finding.
type Severity uint8

// An Error keeps the file from being used; a Warning does not.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// MarshalText returns the same as String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Failed reports whether an error is among the findings.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == Error })
}

// maxFindings bounds what one file can make us say.
const maxFindings = 1000

// report collects the findings of one file.
type report struct {
	file string
	late bool
	list []Finding
}

// pos is a place in the file.
type pos struct{ line, col int }

func at(n *yaml.Node) pos { return pos{max(n.Line, 1), max(n.Column, 1)} }

func (r *report) add(s Severity, p pos, format string, args ...any) {
	if len(r.list) < maxFindings {
		r.list = append(r.list, Finding{r.file, p.line, p.col, s, fmt.Sprintf(format, args...), r.late})
	}
}

// full reports whether nothing more will be said, so that looking for it can end.
func (r *report) full() bool { return len(r.list) >= maxFindings }

func (r *report) fail(p pos, format string, args ...any) { r.add(Error, p, format, args...) }
func (r *report) warn(p pos, format string, args ...any) { r.add(Warning, p, format, args...) }

// sorted returns the findings by line; on one line those of reading come before those of checking.
func (r *report) sorted() []Finding {
	slices.SortStableFunc(r.list, func(a, b Finding) int {
		if c := cmp.Compare(a.Line, b.Line); c != 0 {
			return c
		}
		if a.late != b.late {
			if b.late {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Col, b.Col)
	})
	return r.list
}
