package units

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Rule says what counts as equal.
type Rule struct {
	// Spread is how far the time differences of all units, of all kinds, may lie apart: the tick of the coarsest
	// container between the two ends, or next to nothing where both ends count alike.
	Spread time.Duration
	// PTSOnly leaves DTS out: the witness gets none (RTP) and makes them up.
	PTSOnly bool
	// PTSExact, with DTS compared, lets DTS differ from PTS by another constant than at the source: the way in tells no
	// DTS (RTP), and any that is right for a decoder will do: never back, never above PTS.
	DerivedDTS bool
	// Tail is how many units of a kind may be missing at the end, where the way in cannot say that it ends.
	Tail map[string]int
	// Open says that the source goes on after the recording.
	Open bool
	// Kinds are those to expect; nil is all that the source has. Others must not come.
	Kinds []string
	// PCM says that audio has no frames, and is compared as a flow of bytes at this rate (bytes a second).
	PCM int
}

// A Report is what Compare found.
type Report struct {
	Got, First map[string]int // units compared, and the index in the source at which they begin
	Spread     time.Duration  // of PTS differences (and of DTS, if compared)
	AV         time.Duration  // how far audio moved against video, mean
	Findings   []string       // what is wrong; empty if all is equal
}

// Equal reports whether nothing is wrong.
func (r Report) Equal() bool { return len(r.Findings) == 0 }

func (r Report) String() string {
	if !r.Equal() {
		return strings.Join(r.Findings, "; ")
	}
	var parts []string
	for _, k := range []string{Video, Audio} {
		if n := r.Got[k]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k))
		}
	}
	return strings.Join(parts, " + ")
}

func (r *Report) find(format string, args ...any) {
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

// span gathers time differences.
type span struct {
	low, high, sum time.Duration
	n              int
}

func (s *span) add(d time.Duration) {
	if s.n == 0 || d < s.low {
		s.low = d
	}
	if s.n == 0 || d > s.high {
		s.high = d
	}
	s.sum += d
	s.n++
}

func (s *span) join(o span) {
	if o.n == 0 {
		return
	}
	n, sum := s.n+o.n, s.sum+o.sum
	s.add(o.low)
	s.add(o.high)
	s.n, s.sum = n, sum
}

func (s span) width() time.Duration { return s.high - s.low }

func (s span) mean() time.Duration {
	if s.n == 0 {
		return 0
	}
	return s.sum / time.Duration(s.n)
}

// Compare checks that got is a run of src without loss, doubling, reordering or change, from got's first unit (a key
// frame) to src's end, and that all times moved by one and the same amount.
func Compare(src, got []Unit, rule Rule) Report {
	r := Report{Got: map[string]int{}, First: map[string]int{}}
	kinds := rule.Kinds
	if kinds == nil {
		kinds = kindsOf(src)
	}
	for _, k := range kindsOf(got) {
		if !slices.Contains(kinds, k) {
			r.find("%s came, which was not to come", k)
		}
	}
	var pts, dts span
	moved := map[string]time.Duration{}
	for _, k := range kinds {
		s, g := ofKind(src, k), ofKind(got, k)
		if len(g) == 0 {
			r.find("no %s came", k)
			continue
		}
		var kp, kd span
		if k == Audio && rule.PCM > 0 {
			kp = r.pcm(s, g, rule)
		} else {
			kp, kd = r.kind(k, s, g, rule)
		}
		if kp.n == 0 {
			continue
		}
		if w := kp.width(); w > rule.Spread {
			r.find("%s PTS are off by up to %v among themselves", k, w)
		}
		if w := kd.width(); w > rule.Spread {
			r.find("%s DTS are off by up to %v among themselves", k, w)
		}
		moved[k] = kp.mean()
		pts.join(kp)
		dts.join(kd)
	}
	if v, ok := moved[Video]; ok {
		if a, ok := moved[Audio]; ok {
			r.AV = a - v
		}
	}
	all := pts
	if !rule.DerivedDTS {
		all.join(dts)
	}
	r.Spread = all.width()
	if r.Spread > rule.Spread && r.Equal() {
		r.find("times are off by up to %v between PTS and DTS or between the tracks (A/V %v)", r.Spread, r.AV)
	}
	return r
}

// kind compares one kind that has frames.
func (r *Report) kind(k string, src, got []Unit, rule Rule) (pts, dts span) {
	if k == Video && !got[0].Key {
		r.find("the first video unit is no key frame")
	}
	at, run := align(src, got)
	if run == 0 {
		r.find("%s unit 0 (%s) is not in the source", k, got[0].Name())
		return
	}
	r.First[k] = at
	for i := 1; i < len(got); i++ {
		if !got[i].NoDTS && !got[i-1].NoDTS && !rule.PTSOnly && got[i].DTS < got[i-1].DTS {
			r.find("%s DTS goes back at unit %d", k, i)
			break
		}
	}
	for i, g := range got {
		if at+i >= len(src) || !bytes.Equal(src[at+i].Data, g.Data) {
			r.mismatch(k, src, got, at, i)
			return
		}
		s := src[at+i]
		if !g.NoPTS {
			pts.add(g.PTS - s.PTS)
		}
		if rule.PTSOnly || g.NoDTS || s.NoDTS {
			continue
		}
		if g.DTS > g.PTS && !g.NoPTS {
			r.find("%s unit %d has its DTS %v after its PTS", k, i, g.DTS-g.PTS)
			return
		}
		if !rule.DerivedDTS {
			dts.add(g.DTS - s.DTS)
		}
	}
	r.Got[k] = len(got)
	if missing := len(src) - at - len(got); !rule.Open && missing > rule.Tail[k] {
		r.find("the last %d %s units did not come", missing, k)
	}
	return
}

// align finds where in src the longest run of got's beginning stands.
func align(src, got []Unit) (at, run int) {
	for i := range src {
		n := 0
		for n < len(got) && i+n < len(src) && bytes.Equal(src[i+n].Data, got[n].Data) {
			n++
		}
		if n > run {
			at, run = i, n
		}
	}
	return at, run
}

// mismatch says what happened at unit i of got, which should be unit at+i of src.
func (r *Report) mismatch(k string, src, got []Unit, at, i int) {
	same := func(u Unit) bool { return bytes.Equal(u.Data, got[i].Data) }
	if j := slices.IndexFunc(got[:i], same); j >= 0 {
		r.find("%s unit %d came twice, again as unit %d", k, j, i)
		return
	}
	j := -1
	if at+i < len(src) {
		j = slices.IndexFunc(src[at+i:], same)
	}
	if j < 0 {
		r.find("%s unit %d (%s) is not in the source there", k, i, got[i].Name())
		return
	}
	lost := src[at+i]
	if slices.ContainsFunc(got[i:], func(u Unit) bool { return bytes.Equal(u.Data, lost.Data) }) {
		r.find("%s units are reordered at unit %d", k, i)
		return
	}
	r.find("%d %s units are lost before unit %d", j, k, i)
}

// pcm compares audio without frames as a flow of bytes.
func (r *Report) pcm(src, got []Unit, rule Rule) (pts span) {
	flow, sent := join(src), join(got)
	at := bytes.Index(flow, sent)
	if at < 0 {
		n := len(sent)
		for n > 0 && !bytes.Contains(flow, sent[:n]) {
			n /= 2
		}
		r.find("audio bytes are no run of the source's (%d of %d bytes are)", n, len(sent))
		return
	}
	r.First[Audio], r.Got[Audio] = at, len(got)
	if missing := len(flow) - at - len(sent); !rule.Open && missing > rule.Tail[Audio] {
		r.find("the last %d bytes of audio did not come", missing)
	}
	i, begin := 0, 0 // unit of src in which byte `at` lies, and where it begins
	for _, g := range got {
		for begin+len(src[i].Data) <= at {
			begin += len(src[i].Data)
			i++
		}
		due := src[i].PTS + time.Duration(at-begin)*time.Second/time.Duration(rule.PCM)
		if !g.NoPTS {
			pts.add(g.PTS - due)
		}
		at += len(g.Data)
	}
	return pts
}

func join(list []Unit) []byte {
	var b []byte
	for _, u := range list {
		b = append(b, u.Data...)
	}
	return b
}

func kindsOf(list []Unit) []string {
	var out []string
	for _, k := range []string{Video, Audio} {
		if slices.ContainsFunc(list, func(u Unit) bool { return u.Kind == k }) {
			out = append(out, k)
		}
	}
	return out
}

func ofKind(list []Unit, kind string) []Unit {
	var out []Unit
	for _, u := range list {
		if u.Kind == kind {
			out = append(out, u)
		}
	}
	return out
}
