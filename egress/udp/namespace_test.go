package udp

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const inside = "WEIR_TEST_NAMESPACE"

// namespace runs the calling test again where loopback multicast works, and reports whether this is that run.
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
ip route add 224.0.0.0/4 dev lo
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
