package rtsp

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/wire"
)

// inNamespace is set in the copy of the test that runs inside of a network namespace.
const inNamespace = "WEIR_TEST_NAMESPACE"

// TestSourceJoinsMulticast runs itself in a network namespace with a second one on a cable, where the camera is.
func TestSourceJoinsMulticast(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		t.Parallel()
		cmd := exec.Command(need(t, "unshare", "util-linux"), "-rn", os.Args[0], "-test.run", "^TestSourceJoinsMulticast$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("in a namespace: %v\n%s", err, out)
		}
		return
	}
	ip, nsenter := need(t, "ip", "iproute2"), need(t, "nsenter", "util-linux")
	far := exec.Command("unshare", "-n", "sh", "-c", "echo ready; exec sleep 300")
	ready, err := far.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := far.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Process.Kill(); far.Wait() })
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(far.Process.Pid)
	there := []string{nsenter, "-t", pid, "-n"}
	for _, args := range [][]string{
		{ip, "link", "set", "lo", "up"},
		{ip, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", pid},
		{ip, "addr", "add", "10.98.0.1/24", "dev", "near"},
		{ip, "link", "set", "near", "up"},
		{ip, "route", "add", "224.0.0.0/4", "dev", "near"},
		append(there, ip, "link", "set", "lo", "up"),
		append(there, ip, "addr", "add", "10.98.0.2/24", "dev", "far"),
		append(there, ip, "link", "set", "far", "up"),
		append(there, ip, "route", "add", "224.0.0.0/4", "dev", "far"),
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	args := append(there, "/usr/bin/python3", "testdata/camera.py", "10.98.0.2")
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the camera did not start: %v", err)
	}
	for _, test := range []struct{ it, transport string }{
		{"it joins the group when it is told to", "multicast"},
		{"it finds out that there is only a group", ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			s, err := New(wire.Remote{URL: parse(t, "rtsp://10.98.0.2:"+strings.TrimSpace(port)+"/group"), Transport: test.transport})
			if err != nil {
				t.Fatal(err)
			}
			var all []*transmux.AccessUnit
			for deadline := time.Now().Add(20 * time.Second); ; {
				all, err = pullUntil(t, s, 150)
				if errors.Is(err, context.Canceled) {
					break
				}
				// The camera answers 503 while it still cleans up after the one before.
				if time.Now().After(deadline) {
					t.Fatalf("got %v; want that it was canceled", err)
				}
			}
			if got := s.Transport(); got != "multicast" {
				t.Errorf("got transport %q; want multicast", got)
			}
			checkLive(t, all, transmux.H264, transmux.PCMA)
		})
	}
}
