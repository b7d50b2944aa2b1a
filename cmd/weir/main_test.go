package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is what a command wrote; safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

const secret = "hunter2"

// terminalOf has an environment in which every variable is a secret.
func terminalOf(in io.Reader) (t terminal, out, err *output) {
	out, err = new(output), new(output)
	return terminal{in: in, out: out, err: err, getenv: func(string) (string, bool) { return secret, true }}, out, err
}

// files writes files into a folder of their own and returns it.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const good = `listen: {rtmp: 127.0.0.1:26030}
users: {studio: "${env:STUDIO}"}
access:
  - {allow: publish, name: live/*, user: studio}
  - {allow: play}
rules:
  - {name: cdn, match: {name: live/*}, send: "rtmp://pusher:${env:PW}@cdn.example.org/app/${env:KEY}"}
`

func TestExecute(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	dir := files(t, map[string]string{
		"good.yaml": good,
		"good_test.yaml": "- it: admits the studio\n  publish: {name: live/7, user: studio, codecs: [h264, aac]}\n  want: {send: \"rtmp://pusher:•••@cdn.example.org/app/•••\"}\n" +
			"- it: keeps others out\n  publish: {name: live/7}\n  want: {deny: true}\n",
		"bad.yaml":        "listen: {rmtp: :1935}\nrules:\n  - {name: x, serv: all}\n",
		"alone.yaml":      "listen: {rtmp: 127.0.0.1:26031}\n",
		"fails.yaml":      good,
		"fails_test.yaml": "- it: lets everybody publish\n  publish: {name: live/7}\n  want: {serve: [all]}\n- it: lets everybody play\n  play: {name: live/7}\n  want: {allow: true}\n",
		"doc.md":          "# Title\n\n```yaml weir\nlisten: {rtmp: :1935}\nrules: [{name: x, serv: all}]\n```\n",
		"clear.yaml":      "listen: {rtmp: 127.0.0.1:26030}\nusers: {ann: " + secret + "}\naccess: [{allow: publish, user: ann}]\n",
		"busy.yaml":       "listen: {http: \"" + taken.Addr().String() + "\"}\n",
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	url := "rtsp://viewer:" + secret + "@127.0.0.1:1/x"
	for _, c := range []struct {
		name     string
		args     []string
		status   int
		out, err []string // contained
		silent   bool     // nothing on standard output
	}{
		{name: "it shows help", args: []string{"--help"}, out: []string{"weir takes a media stream in", "weir demo", "bridge"}},
		{name: "it needs a command", args: nil, status: exitUsage, err: []string{"expected one of", "weir --help"}, silent: true},
		{name: "it knows its commands", args: []string{"runn"}, status: exitUsage, err: []string{"unexpected argument runn"}},
		{name: "it knows its flags", args: []string{"demo", "--rtpm", "x"}, status: exitUsage, err: []string{"unknown flag --rtpm"}},
		{name: "it knows its levels", args: []string{"--log-level", "loud", "version"}, status: exitUsage, err: []string{"--log-level"}},
		{name: "it hides what it repeats of the arguments", args: []string{"probe", "x", url}, status: exitUsage, err: []string{"unexpected argument rtsp://•••@127.0.0.1:1/x"}},
		{name: "it tells its version", args: []string{"version"}, out: []string{"weir ", "go1."}},

		{name: "it checks a good file", args: []string{"check", in("good.yaml")}, silent: true},
		{name: "it checks a bad file", args: []string{"check", in("bad.yaml")}, status: exitFindings, out: []string{`bad.yaml:1:10: listen has no key "rmtp"; did you mean "rtmp"?`, "bad.yaml:3:15: ", "did you mean \"serve\"?"}},
		{name: "it checks several files and says which is missing", args: []string{"check", in("none.yaml"), in("bad.yaml")}, status: exitFindings, out: []string{"bad.yaml:1:10"}, err: []string{"none.yaml", "no such file"}},
		{name: "it checks the tests beside a file", args: []string{"check", in("fails.yaml")}, status: exitFindings, out: []string{"fails_test.yaml:3:", "lets everybody publish"}},
		{name: "it checks Markdown", args: []string{"check", in("doc.md")}, status: exitFindings, out: []string{"doc.md:5:", "did you mean \"serve\"?"}},
		{name: "it hides passwords in findings", args: []string{"check", in("clear.yaml")}, out: []string{"clear.yaml:2:"}},

		{name: "it explains who is admitted", args: []string{"explain", in("good.yaml"), "--publish", "live/7", "--user", "studio", "--codecs", "h264,aac"},
			out: []string{"ALLOW publish", "rule cdn", "send", "rtmp://pusher:•••@cdn.example.org/app/•••"}},
		{name: "it explains who is denied", args: []string{"explain", in("good.yaml"), "--publish", "live/7"}, status: exitUsage, out: []string{"access 1", "skipped", "DENY publish"}},
		{name: "it explains who plays", args: []string{"explain", in("good.yaml"), "--play", "live/7", "--protocol", "rtmp"}, out: []string{"ALLOW play"}},
		{name: "it wants to know what to explain", args: []string{"explain", in("good.yaml")}, status: exitUsage, err: []string{"--publish"}},
		{name: "it knows codecs", args: []string{"explain", in("good.yaml"), "--play", "x", "--codecs", "h246"}, status: exitUsage, err: []string{`"h246" is none of`, "weir explain --help"}},
		{name: "it knows addresses", args: []string{"explain", in("good.yaml"), "--play", "x", "--address", "10.0.0"}, status: exitUsage, err: []string{"not an IP address"}},
		{name: "it explains no bad file", args: []string{"explain", in("bad.yaml"), "--play", "x"}, status: exitFindings, err: []string{"bad.yaml:1:10"}, silent: true},

		{name: "it tests", args: []string{"test", in("good.yaml")}, out: []string{"ok    it admits the studio", "ok    it keeps others out", "2 passed, 0 failed\n"}},
		{name: "it tells what fails", args: []string{"test", in("fails.yaml")}, status: exitFindings, out: []string{"FAIL  ", "lets everybody publish", "ok    it lets everybody play", "1 passed, 1 failed\n"}},
		{name: "it says where tests should be", args: []string{"test", in("alone.yaml")}, status: exitFindings, err: []string{"alone_test.yaml"}},

		{name: "it runs no missing file", args: []string{"run", in("none.yaml")}, status: exitFindings, err: []string{"there is no file", "weir demo"}},
		{name: "it runs no bad file", args: []string{"run", in("bad.yaml")}, status: exitFindings, err: []string{"bad.yaml:1:10"}},
		{name: "it names a taken port of the file", args: []string{"run", in("busy.yaml")}, status: exitFindings, err: []string{"listen: http: " + taken.Addr().String() + " is taken"}},
		{name: "it names a taken port of the demo, and the flag", args: []string{"demo", "--rtmp", "127.0.0.1:0", "--rtsp", taken.Addr().String(), "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"},
			status: exitFindings, err: []string{"rtsp", taken.Addr().String() + " is taken", "weir demo --rtsp ADDR"}, silent: true},
		{name: "it bridges to a destination only", args: []string{"bridge", url}, status: exitUsage, err: []string{"<to>"}},
		{name: "it knows what it bridges from", args: []string{"bridge", strings.Replace(url, "rtsp", "rstp", 1), "udp://127.0.0.1:26040"}, status: exitFindings, err: []string{`weir: source "bridge": unknown "rstp"; did you mean "rtsp"?`}},
		{name: "it knows what it bridges to", args: []string{"bridge", url, "udp://127.0.0.1:26040?bogus=1"}, status: exitFindings, err: []string{`unknown setting "bogus"`}},
		{name: "it takes a dollar sign for itself", args: []string{"bridge", "--for", "1ms", strings.Replace(url, secret, "$x"+secret, 1), "udp://127.0.0.1:26040"}},
		{name: "it probes what is there", args: []string{"probe", "rtmp://u:" + secret + "@127.0.0.1:1/a/b"}, status: exitFindings, err: []string{"weir: probe rtmp://•••@127.0.0.1:1/a/b: ", "connection refused"}, silent: true},
		{name: "it probes what it knows", args: []string{"probe", "rmtp://u:" + secret + "@127.0.0.1:1/a/b"}, status: exitFindings, err: []string{`"rmtp" cannot be fetched`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			term, out, said := terminalOf(strings.NewReader(""))
			if got := execute(ctx, c.args, term); got != c.status {
				t.Errorf("got status %d; want %d", got, c.status)
			}
			for _, want := range c.out {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got %q on standard output; want %q in it", out, want)
				}
			}
			for _, want := range c.err {
				if !strings.Contains(said.String(), want) {
					t.Errorf("got %q on standard error; want %q in it", said, want)
				}
			}
			if c.silent && out.String() != "" {
				t.Errorf("got %q on standard output; want nothing", out)
			}
			if strings.Contains(out.String()+said.String(), secret) {
				t.Errorf("got a secret in %q or %q; want none", out, said)
			}
		})
	}
}

func TestHelpHasExamples(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"run", "demo", "bridge", "check", "explain", "test", "probe"} {
		term, out, _ := terminalOf(nil)
		if got := execute(t.Context(), []string{command, "--help"}, term); got != exitFine || !strings.Contains(out.String(), "weir "+command+" ") || !strings.Contains(out.String(), "Examples:") {
			t.Errorf("got status %d and %q for %s; want examples", got, out, command)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"good.yaml": good, "bad.yaml": "listen: {rmtp: :1935}\n",
		"good_test.yaml": "- it: admits the studio\n  publish: {name: live/7, user: studio}\n  want: {allow: true}\n"})
	for _, c := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"it prints findings", []string{"check", "--json", filepath.Join(dir, "bad.yaml")}, exitFindings, `"line":1,"column":10,"severity":"error"`},
		{"it prints no findings as a list", []string{"check", "--json", filepath.Join(dir, "good.yaml")}, exitFine, `[]`},
		{"it prints steps", []string{"explain", "--json", filepath.Join(dir, "good.yaml"), "--play", "live/7"}, exitFine, `"verdict":"ALLOW play"`},
		{"it prints results", []string{"test", "--json", filepath.Join(dir, "good.yaml")}, exitFine, `"results":[`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			term, out, _ := terminalOf(nil)
			if got := execute(t.Context(), c.args, term); got != c.status {
				t.Errorf("got status %d; want %d", got, c.status)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, []byte(out.String())); err != nil || !strings.Contains(compact.String(), c.want) {
				t.Errorf("got %v, %s; want JSON with %s", err, out, c.want)
			}
			if strings.Contains(out.String(), secret) {
				t.Errorf("got a secret in %s; want none", out)
			}
		})
	}
}

// start runs a command in the background; stop is Ctrl-C and returns the status.
func start(t *testing.T, args []string, in io.Reader, tty bool) (stop func() int, out, said *output) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	term, out, said := terminalOf(in)
	term.isTTY = tty
	status := make(chan int, 1)
	go func() { status <- execute(ctx, args, term) }()
	stop = func() int {
		cancel()
		select {
		case s := <-status:
			status <- s
			return s
		case <-time.After(8 * time.Second):
			t.Errorf("got %q running 8 s after Ctrl-C; want it ended\n%s", args, said)
			return -1
		}
	}
	t.Cleanup(func() { stop() })
	return stop, out, said
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !done() {
		select {
		case <-limit:
			t.Fatalf("got no %s in 20 s; want it", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestDemoBridgeProbe(t *testing.T) {
	t.Parallel()
	stop, printed, said := start(t, []string{"demo", "--rtmp", "127.0.0.1:26021", "--rtsp", "127.0.0.1:26022", "--http", "127.0.0.1:26023", "--admin", "127.0.0.1:26024", "--udp", ""}, nil, false)
	until(t, "stream", func() bool {
		resp, err := http.Head("http://127.0.0.1:26023/demo/camera.flv")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	for _, want := range []string{"rtmp://127.0.0.1:26021/demo/camera", "rtsp://127.0.0.1:26022/demo/camera", "http://127.0.0.1:26023/", "http://127.0.0.1:26024/metrics"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("got %q; want %s in it", printed, want)
		}
	}
	if strings.Contains(printed.String(), "udp") {
		t.Errorf("got %q; want no udp", printed)
	}

	t.Run("it probes", func(t *testing.T) {
		for _, url := range []string{"rtmp://127.0.0.1:26021/demo/camera", "rtsp://127.0.0.1:26022/demo/camera", "http://127.0.0.1:26023/demo/camera.ts"} {
			term, out, said := terminalOf(nil)
			if got := execute(t.Context(), []string{"probe", "--for", "2500ms", url}, term); got != exitFine {
				t.Fatalf("got status %d of %s: %s; want 0", got, url, said)
			}
			for _, want := range []string{"h264", "640x360 25.00/s", "aac", "48000 Hz, 2 channels", "yes", "1.00 s"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got %s of %s; want %q in it", out, url, want)
				}
			}
			if strings.Contains(said.String(), "looking for") {
				t.Errorf("got progress %q; want it on a terminal only", said)
			}
		}
	})
	t.Run("it bridges, to standard output and from standard input", func(t *testing.T) {
		term, out, said := terminalOf(nil)
		term.isTTY = true
		if got := execute(t.Context(), []string{"bridge", "--for", "3s", "rtmp://127.0.0.1:26021/demo/camera", "stdout:"}, term); got != exitFine {
			t.Fatalf("got status %d: %s; want 0", got, said)
		}
		ts := out.String()
		if len(ts) < 50000 || ts[0] != 0x47 || len(ts)%188 != 0 {
			t.Fatalf("got %d bytes; want two seconds of MPEG-TS", len(ts))
		}
		if !strings.Contains(said.String(), "h264+aac") || !strings.Contains(said.String(), "Mbit/s") {
			t.Errorf("got %q; want progress on a terminal", said)
		}
		for _, line := range []string{"source is up", "cable is up"} {
			if n := strings.Count(said.String(), line); n != 1 {
				t.Errorf("got %q %d times; want once", line, n)
			}
		}
		term, out, said = terminalOf(strings.NewReader(ts))
		if got := execute(t.Context(), []string{"bridge", "stdin:", "stdout:?format=flv"}, term); got != exitFine {
			t.Fatalf("got status %d: %s; want 0 at the end of the input", got, said)
		}
		if flv := out.String(); !strings.HasPrefix(flv, "FLV") || len(flv) < 20000 {
			t.Errorf("got %d bytes; want FLV", len(flv))
		}
		if strings.Contains(said.String(), "\r") {
			t.Errorf("got progress %q; want it on a terminal only", said)
		}
	})
	t.Run("it fails when nothing could be delivered", func(t *testing.T) {
		term, _, said := terminalOf(strings.NewReader("no stream at all"))
		if got := execute(t.Context(), []string{"bridge", "stdin:", "stdout:"}, term); got != exitFindings {
			t.Errorf("got status %d: %s; want 1", got, said)
		}
	})
	began := time.Now()
	if got := stop(); got != exitFine || time.Since(began) > 5*time.Second {
		t.Errorf("got status %d after %v; want 0 at once", got, time.Since(began))
	}
	if n := strings.Count(said.String(), "level=WARN") + strings.Count(said.String(), "level=ERROR"); n != 0 {
		t.Errorf("got %d warnings in %s; want none", n, said)
	}
}

// A bridge that waits for its standard input ends at once, too.
func TestBridgeStopsWhileItReads(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	stop, _, said := start(t, []string{"bridge", "stdin:", "udp://127.0.0.1:26041"}, r, false)
	began := time.Now()
	if got := stop(); got != exitFine || time.Since(began) > 2*time.Second {
		t.Errorf("got status %d after %v; want 0 at once: %s", got, time.Since(began), said)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"weir.yaml": `listen: {rtmp: 127.0.0.1:26051, http: 127.0.0.1:26052, admin: 127.0.0.1:26053}
users: {studio: "${env:STUDIO}"}
access: [{allow: publish, user: studio}, {allow: play}]
sources: {cam: "rtsp://viewer:${env:CAM}@127.0.0.1:1/x", test: "demo:"}
rules: [{name: cdn, match: {name: test}, send: "rtmp://127.0.0.1:1/app/${env:KEY}"}]
drain: 0s
`})
	stop, _, said := start(t, []string{"--log-level", "debug", "--log-format", "json", "run", filepath.Join(dir, "weir.yaml")}, nil, false)
	until(t, "readiness", func() bool {
		resp, err := http.Get("http://127.0.0.1:26053/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	req, _ := http.NewRequest(http.MethodPost, fmt.Sprintf("http://studio:%s@127.0.0.1:26052/live/a.flv?pass=%s", secret, secret), strings.NewReader("FLV"))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
	}
	until(t, "retries", func() bool {
		return strings.Contains(said.String(), "source is down") && strings.Contains(said.String(), "cable is down")
	})
	if got := stop(); got != exitFine {
		t.Errorf("got status %d; want 0", got)
	}
	if strings.Contains(said.String(), secret) {
		t.Errorf("got a secret in the log; want none:\n%s", said)
	}
	for line := range strings.Lines(said.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("got %q; want JSON only", line)
		}
	}
}
