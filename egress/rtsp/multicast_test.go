package rtsp

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	wirertsp "weir/wire/rtsp"
)

// inNamespace is set in the copy of the test that runs inside of a network namespace.
const inNamespace = "WEIR_TEST_NAMESPACE"

// TestMulticast runs itself in a network namespace with a second one on a cable, where the player is, so that no packet
// leaves the machine and both ends can bind the same ports.
func TestMulticast(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		t.Parallel()
		cmd := exec.Command(need(t, "unshare", "util-linux"), "-rn", os.Args[0], "-test.run", "^TestMulticast$", "-test.v")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("in a namespace: %v\n%s", err, out)
		}
		return
	}
	ip, nsenter := need(t, "ip", "iproute2"), need(t, "nsenter", "util-linux")
	far := exec.Command("unshare", "-n", "sh", "-c", "echo ready; exec sleep 300")
	out, err := far.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := far.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Process.Kill(); far.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(far.Process.Pid)
	there := []string{nsenter, "-t", pid, "-n"}
	for _, args := range [][]string{
		{ip, "link", "set", "lo", "up"},
		{ip, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", pid},
		{ip, "addr", "add", "10.99.0.1/24", "dev", "near"},
		{ip, "link", "set", "near", "up"},
		{ip, "route", "add", "224.0.0.0/4", "dev", "near"},
		append(there, ip, "addr", "add", "10.99.0.2/24", "dev", "far"),
		append(there, ip, "link", "set", "far", "up"),
		append(there, ip, "route", "add", "224.0.0.0/4", "dev", "far"),
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	path, want := clip(t, 20, bframes...)
	d := newDoor()
	s := serve(t, d, wirertsp.Config{Address: "10.99.0.1:0", Multicast: netip.MustParsePrefix("239.9.0.0/16"), MulticastPort: 22950})
	publish(t, d, s, path, "live/a")
	for _, it := range []string{"it plays", "it plays again after the group was left"} {
		t.Run(it, func(t *testing.T) {
			args := append(there, need(t, "timeout", "coreutils"), "30", need(t, "ffprobe", "ffmpeg"), "-v", "error", "-rtsp_transport", "udp_multicast",
				"-read_intervals", "%+4", "-show_packets", "-show_data_hash", "md5", "-of", "json", "rtsp://"+s.Addr().String()+"/live/a")
			out, err := exec.Command(args[0], args[1:]...).Output()
			var all struct{ Packets []packet }
			if e := json.Unmarshal(out, &all); e != nil || len(all.Packets) == 0 {
				t.Fatalf("ffprobe: %v, %v", err, e)
			}
			got := all.Packets
			for len(got) > 0 && !(got[0].CodecType == "video" && got[0].Flags[0] == 'K') {
				got = got[1:] // a listener comes in the middle
			}
			compare(t, got, want)
			select {
			case <-d.ended:
			case <-time.After(20 * time.Second):
				t.Error("the grant was not ended")
			}
		})
	}
}
