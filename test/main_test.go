package test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
)

var (
	matrixAll   = flag.Bool("matrix", false, "run every cell of the matrix, not only a part that touches every adapter")
	matrixWrite = flag.String("matrix-write", "", "write the matrix to this Markdown file")
)

// insideKey tells the second process, which runs in a network namespace of its own, where the built weir is.
const insideKey = "WEIR_TEST_BINARY"

// weir is the path of the built binary.
var weir = os.Getenv(insideKey)

// TestMain builds weir once, and runs the tests in a network namespace of their own, where every port is free, multicast
// works on loopback, and nothing leaves the machine.
func TestMain(m *testing.M) {
	flag.Parse()
	if weir != "" {
		os.Exit(inside(m))
	}
	dir, err := os.MkdirTemp("", "weir-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := outside(dir)
	os.RemoveAll(dir)
	os.Exit(code)
}

func outside(dir string) int {
	binary := filepath.Join(dir, "weir")
	if out, err := exec.Command("go", "build", "-o", binary, "weir/cmd/weir").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build weir/cmd/weir: %v\n%s", err, out)
		return 1
	}
	if missing := missingPrograms(); len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "these programs are missing: %s\nas root, `make tools` installs them\n", strings.Join(missing, ", "))
		return 1
	}
	share := []string{"-n"}
	if os.Getuid() != 0 {
		share = []string{"-Urn"}
	}
	script := `ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo && exec "$@"`
	args := append(share, "sh", "-c", script, "sh", os.Args[0])
	cmd := exec.Command("unshare", append(args, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideKey+"="+binary, scratchKey+"="+dir)
	ignore := make(chan os.Signal, 1)
	signal.Notify(ignore, os.Interrupt) // the terminal tells the second process too; wait for it
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "enter a network namespace:", err)
		return 1
	}
	return 0
}

func inside(m *testing.M) int {
	defer shared.stop()
	return m.Run()
}
