package udp

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const inside = "WEIR_TEST_NAMESPACE"

// namespace runs the calling test again where multicast works, on lo for IPv4 and on v0 for IPv6, and reports whether this is that run.
func namespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	args := []string{"-n"}
	if os.Geteuid() != 0 {
		args = []string{"-Urn"}
	}
	set := `set -e
ip link set lo up
ip link set lo multicast on
ip addr add 127.0.0.2/8 dev lo
ip route add 224.0.0.0/4 dev lo
ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
ip addr add fd00::1/64 dev v0 nodad
exec "$@"`
	args = append(args, "sh", "-c", set, "sh", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("run in a network namespace (needs root or user namespaces, and the Debian packages util-linux and iproute2): %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("the test did not run in its namespace:\n%s", out)
	}
	return false
}
