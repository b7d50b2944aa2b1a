package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A gateway is a running `weir run` with a file of a test's own.
type gateway struct {
	base    int
	dir     string
	process *process
}

// listeners is the part of the file that every gateway has; PORT+n are filled in by runGateway.
const listeners = `listen:
  rtmp: 127.0.0.1:RTMP
  rtsp: 127.0.0.1:RTSP
  http: 127.0.0.1:HTTP
  admin: 127.0.0.1:ADMIN
`

// runGateway runs weir with listeners and the rest of a file, in which RTMP, RTSP, HTTP, ADMIN and PORT are filled in, and
// waits until it is ready.
func runGateway(t *testing.T, rest string) *gateway {
	t.Helper()
	g := &gateway{base: ports(10), dir: scratch(t)}
	path := write(t, g.dir, "weir.yaml", g.fill(listeners+rest))
	g.process = start(t, nil, nil, weir, "run", path)
	if !poll(15*time.Second, func() bool { return status(g.fill("http://127.0.0.1:ADMIN/readyz")) == http.StatusOK }) {
		t.Fatalf("weir is not ready: %s", g.process.log.String())
	}
	return g
}

func (g *gateway) fill(text string) string {
	port := func(n int) string { return fmt.Sprint(g.base + n) }
	return strings.NewReplacer("RTMP", port(0), "RTSP", port(1), "HTTP", port(2), "ADMIN", port(3), "PORT", port(4)).Replace(text)
}

// live waits until the named stream can be played.
func (g *gateway) live(t *testing.T, name string) {
	t.Helper()
	if !poll(15*time.Second, func() bool { return status(g.fill("http://127.0.0.1:HTTP/"+name+".flv")) == http.StatusOK }) {
		t.Fatalf("%s does not come alive: %s", name, g.process.log.String())
	}
}

// says waits until weir's log has all words in one line.
func (g *gateway) says(t *testing.T, words ...string) {
	t.Helper()
	has := func() bool {
		for line := range strings.Lines(g.process.log.String()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return true
			}
		}
		return false
	}
	if !poll(10*time.Second, has) {
		t.Errorf("it says %q: got %s", words, tail(g.process.log.String()))
	}
}

// publish starts ffmpeg publishing a clip in real time, over and over if loop.
func publish(t *testing.T, c content, loop bool, out ...string) *process {
	t.Helper()
	clip, err := c.clip()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-nostdin", "-v", "error", "-re"}
	if loop {
		args = append(args, "-stream_loop", "-1")
	}
	args = append(args, "-i", clip, "-map", "0", "-c", "copy")
	return start(t, nil, nil, "ffmpeg", append(args, out...)...)
}
