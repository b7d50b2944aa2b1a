package test

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goPackage is what `go list` says of one.
type goPackage struct {
	ImportPath string
	Name       string
	Doc        string
	Dir        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json", "./...")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOPROXY=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// arrows are the imports that a package may have, by the longest prefix that fits; "std" is the standard library.
// "weir/x/..." is x and all below it. Arrows may skip layers downwards.
var arrows = []struct {
	from string
	to   []string
}{
	{"weir/cmd", []string{"std", "weir/gateway/...", "weir/rules/...", "weir/wire/...", "weir/transmux/...", "github.com/alecthomas/kong", "golang.org/x/sync"}},
	{"weir/gateway", []string{"std", "weir/gateway/...", "weir/rules/...", "weir/ingress/...", "weir/egress/...", "weir/wire/...", "weir/transmux/...", "github.com/prometheus/client_golang", "golang.org/x/sync"}},
	{"weir/rules", []string{"std", "gopkg.in/yaml.v3", "weir/rules/..."}},
	{"weir/ingress/rtsp", []string{"std", "weir/ingress", "weir/wire/...", "weir/transmux/...", "github.com/bluenviron/gortsplib", "github.com/pion/rtp", "github.com/pion/rtcp"}},
	{"weir/egress/rtsp", []string{"std", "weir/egress", "weir/wire/...", "weir/transmux/...", "github.com/bluenviron/gortsplib", "github.com/pion/rtp", "github.com/pion/rtcp"}},
	{"weir/ingress", []string{"std", "weir/ingress/...", "weir/wire/...", "weir/transmux/...", "golang.org/x", "github.com/coder/websocket"}},
	{"weir/egress", []string{"std", "weir/egress/...", "weir/wire/...", "weir/transmux/...", "golang.org/x", "github.com/coder/websocket"}},
	{"weir/wire/rtp", []string{"std", "weir/wire", "weir/wire/...", "weir/transmux/...", "github.com/bluenviron/gortsplib", "github.com/pion/rtp", "github.com/pion/rtcp", "github.com/bluenviron/mediacommon"}},
	{"weir/wire/rtsp", []string{"std", "weir/wire/...", "weir/transmux/...", "github.com/bluenviron/gortsplib", "github.com/pion/rtp", "github.com/pion/rtcp"}},
	{"weir/wire", []string{"std", "weir/wire/...", "weir/transmux/...", "golang.org/x"}},
	{"weir/transmux", []string{"std", "weir/transmux/...", "github.com/bluenviron/mediacommon"}},
	{"weir/test", []string{"..."}},
}

// TestArrows keeps the layers apart.
func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := -1
		for i, a := range arrows {
			if within(p.ImportPath, a.from) && (from < 0 || len(a.from) > len(arrows[from].from)) {
				from = i
			}
		}
		if from < 0 {
			t.Errorf("%s has no place in the layers", p.ImportPath)
			continue
		}
		for _, to := range p.Imports {
			if !allowed(to, arrows[from].to) {
				t.Errorf("%s imports %s: it may import %v", p.ImportPath, to, arrows[from].to)
			}
		}
	}
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func allowed(path string, list []string) bool {
	for _, a := range list {
		below, tree := strings.CutSuffix(a, "/...")
		switch {
		case a == "...":
			return true
		case a == "std" && !strings.Contains(strings.Split(path, "/")[0], ".") && !within(path, "weir"):
			return true
		case tree && within(path, below), !tree && strings.Contains(a, ".") && within(path, a), path == a:
			return true
		}
	}
	return false
}

// layers under transmux are pure: these packages and names are I/O, goroutines or the wall clock.
var impure = regexp.MustCompile(`^(net|net/.*|os|os/.*|log|log/.*|io/fs|syscall)$`)

// TestPure keeps I/O, goroutines and clocks out of the containers.
func TestPure(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if !within(p.ImportPath, "weir/transmux") {
			continue
		}
		for _, i := range p.Imports {
			if impure.MatchString(i) {
				t.Errorf("%s imports %s: containers do no I/O", p.ImportPath, i)
			}
		}
		each(t, p, func(path string, set *token.FileSet, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: containers start no goroutine", set.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Since" || n.Sel.Name == "Sleep") {
						t.Errorf("%s: containers ask no clock", set.Position(n.Pos()))
					}
				}
				return true
			})
		})
	}
}

// TestConventions checks what a machine can check of how we write.
func TestConventions(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`/(util|utils|common|base|manager|helper|helpers)$`)
	for _, p := range packages(t) {
		if forbidden.MatchString(p.ImportPath) {
			t.Errorf("%s: the name says nothing", p.ImportPath)
		}
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		outside := !within(p.ImportPath, "weir/cmd") && !within(p.ImportPath, "weir/test")
		each(t, p, func(path string, set *token.FileSet, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Name.Name == "init" && n.Recv == nil {
						t.Errorf("%s: no init", set.Position(n.Pos()))
					}
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "panic" && outside {
						t.Errorf("%s: no panic", set.Position(n.Pos()))
					}
					sel, ok := n.Fun.(*ast.SelectorExpr)
					if !ok || !outside {
						break
					}
					x, _ := sel.X.(*ast.Ident)
					if x == nil {
						break
					}
					if call := x.Name + "." + sel.Sel.Name; call == "os.Exit" || strings.HasPrefix(call, "fmt.Print") || strings.HasPrefix(call, "log.Fatal") {
						t.Errorf("%s: %s belongs to cmd/weir", set.Position(n.Pos()), call)
					}
				}
				return true
			})
		})
	}
}

// each parses the files of a package that are not tests.
func each(t *testing.T, p goPackage, see func(path string, set *token.FileSet, f *ast.File)) {
	t.Helper()
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		see(path, set, f)
	}
}

// maxLines is the length of the longest file of ours.
const maxLines = 600

// TestFiles checks all files of the tree: length, and words that a finished thing does not say.
func TestFiles(t *testing.T) {
	t.Parallel()
	undone := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		n := 0
		for s := bufio.NewScanner(f); s.Scan(); {
			n++
			if undone.MatchString(s.Text()) {
				t.Errorf("%s:%d: %s", path, n, strings.TrimSpace(s.Text()))
			}
		}
		if n > maxLines {
			t.Errorf("%s: got %d lines; want at most %d, one subject a file", path, n, maxLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPrograms keeps the list of programs and the script that installs them together.
func TestPrograms(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("install.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []map[string]string{programs, files} {
		for name, deb := range list {
			if !regexp.MustCompile(`[\s"]` + regexp.QuoteMeta(deb) + `[\s"]`).Match(b) {
				t.Errorf("install.sh installs what has %s: got no %s", name, deb)
			}
		}
	}
}
