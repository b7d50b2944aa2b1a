package gateway

import (
	"slices"
	"testing"

	"weir/rules"
)

func TestTableAndLanguageAgree(t *testing.T) {
	t.Parallel()
	t.Run("it has rows for schemes that the language knows, in their roles", func(t *testing.T) {
		t.Parallel()
		known := make(map[string]rules.Scheme)
		for _, s := range rules.Schemes() {
			known[s.Name] = s
		}
		seen := make(map[string]bool)
		for _, row := range schemes() {
			s, ok := known[row.name]
			if !ok || seen[row.name] {
				t.Errorf("got row %q; want one for each scheme of the language at most", row.name)
			}
			seen[row.name] = true
			if row.layers == "" {
				t.Errorf("got no layers for %q; want them", row.name)
			}
			if row.fetch == nil && row.send == nil || row.fetch != nil && !s.Fetch || row.send != nil && !s.Send {
				t.Errorf("got fetch %v, send %v for %q; want what the language allows: %v, %v", row.fetch != nil, row.send != nil, row.name, s.Fetch, s.Send)
			}
		}
	})
	t.Run("it has rows for listeners that the language knows, and serves what that says", func(t *testing.T) {
		t.Parallel()
		for _, row := range listeners() {
			i := slices.IndexFunc(rules.Listeners(), func(k rules.ListenerKind) bool { return k.Name == row.name })
			if i < 0 {
				t.Errorf("got row %q; want only listeners of the language", row.name)
				continue
			}
			k := rules.Listeners()[i]
			if row.layers == "" || row.listen == nil || k.Network != "tcp" {
				t.Errorf("got layers %q on %s for %q; want some, and a TCP listener", row.layers, k.Network, row.name)
			}
			var want []string // of what the language says, that which is built anywhere
			for _, p := range append(slices.Clone(k.Serves), k.OverTLS...) {
				if Available(rules.RoleServe, p) {
					want = append(want, p)
				}
			}
			if !slices.Equal(row.serves, want) {
				t.Errorf("got %v served by %q; want %v", row.serves, row.name, want)
			}
		}
	})
	t.Run("it says what is built and what is not", func(t *testing.T) {
		t.Parallel()
		for _, s := range rules.Schemes() {
			i := slices.IndexFunc(schemes(), func(row scheme) bool { return row.name == s.Name })
			fetch, send := i >= 0 && schemes()[i].fetch != nil, i >= 0 && schemes()[i].send != nil
			if Available(rules.RoleFetch, s.Name) != fetch || Available(rules.RoleSend, s.Name) != send {
				t.Errorf("got another answer for %q; want fetch %v, send %v", s.Name, fetch, send)
			}
		}
		served := make(map[string]bool)
		for _, row := range listeners() {
			for _, p := range row.serves {
				served[p] = true
			}
		}
		for _, p := range rules.Protocols() {
			if Available(rules.RoleServe, p.Name) != served[p.Name] {
				t.Errorf("got served %v for %q; want %v", !served[p.Name], p.Name, served[p.Name])
			}
			if served[p.Name] && !p.Serve {
				t.Errorf("got %q served; want what the language can serve only", p.Name)
			}
			delete(served, p.Name)
		}
		for p := range served {
			t.Errorf("got %q served; want only protocols of the language", p)
		}
		for _, k := range rules.Listeners() {
			if built := slices.ContainsFunc(listeners(), func(l listener) bool { return l.name == k.Name }); Available(rules.RoleListen, k.Name) != built {
				t.Errorf("got listener %q available %v; want %v", k.Name, !built, built)
			}
		}
		if Available(rules.Role(99), "rtmp") {
			t.Error("got an unknown role available; want not")
		}
	})
}
