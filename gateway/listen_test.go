package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// real runs a gateway on sockets of loopback until the test ends.
type realGateway struct {
	*Gateway
	log   *logBook
	drain context.CancelFunc
	hurry chan struct{}
	over  chan error
}

func runReal(t *testing.T, yaml string) *realGateway {
	t.Helper()
	r := &realGateway{log: new(logBook), hurry: make(chan struct{}), over: make(chan error, 1)}
	g, err := New(parse(t, yaml), Options{Log: slog.New(slog.NewTextHandler(r.log, nil)), Page: "demo/camera"})
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway = g
	ctx, cancel := context.WithCancel(context.Background())
	r.drain = cancel
	go func() { r.over <- g.Run(ctx, r.hurry) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-r.hurry:
		default:
			close(r.hurry)
		}
		select {
		case err := <-r.over:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("got a gateway that does not end; want it to\n%s", r.log)
		}
		if strings.Contains(r.log.String(), "left behind") {
			stacks := make([]byte, 1<<20)
			t.Errorf("got something left behind; want nothing\n%s\n%s", r.log, stacks[:runtime.Stack(stacks, true)])
		}
	})
	return r
}

func (r *realGateway) url(listener, path string) string {
	return "http://" + r.Addr(listener).String() + path
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

const demoFile = `
listen: {rtmp: "127.0.0.1:0", rtsp: "127.0.0.1:0", http: "127.0.0.1:0", admin: "127.0.0.1:0"}
sources: {demo/camera: "demo:"}
drain: 20s
`

func TestNewSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first := free.Addr().String()
	free.Close()
	for _, c := range []struct{ name, yaml, want string }{
		{"it names a taken port", "listen: {rtmp: \"" + first + "\", http: \"" + taken.Addr().String() + "\"}", "listen: http: " + taken.Addr().String() + " is taken by another program"},
		{"it names an address that is not here", "listen: {rtmp: \"192.0.2.1:26150\"}", "192.0.2.1:26150 is no address of this machine"},
		{"it names a missing certificate", "listen: {rtsp: \"" + first + "\", rtmps: {address: \"127.0.0.1:0\", cert: /none.crt, key: /none.key}}", "listen: rtmps: load certificate /none.crt"},
		{"it takes no balancer's word", "listen: {http: {address: \"" + first + "\", proxy: 10.0.0.0/8}}", "proxy is not available"},
		{"it names a destination that cannot be", "sources: {in: \"demo:\"}\nrules: [{name: out, send: \"udp://127.0.0.1:26160?bogus=${env:X}\"}]", `rule out (line 2): send udp://127.0.0.1:26160?bogus=•••: `},
		{"it names a source that cannot run", "sources: {in: \"tcp://10.0.0.1:5?bogus=1\"}", `source "in" (line 1): url tcp://10.0.0.1:5?bogus=1: tcp`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(parse(t, c.yaml), Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v; want %q", err, c.want)
			}
			var le *ListenError
			if strings.Contains(c.want, "taken") && (!errors.As(err, &le) || le.Listener != "http" || !errors.Is(err, syscall.EADDRINUSE)) {
				t.Errorf("got %#v; want a ListenError of http", err)
			}
			again, err := net.Listen("tcp", first)
			if err != nil {
				t.Fatalf("got %v; want nothing left bound", err)
			}
			again.Close()
		})
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	r := runReal(t, demoFile)
	waitFor(t, "ready", func() bool { code, _ := get(t, r.url("admin", "/readyz")); return code == 200 })
	if code, body := get(t, r.url("admin", "/healthz")); code != 200 || body != "ok\n" {
		t.Errorf("got %d %q; want 200 ok", code, body)
	}
	// A player, so that everything has been counted once.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url("http", "/demo/camera.flv"), nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v; want a stream", resp, err)
	}
	defer resp.Body.Close()
	go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
	if code, _ := get(t, r.url("http", "/none.flv")); code != 404 {
		t.Errorf("got %d; want 404", code)
	}
	var text string
	waitFor(t, "metrics", func() bool {
		_, text = get(t, r.url("admin", "/metrics"))
		return strings.Contains(text, `weir_latency_seconds_bucket{protocol="http-flv",le="10"}`) && strings.Contains(text, `weir_streams{protocol="demo"} 1`)
	})
	for _, want := range []string{
		`weir_ingress_bytes_total{protocol="demo"} `, `weir_egress_bytes_total{protocol="http-flv"} `, `weir_receivers{protocol="http-flv"} 1`,
		`weir_skips_total{protocol="http-flv"} 0`, `weir_refusals_total{reason="not_found"} 1`, `weir_gaps_total 0`, `weir_waiting 0`, `weir_panics_total 0`,
		"# TYPE weir_ingress_bytes_total counter", "# TYPE weir_gaps_total counter",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q in the metrics; want it", want)
		}
	}
	// It drains: not ready, still there, and the other listeners close later.
	r.drain()
	waitFor(t, "not ready", func() bool { code, _ := get(t, r.url("admin", "/readyz")); return code == 503 })
	if code, _ := get(t, r.url("http", "/")); code != 200 {
		t.Errorf("got %d while it drains; want listeners to stay for 5 s", code)
	}
	waitFor(t, "closed listener", func() bool {
		c, err := net.Dial("tcp", r.Addr("http").String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if code, _ := get(t, r.url("admin", "/readyz")); code != 503 {
		t.Errorf("got %d; want the admin listener until the end", code)
	}
}

// waitFor asks again and again; real sockets have no clock of ours.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(15 * time.Second)
	for !done() {
		select {
		case <-limit:
			t.Fatalf("got no %s in 15 s; want it", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Peers that do nothing, or stop reading, do not keep Run from returning.
func TestRunEndsInSpiteOfPeers(t *testing.T) {
	t.Parallel()
	r := runReal(t, demoFile)
	waitFor(t, "stream", func() bool {
		resp, err := http.Head(r.url("http", "/demo/camera.flv"))
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	})
	dial := func(listener string) net.Conn {
		c, err := net.Dial("tcp", r.Addr(listener).String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for _, l := range []string{"rtmp", "rtsp", "http", "admin"} {
		dial(l) // silent
		_, _ = dial(l).Write([]byte{3, 1})
		_, _ = dial(l).Write([]byte("GET / HTTP/1.1\r\nX"))
	}
	for _, path := range []string{"/demo/camera.flv", "/demo/camera.ts"} { // players that never read
		_, _ = fmt.Fprintf(dial("http"), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	}
	// A publisher that stops within a message.
	_, _ = dial("http").Write([]byte("POST /live/a.flv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\nFLV"))
	waitFor(t, "publisher", func() bool { return r.log.count("msg=publishing", "live/a") == 1 })
	waitFor(t, "players", func() bool { return r.log.count("msg=playing") >= 3 })
	start := time.Now()
	close(r.hurry)
	r.drain()
	err := <-r.over
	r.over <- err
	if took := time.Since(start); err != nil || took > 6*time.Second {
		t.Errorf("got %v after %v; want an end within 6 s\n%s", err, took, r.log)
	}
	if r.hub.has("play") || r.hub.has("publish") {
		t.Error("got sessions left; want none")
	}
}

func TestWrongProtocol(t *testing.T) {
	t.Parallel()
	r := runReal(t, demoFile)
	c, err := net.Dial("tcp", r.Addr("rtmp").String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) // another protocol: closed, others go on
	_, err = bufio.NewReader(c).ReadByte()
	if err == nil {
		t.Error("got an answer to the wrong protocol; want none")
	}
	c.Close()
	if code, _ := get(t, r.url("admin", "/healthz")); code != 200 {
		t.Errorf("got %d; want it to live", code)
	}
}
