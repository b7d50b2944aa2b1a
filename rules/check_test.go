package rules

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestMisuse has one file for each mistake; what is said of it stands beside it.
func TestMisuse(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v; want some", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			t.Parallel()
			data, err := Read(file)
			if err != nil {
				t.Fatal(err)
			}
			f, findings := Parse(name, data, Options{Env: testEnv})
			if Failed(findings) != (f == nil) {
				t.Errorf("got file %v; want one unless a finding is an error", f)
			}
			out := lines(findings)
			if out == "" {
				t.Error("got no findings; want some")
			}
			for _, secret := range []string{"s3cret", "p@ss", "live_key_1", "hunter2", `a: "b`} {
				if strings.Contains(out, secret) {
					t.Errorf("got a secret in\n%s; want •••", out)
				}
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", out)
		})
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	_, findings := Parse("w.yaml", []byte(`
listen: {srt: :8890, http: :8080}
sources: {a: "srt://10.0.0.1:1"}
rules:
  - serve: [hls, http-flv]
    send: whip://h/x
`), Options{Available: func(r Role, name string) bool {
		return name != "srt" && name != "hls" && name != "whip"
	}})
	const want = `w.yaml:2:10: listen: "srt" is not available in this build
w.yaml:3:14: source "a": "srt" is not available in this build
w.yaml:5:5: rule 1: serve: "hls" is not available in this build
w.yaml:5:5: rule 1: send: "whip" is not available in this build
`
	if got := lines(findings); got != want {
		t.Errorf("got\n%s; want\n%s", got, want)
	}
}

func TestFindingAsJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(Finding{File: "a.yaml", Line: 2, Col: 3, Severity: Warning, What: "it"})
	if want := `{"file":"a.yaml","line":2,"column":3,"severity":"warning","what":"it"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("rules:\n  - match: {name: &a0 [x, x, x, x, x, x, x, x, x, x]}\n")
	bomb.WriteString("    serve: [" + strings.Repeat("*a0, ", 20000) + "]\n")
	for _, c := range []struct{ it, text, want string }{
		{"refuses a large file", "# " + strings.Repeat("x", MaxSize), "larger than 4 MB"},
		{"counts what aliases repeat", "access: [" + strings.Repeat("{allow: play},", 60000) + "]", "more than 100000 values"},
		{"refuses aliases that multiply", bomb.String(), "must be one value, not a list"},
		{"bounds regular expressions", "access:\n" + strings.Repeat("  - {allow: play, name: \"~"+strings.Repeat("x{999}", 100)+"\"}\n", 1001), "too many or too large"},
		{"bounds wildcards", "sources:\n" + func() string {
			var b strings.Builder
			for i := range 1001 {
				fmt.Fprintf(&b, "  a%d/*: {url: \"demo:\", on_demand: true}\n", i)
			}
			return b.String()
		}(), "more than 1000 keys have wildcards"},
		{"bounds depth", "rules: [{match: " + strings.Repeat("{not: ", 20) + "{name: x}" + strings.Repeat("}", 20) + "}]", "not more than 8 times"},
		{"survives deep brackets", strings.Repeat("[", 20000), "exceeded max depth"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			f, findings := Parse("w.yaml", []byte(c.text), Options{})
			if got := lines(findings); f != nil || !strings.Contains(got, c.want) || len(findings) > maxFindings {
				t.Errorf("got %.500s; want %q", got, c.want)
			}
		})
	}
}
