package test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A block is a fenced block of a Markdown file.
type block struct {
	file string // below the project's folder
	line int
	info []string // the words after the fence
	text string
}

func (b block) name() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// documents are the project's Markdown files.
func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			out = append(out, strings.TrimPrefix(path, "../"))
		}
		return nil
	})
	if err != nil || len(out) < 10 {
		t.Fatalf("got %d documents (%v); want 10 at least", len(out), err)
	}
	return out
}

func blocks(t *testing.T, file string) []block {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	var open *block
	for i, line := range strings.Split(string(b), "\n") {
		switch {
		case open == nil && strings.HasPrefix(line, "```"):
			open = &block{file: file, line: i + 1, info: strings.Fields(strings.TrimPrefix(line, "```"))}
		case open != nil && line == "```":
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s: the block is not closed", open.name())
	}
	return out
}

// marks are the words that say how a block is tried.
var marks = map[string][]string{"sh": {"run", "demo", "try", "make"}, "yaml": {"weir", "weir-test"}}

// secrets are what the documents' files want from the environment.
var secrets = []string{"STUDIO_PASSWORD=secret", "CAM_PASSWORD=secret", "PLATFORM_KEY=key", "PLATFORM_A_KEY=a", "PLATFORM_B_KEY=b"}

// TestDocuments executes what stands in Markdown, as CONTRIBUTING.md says.
func TestDocuments(t *testing.T) {
	t.Parallel()
	var demos []block
	for _, file := range documents(t) {
		list := blocks(t, file)
		yaml := false
		for _, b := range list {
			if len(b.info) == 0 {
				continue // a picture or an output
			}
			allowed, marked := marks[b.info[0]]
			if !marked {
				continue
			}
			if len(b.info) != 2 || !slices.Contains(allowed, b.info[1]) {
				t.Errorf("%s: got %q; want one of %v after %s", b.name(), b.info, allowed, b.info[0])
				continue
			}
			switch b.info[1] {
			case "run":
				t.Run(b.name(), func(t *testing.T) { t.Parallel(); runBlock(t, b) })
			case "demo":
				demos = append(demos, b)
			case "try":
				t.Run(b.name(), func(t *testing.T) { t.Parallel(); tryBlock(t, b) })
			case "make":
				makeBlock(t, b)
			default:
				yaml = true
			}
		}
		if yaml {
			t.Run(file, func(t *testing.T) { t.Parallel(); checkFile(t, file) })
		}
	}
	t.Run("demo", func(t *testing.T) {
		p := start(t, nil, nil, weir, "demo")
		if !poll(15*time.Second, func() bool { return status("http://127.0.0.1:8080/demo/camera.flv") == http.StatusOK }) {
			t.Fatalf("weir demo does not play: %s", p.log.String())
		}
		t.Run("blocks", func(t *testing.T) {
			for _, b := range demos {
				t.Run(b.name(), func(t *testing.T) { t.Parallel(); runBlock(t, b) })
			}
		})
	})
}

// inProject prepares a command that runs in the project's folder, with weir in the path.
func inProject(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(weir)+":/usr/sbin:"+os.Getenv("PATH"))
	return cmd
}

func runBlock(t *testing.T, b block) {
	if out, err := inProject("timeout", "60", "sh", "-euc", b.text).CombinedOutput(); err != nil {
		t.Errorf("%s: got %v; want a good end\n%s%s", b.name(), err, b.text, tail(string(out)))
	}
}

// tryBlock starts each line; no network can be reached, so only what it says of its arguments counts.
func tryBlock(t *testing.T, b block) {
	for line := range strings.Lines(b.text) {
		if !strings.HasPrefix(line, "weir ") {
			t.Errorf("%s: got %q; want lines that begin with weir", b.name(), line)
			continue
		}
		out, err := inProject("timeout", "-k", "2", "1", "sh", "-c", "exec "+line).CombinedOutput()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 2 || strings.Contains(string(out), "bridge:") && strings.Contains(string(out), "unknown") {
			t.Errorf("%s: %s: got %s; want a command line that weir takes", b.name(), strings.TrimSpace(line), out)
		}
	}
}

func makeBlock(t *testing.T, b block) {
	file, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.text) {
		target, ok := strings.CutPrefix(strings.TrimSpace(line), "make ")
		if !ok || !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).Match(file) {
			t.Errorf("%s: got %q; want a target of the Makefile", b.name(), line)
		}
	}
}

func checkFile(t *testing.T, file string) {
	cmd := inProject(weir, "check", file)
	cmd.Env = append(cmd.Env, secrets...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: got %v; want no findings\n%s", file, err, out)
	}
}

// TestExamples checks and tests every example, and wants a page beside it.
func TestExamples(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("../examples/*/weir.yaml")
	if err != nil || len(dirs) < 5 {
		t.Fatalf("got %d examples (%v); want 5 at least", len(dirs), err)
	}
	for _, path := range dirs {
		file := strings.TrimPrefix(path, "../")
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			t.Parallel()
			checkFile(t, file)
			cmd := inProject(weir, "test", file)
			cmd.Env = append(cmd.Env, secrets...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("it passes its tests: got %v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), "README.md")); err != nil {
				t.Errorf("it has a page: got %v", err)
			}
		})
	}
}

// TestLinks follows the relative links of all documents.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	for _, file := range documents(t) {
		b, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", file, m[1])
			}
		}
	}
}
