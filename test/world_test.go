package test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A world is two network namespaces on a cable. Near is that of one row's weir and of most who speak to it. Far is another
// machine: there is who must not share ports with weir, which for RTSP over multicast both ends have in common.
type world struct {
	near *os.File
	far  int // a process there
	done chan struct{}

	mu    sync.Mutex
	drops map[string]int // by socket
	quit  chan struct{}
}

const (
	nearAddress = "10.77.0.1"
	farAddress  = "10.77.0.2"
)

// newWorld moves the calling goroutine, and every program that it starts from here on, into near. The goroutine stays there.
func newWorld(t *testing.T) *world {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	near, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	cmd := exec.Command("unshare", "-n", "sh", "-c", "echo ready; exec sleep 900")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("make a second network namespace: %v", err)
	}
	w := &world{near: near, far: cmd.Process.Pid, drops: map[string]int{}, quit: make(chan struct{}), done: make(chan struct{})}
	pid := strconv.Itoa(w.far)
	script := `ip link set lo up; ip link set lo multicast on
ip link add near type veth peer name far netns ` + pid + `
ip addr add ` + nearAddress + `/24 dev near; ip link set near up; ip route add 224.0.0.0/4 dev near`
	beyond := `ip link set lo up; ip addr add ` + farAddress + `/24 dev far; ip link set far up; ip route add 224.0.0.0/4 dev far`
	for _, args := range [][]string{{"sh", "-ec", script}, w.there("sh", "-ec", beyond)} {
		if _, err := command(args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	go w.watch()
	t.Cleanup(func() {
		close(w.quit)
		<-w.done
	})
	return w
}

// there is a command that runs in far.
func (w *world) there(args ...string) []string {
	return append([]string{"nsenter", "-t", strconv.Itoa(w.far), "-n"}, args...)
}

// do runs f in near, in a thread of its own.
func (w *world) do(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, as above
		if err := unix.Setns(int(w.near.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		f()
	}()
	<-done
}

// dial connects from near to an IP address.
func (w *world) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = fmt.Errorf("cannot enter the network namespace")
	w.do(func() { c, err = new(net.Dialer).DialContext(ctx, network, address) })
	return c, err
}

// status is the status of a GET from near, whose body is not read.
func (w *world) status(url string) int {
	t := &http.Transport{DialContext: w.dial}
	defer t.CloseIdleConnections()
	return statusBy(&http.Client{Timeout: 5 * time.Second, Transport: t}, url)
}

// dropped is how many datagrams found a socket of this world full so far. Those of weir's own multicast by RTSP do not
// count: the library binds a socket to the group to write, where what loops back is never read.
func (w *world) dropped() int {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, d := range w.drops {
		n += d
	}
	return n
}

// watch looks often, because a socket takes its count along when it is closed.
func (w *world) watch() {
	defer close(w.done)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look()
		case <-w.quit:
			return
		}
	}
}

func (w *world) look() {
	w.do(func() { w.count("near", "/proc/thread-self/net/udp") })
	w.count("far", fmt.Sprintf("/proc/%d/net/udp", w.far))
}

// groups are weir's, 239.192.0.0/16, as the kernel prints them.
var groups = regexp.MustCompile(`^....C0EF:`)

// count reads the kernel's list of sockets: local address in the second field, inode in the tenth, drops in the last.
func (w *world) count(where, path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return // the world is at its end
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 13 || where == "near" && groups.MatchString(f[1]) {
			continue
		}
		if n, err := strconv.Atoi(f[len(f)-1]); err == nil && n > 0 {
			w.drops[where+f[9]] = n
		}
	}
}
