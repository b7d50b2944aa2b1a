package gateway

import (
	"slices"
	"testing"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		leave []string // in this order
		turns []string // who was told to take over
		owner string
	}{
		{name: "it gives to the first", owner: "a"},
		{name: "it lets one who waits give up", leave: []string{"b"}, owner: "a"},
		{name: "it gives to the next", leave: []string{"a"}, turns: []string{"b"}, owner: "b"},
		{name: "it passes over who gave up", leave: []string{"b", "a"}, turns: []string{"c"}, owner: "c"},
		{name: "it leaves once", leave: []string{"a", "a"}, turns: []string{"b"}, owner: "b"},
		{name: "it keeps nothing", leave: []string{"c", "a", "b"}, turns: []string{"b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLine[string, string]()
			var turns []string
			claims := make(map[string]*claim[string, string])
			for i, who := range []string{"a", "b", "c"} {
				claim, mine := l.join("x", who, func() { turns = append(turns, who) })
				if claims[who] = claim; mine != (i == 0) {
					t.Errorf("got mine %v for %s; want the first only", mine, who)
				}
			}
			for _, who := range c.leave {
				claims[who].leave()
			}
			if !slices.Equal(turns, c.turns) {
				t.Errorf("got turns %v; want %v", turns, c.turns)
			}
			if who, ok := l.owner("x"); who != c.owner || ok != (c.owner != "") {
				t.Errorf("got owner %q, %v; want %q", who, ok, c.owner)
			}
			left := make(map[string]bool)
			for _, who := range c.leave {
				left[who] = true
			}
			if want := max(0, 2-len(left)); l.waiters() != want {
				t.Errorf("got %d waiters; want %d", l.waiters(), want)
			}
			if c.owner == "" && len(l.waiting) != 0 {
				t.Errorf("got %d keys; want none", len(l.waiting))
			}
		})
	}
}
