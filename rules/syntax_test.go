package rules

import (
	"fmt"
	"testing"
)

// TestColonsStandWhereReadersSeeThem shows values that YAML proper refuses and people write.
func TestColonsStandWhereReadersSeeThem(t *testing.T) {
	t.Parallel()
	f := parse(t, `
listen: {rtmp: :1935, http: {address: :8080, batch: 10ms}}   # not: [:x]
access:
  - {allow: play, address: [::1, 127.0.0.0/8,::/0]}
  - {deny: publish, because: "a :b, [:c] demo:"}
sources:
  a: demo:
  demo:
    url: [demo:, stream:a]
    failover: {after: 1s}
rules:
  - send: stdout:
  - send:
      - stdout:
      - udp://h:1
`)
	for got, want := range map[string]string{
		f.Listen[0].Address:                     ":1935",
		f.Listen[1].Address:                     ":8080",
		prefixes(f.access[0].address):           "[::1, 127.0.0.0/8, ::/0]",
		f.access[1].because.String():            "a :b, [:c] demo:",
		fmt.Sprint(f.Sources[0].Expand("a")):    "[demo:]",
		fmt.Sprint(f.Sources[1].Expand("demo")): "[demo: stream:a]",
		f.rules[0].sends[0].url.String():        "stdout:",
		f.rules[1].sends[1].url.String():        "udp://h:1",
	} {
		if got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

func TestFindingsKeepTheirColumn(t *testing.T) {
	t.Parallel()
	_, findings := Parse("w.yaml", []byte("listen: {http: {address: :8080, bach: 1s}}\n"), Options{})
	if got, want := lines(findings), "w.yaml:1:33: listen: http has no key \"bach\"; did you mean \"batch\"?\n"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		it, text string
		ok       bool
	}{
		{"takes nothing", "", true},
		{"takes comments only", "# weir.yaml\n", true},
		{"takes an empty document", "---\n", true},
		{"takes a byte order mark", "\ufeffdrain: 1s\n", true},
		{"takes CRLF", "drain: 1s\r\nlisten:\r\n  rtmp: :1935\r\n", true},
		{"takes aliases", "listen:\n  rtmp: &a :1935\nsources:\n  a: &u rtmp://h/a\n  b: *u\n", true},
		{"refuses a scalar", "weir", false},
		{"refuses bytes that are no text", "drain: \x00\xff", false},
		{"refuses an unknown alias", "drain: *x", false},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			f, findings := Parse("w.yaml", []byte(c.text), Options{})
			if (f != nil) != c.ok || c.ok && len(findings) > 0 {
				t.Errorf("got %s; want ok %v", lines(findings), c.ok)
			}
		})
	}
}
