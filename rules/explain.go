package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// An Explanation tells, entry by entry and rule by rule, what happens to a request or a stream, and why.
type Explanation struct {
	Decision *Decision `json:"decision,omitempty"` // nil for a stream that is live already
	Steps    []Step    `json:"steps"`
	Route    Route     `json:"-"`
}

// Admitted reports whether the peer may; a stream that is live already was admitted.
func (e Explanation) Admitted() bool { return e.Decision == nil || e.Decision.Allow }

// A Step is one line of an Explanation.
type Step struct {
	Kind    StepKind `json:"kind"`
	Name    string   `json:"name"`           // of the rule or source; the number of the entry; "default" where the file says nothing
	Line    int      `json:"line,omitempty"` // 0 if there is none
	Verdict string   `json:"verdict"`        // "skipped", "ALLOW publish", "DENY play", "no match", "serve", "send", "fetch", "cannot"
	Detail  string   `json:"detail,omitempty"`
	Cable   *Cable   `json:"-"`               // of a send, so that its state can be found
	State   string   `json:"state,omitempty"` // for whoever knows how the cable is doing; printed at the end
}

// A StepKind is the part of the file that a step is about.
type StepKind string

// Steps come in this order.
const (
	StepAccess StepKind = "access"
	StepSource StepKind = "source"
	StepRule   StepKind = "rule"
)

// ExplainPublish tells whether a peer may publish, and where its stream with these codecs would go.
func (f *File) ExplainPublish(r Request, video, audio []string) Explanation {
	r.Action = Publish
	e := f.explainAccess(r)
	if e.Admitted() {
		f.explainRules(&e, Stream{e.Decision.As, r.Protocol, r.Listener, r.Address, r.User, video, audio})
	}
	return e
}

// ExplainPlay tells whether a peer may play, and which source would fetch the stream and where that would send it. video
// and audio are the codecs of the stream, nil if they are not known.
func (f *File) ExplainPlay(r Request, video, audio []string) Explanation {
	r.Action = Play
	e := f.explainAccess(r)
	if !e.Admitted() {
		return e
	}
	name := e.Decision.As
	s, ok := f.Source(name)
	if !ok {
		return e
	}
	urls := s.Expand(name)
	for _, u := range urls {
		e.Steps = append(e.Steps, Step{Kind: StepSource, Name: s.Name, Line: s.Line, Verdict: "fetch", Detail: u.String()})
	}
	if len(urls) > 0 {
		f.explainRules(&e, Stream{Name: name, Protocol: urls[0].Protocol(), Video: video, Audio: audio})
	}
	return e
}

// ExplainStream tells where a stream goes that is live.
func (f *File) ExplainStream(s Stream) Explanation {
	var e Explanation
	f.explainRules(&e, s)
	return e
}

func (f *File) explainAccess(r Request) Explanation {
	d := f.Admit(r)
	e := Explanation{Decision: &d}
	verdict := "DENY " + string(r.Action)
	if d.Allow {
		verdict = "ALLOW " + string(r.Action)
	}
	detail := d.Reason
	if d.Allow && d.As != r.Name {
		detail = "as " + d.As
	}
	if f.openAccess || !ValidName(r.Name) {
		e.Steps = append(e.Steps, Step{Kind: StepAccess, Name: "default", Verdict: verdict, Detail: detail})
		return e
	}
	fact := facts{name: r.Name, protocol: r.Protocol, listener: r.Listener, user: r.User, address: r.Address}
	for i := range f.access {
		a := &f.access[i]
		s := Step{Kind: StepAccess, Name: strconv.Itoa(a.index), Line: a.pos.line, Verdict: "skipped"}
		switch {
		case a.index == d.Entry:
			s.Verdict, s.Detail = verdict, detail
		case !a.about(r.Action):
			s.Detail = "it is not about " + string(r.Action)
		default:
			s.Detail = a.why(&fact)
		}
		e.Steps = append(e.Steps, s)
		if a.index == d.Entry {
			return e
		}
	}
	e.Steps = append(e.Steps, Step{Kind: StepAccess, Name: "default", Verdict: verdict, Detail: detail})
	return e
}

func (f *File) explainRules(e *Explanation, s Stream) {
	fact := s.facts()
	for i := range f.rules {
		rule := &f.rules[i]
		step := Step{Kind: StepRule, Name: rule.owner().Rule, Line: rule.Line}
		if rule.index == 0 {
			step.Name = "default"
		}
		add := func(verdict, detail string, c *Cable) {
			step.Verdict, step.Detail, step.Cable = verdict, detail, c
			e.Steps = append(e.Steps, step)
		}
		if rule.match.test(&fact) != yes {
			add("no match", rule.match.why(&fact), nil)
			continue
		}
		var own Route
		f.apply(rule, s, &own)
		f.apply(rule, s, &e.Route)
		if len(own.Serves) > 0 {
			add("serve", strings.Join(rule.serve, ", ")+" as "+own.Serves[0].As+choice(own.Serves[0].Tracks), nil)
		}
		for i := range own.Sends {
			add("send", own.Sends[i].URL.String()+choice(own.Sends[i].Tracks), &own.Sends[i].Cable)
		}
		for _, p := range own.Problems {
			add("cannot", p.What, nil)
		}
	}
}

func choice(tracks []string) string {
	if tracks == nil {
		return ""
	}
	return " [" + strings.Join(tracks, ", ") + "]"
}

// String returns the steps as a table, one line each, indented by two spaces.
func (e Explanation) String() string {
	var b strings.Builder
	widths := map[StepKind][2]int{}
	for _, s := range e.Steps {
		w := widths[s.Kind]
		widths[s.Kind] = [2]int{max(w[0], len(s.Name)), max(w[1], len(s.where()))}
	}
	for _, s := range e.Steps {
		w := widths[s.Kind]
		line := fmt.Sprintf("  %s %-*s  %-*s  %-8s", s.Kind, w[0], s.Name, w[1], s.where(), s.Verdict)
		for _, more := range []string{s.Detail, s.State} {
			if more != "" {
				line += "  " + more
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func (s Step) where() string {
	if s.Line == 0 {
		return ""
	}
	return "line " + strconv.Itoa(s.Line)
}
