package rules

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testEnv is the environment of all tests.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{
		"STUDIO_PASSWORD": "s3cret", "CAM_PASSWORD": "p@ss/word", "PLATFORM_KEY": "live_key_1", "TRICKY": `a: "b" $name`, "PORT": "5000",
		"EMPTY": "", "CRED": "viewer:pw", "ENCODED": "p%40ss",
	}[name]
	return v, ok
}

func parseFile(t testing.TB, name string) *File {
	t.Helper()
	data, err := Read(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	f, findings := Parse(name, data, Options{Env: testEnv})
	if len(findings) > 0 {
		t.Fatalf("got findings %v; want none", lines(findings))
	}
	return f
}

func parse(t testing.TB, text string) *File {
	t.Helper()
	f, findings := Parse("weir.yaml", []byte(text), Options{Env: testEnv})
	if Failed(findings) {
		t.Fatalf("got findings\n%s; want none", lines(findings))
	}
	return f
}

func lines(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if got != string(want) {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", file, got, want)
	}
}

func TestBadFileSaysEverything(t *testing.T) {
	t.Parallel()
	data, err := Read("testdata/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, findings := Parse("bad.yaml", data, Options{Env: testEnv})
	if f != nil {
		t.Error("got a file; want none")
	}
	golden(t, "testdata/bad.txt", lines(findings))
}

func TestExplainPublish(t *testing.T) {
	t.Parallel()
	f := parseFile(t, "weir.yaml")
	r := Request{Name: "live/7", Protocol: "rtmp", Listener: "rtmp", User: "studio", Address: netip.MustParseAddr("10.1.2.3")}
	e := f.ExplainPublish(r, []string{"h264"}, []string{"aac"})
	if !e.Admitted() {
		t.Error("got denied; want admitted")
	}
	golden(t, "testdata/explain.txt", e.String())
}

func TestDesignTests(t *testing.T) {
	t.Parallel()
	f := parseFile(t, "weir.yaml")
	data, err := Read("testdata/weir_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	results, findings := RunTests(f, "weir_test.yaml", data)
	if len(findings) > 0 || len(results) != 2 {
		t.Fatalf("got %d results and findings\n%s; want 2 and none", len(results), lines(findings))
	}
	for _, r := range results {
		if len(r.Failures) > 0 {
			t.Errorf("got\n%s; want no failure", lines(r.Failures))
		}
	}
}
