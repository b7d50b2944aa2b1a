package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A demo is a running `weir demo`.
type demo struct {
	base    int
	process *process
}

// startDemo runs `weir demo` on ports of its own and waits until it plays.
func startDemo(t *testing.T) demo {
	t.Helper()
	d := demo{base: ports(6)}
	at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", d.base+n) }
	d.process = start(t, nil, nil, weir, "demo", "--rtmp", at(0), "--rtsp", at(1), "--http", at(2), "--admin", at(3), "--udp", at(4))
	if !poll(15*time.Second, func() bool { return status(d.http("/demo/camera.flv")) == http.StatusOK }) {
		t.Fatalf("weir demo does not play: %s", d.process.log.String())
	}
	return d
}

func (d demo) http(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", d.base+2, path) }

// TestDemo asks ffprobe at every address that `weir demo` prints.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for _, c := range []struct {
		it, url string
		options []string
	}{
		{"rtmp", fmt.Sprintf("rtmp://127.0.0.1:%d/demo/camera", d.base), nil},
		{"rtsp over tcp", fmt.Sprintf("rtsp://127.0.0.1:%d/demo/camera", d.base+1), []string{"-rtsp_transport", "tcp"}},
		{"rtsp over udp", fmt.Sprintf("rtsp://127.0.0.1:%d/demo/camera", d.base+1), []string{"-rtsp_transport", "udp"}},
		{"http-flv", d.http("/demo/camera.flv"), nil},
		{"http-ts", d.http("/demo/camera.ts"), nil},
		{"udp", fmt.Sprintf("udp://127.0.0.1:%d", d.base+4), nil},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-v", "error", "-show_entries", "stream=codec_name,width,height,sample_rate", "-of", "csv=p=0"}, c.options...)
			out, said, err := run(t, "timeout", append([]string{"60", "ffprobe"}, append(args, c.url)...)...)
			if err != nil || !strings.Contains(out, "h264,640,360") || !strings.Contains(out, "aac,48000") {
				t.Errorf("it plays at %s: got %q (%v, %s); want h264,640,360 and aac,48000", c.url, out, err, tail(said))
			}
			if printed := d.process.log.String(); !strings.Contains(printed, c.url) {
				t.Errorf("it prints every address: got no %s in %s", c.url, printed)
			}
		})
	}
}

// TestDemoNamesATakenPort starts it twice.
func TestDemoNamesATakenPort(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", d.base+n) }
	_, said, err := run(t, "timeout", "20", weir, "demo", "--rtmp", at(0), "--rtsp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--udp", "")
	if err == nil || !strings.Contains(said, at(0)) || !strings.Contains(said, "rtmp") {
		t.Errorf("it names the taken port: got %q (%v); want an error with rtmp and %s", said, err, at(0))
	}
}
