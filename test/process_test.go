package test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// scratchKey is where everything that tests write lies; the outer process removes it.
const scratchKey = "WEIR_TEST_SCRATCH"

// A process is a real program that was started for a test. What it says on standard error is kept.
type process struct {
	name string
	cmd  *exec.Cmd
	log  lockedBuffer
	done chan struct{}
	err  error
	once sync.Once
}

// lockedBuffer may be read while a program still writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// spawn starts a program in a process group of its own; stdout may be nil, then it joins the log.
func spawn(stdin io.Reader, stdout io.Writer, name string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, &p.log
	if stdout == nil {
		p.cmd.Stdout = &p.log
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// start is spawn for a test: it fails the test on an error, and stops the program when the test ends.
func start(t *testing.T, stdin io.Reader, stdout io.Writer, name string, args ...string) *process {
	t.Helper()
	p, err := spawn(stdin, stdout, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// wait returns the program's error, or one that says that it still ran after d.
func (p *process) wait(d time.Duration) error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(d):
		return fmt.Errorf("%s still runs after %v: %s", p.name, d, p.log.String())
	}
}

// stop ends the program politely, then for good.
func (p *process) stop() {
	p.once.Do(func() {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			select {
			case <-p.done:
				return
			default:
			}
			p.cmd.Process.Signal(s)
			select {
			case <-p.done:
				return
			case <-time.After(3 * time.Second):
			}
		}
		<-p.done
	})
}

// shared are programs that several tests use; they run to the end.
var shared group

type group struct {
	mu   sync.Mutex
	list []*process
}

// add takes a program over; nil is none.
func (g *group) add(p *process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p != nil {
		g.list = append(g.list, p)
	}
}

func (g *group) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.list {
		p.stop()
	}
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

var nextPort atomic.Int32

// ports returns the first of n ports that nobody else in this run gets; it is even. They are free because the tests have
// a network namespace of their own.
func ports(n int) int {
	n += n & 1
	return 24000 + int(nextPort.Add(int32(n))) - n
}

// eventually asks until ok, and fails the test with what after d.
func eventually(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	if !poll(d, ok) {
		t.Fatalf("got no %s within %v", what, d)
	}
}

// poll asks an outside program until ok or until d is over.
func poll(d time.Duration, ok func() bool) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if ok() {
			return true
		}
	}
	return false
}

// scratch is a new folder that goes when the test ends.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(scratchKey), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// write writes a file into dir and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
