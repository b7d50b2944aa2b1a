package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A cell is what one way out says of one way in with one content.
type cell struct {
	state  state
	text   string
	note   string
	spread time.Duration
}

type state int

const (
	notRun state = iota
	equal
	partly
	notCarried
	wrong
)

// TestMatrix is the table: every way in × every way out × every content. Without -matrix it runs the rows that touch
// every adapter.
func TestMatrix(t *testing.T) {
	table := newTable()
	t.Cleanup(func() {
		if *matrixWrite == "" {
			return
		}
		if err := os.WriteFile(*matrixWrite, []byte(table.markdown()), 0o666); err != nil {
			t.Error(err)
		}
	})
	t.Run("cells", func(t *testing.T) {
		slots := make(chan struct{}, 3) // a row needs a third of a core
		for _, in := range waysIn {
			for _, c := range contents {
				if !in.runs(c) {
					continue
				}
				t.Run(slug(in.name)+"/"+c.name, func(t *testing.T) {
					t.Parallel()
					slots <- struct{}{}
					defer func() { <-slots }()
					table.set(in, c, runRowAgain(t, in, c))
				})
			}
		}
	})
}

// runs reports whether this run has the row.
func (w wayIn) runs(c content) bool {
	if w.carries != nil && !slices.Contains(w.carries, c.name) {
		return false
	}
	if *matrixAll {
		return true
	}
	quick := w.quick
	if quick == nil {
		quick = first
	}
	return slices.Contains(quick, c.name)
}

// A table gathers cells from rows that run side by side.
type table struct {
	mu    sync.Mutex
	cells map[string][]cell
}

func newTable() *table { return &table{cells: map[string][]cell{}} }

func (b *table) set(in wayIn, c content, cells []cell) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cells[in.name+"|"+c.name] = cells
}

// markdown writes the table: a section for each content, a line for each way in, a column for each way out.
func (b *table) markdown() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s, notes strings.Builder
	numbers := map[string]int{}
	s.WriteString(matrixIntro)
	for _, c := range contents {
		fmt.Fprintf(&s, "\n## %s\n\n| in \\ out |", c.name)
		for _, o := range waysOut {
			fmt.Fprintf(&s, " %s (%s) |", o.name, o.program)
		}
		s.WriteString("\n|---|" + strings.Repeat("---|", len(waysOut)) + "\n")
		for _, in := range waysIn {
			fmt.Fprintf(&s, "| **%s** (%s) |", in.name, in.program)
			if in.carries != nil && !slices.Contains(in.carries, c.name) {
				s.WriteString(" – " + in.why + " |" + strings.Repeat(" |", len(waysOut)-1) + "\n")
				continue
			}
			cells := b.cells[in.name+"|"+c.name]
			for i := range waysOut {
				if cells == nil {
					s.WriteString(" |")
					continue
				}
				s.WriteString(" " + cells[i].mark(numbers, &notes) + " |")
			}
			s.WriteString("\n")
		}
	}
	if notes.Len() > 0 {
		s.WriteString("\n## Notes\n\n" + notes.String())
	}
	return s.String()
}

// mark is a cell in short; long words go to the notes, each once.
func (c cell) mark(numbers map[string]int, notes *strings.Builder) string {
	note := func(text string) string {
		n, has := numbers[text]
		if !has {
			n = len(numbers) + 1
			numbers[text] = n
			fmt.Fprintf(notes, "%d. %s\n", n, strings.ReplaceAll(text, "\n", " "))
		}
		return fmt.Sprintf("[%d]", n)
	}
	switch c.state {
	case equal:
		return "✓ " + c.text
	case partly:
		if c.note != "" {
			return "◐ " + c.text + " " + note(c.note)
		}
		return "◐ " + c.text
	case notCarried:
		return "– " + note(c.text)
	case wrong:
		return "✗ " + note(c.text)
	}
	return ""
}

const matrixIntro = `# The matrix

Written by ` + "`make matrix`" + `. Every cell is one stream through weir with real programs at both ends. ✓ says that the access
units at both ends are equal by content and order, that none is lost or doubled from the receiver's first key frame to the
end, and that all PTS and DTS of all tracks moved by one and the same amount. The number is how many units were compared; a
receiver that comes late gets fewer. ◐ says the same of what arrives; the rest the target cannot carry, it was left out, and
weir's log says so at that target. – is a cell that cannot be, and why. ✗ is wrong.

How exact "the same amount" is: to the tick of 90 kHz, as far as ffprobe prints it (in microseconds: two ticks, 25 µs). Where only
one end counts in milliseconds, 1 ms: that is from MPEG-TS or RTP to RTMP and FLV, and from GStreamer, which plays a Matroska file.

Where RTP is the way in, no DTS exists to be compared: there DTS must not go back and must not be above PTS. Where RTP is
the way out, PTS are compared.

At the end of the stream nothing may be missing, but for three things, none of which is weir's:

- ffmpeg gathers up to five AAC frames for one RTP packet and forgets them at the end, so RTSP announced by it has up to 5 audio
  units less; in the same way it forgets the last packets of a transport stream in RTP, which cut the last PES packet of up to 20
  audio units. ` + "`TestForgetful`" + ` proves both without weir.
- An ffprobe that is stopped, because a source that we fetch or a receiver of UDP is told no end, keeps one picture and up to 8
  audio frames.
- A recording of GStreamer or of the built-in camera is stopped while the origin goes on.

How the comparison itself is proved: ` + "`test/units`, `TestWitnesses` and `TestCamera`" + `.
`
