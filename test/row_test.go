package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/test/units"
)

// A row is one weir that gets one content by one way in, with all ways out attached at once.
type row struct {
	in      wayIn
	content content
	dir     string
	base    int // first port
	world   *world
	nginx   nginxServer
	weir    *process
}

// Ports of a row, as offsets from its base; ways out take the ones after.
const (
	portRTMP = iota
	portRTMPS
	portRTSP
	portHTTP
	portAdmin
	portIn
	portNginx
	portCamera
	portOut
)

// base is the first port of a row; every row has a world of its own.
const base = 24000

const rowFile = `listen:
  rtmp: 127.0.0.1:RTMP
  rtmps: {address: "127.0.0.1:RTMPS", cert: CERT, key: CERTKEY, tls_max: "1.2"}
  rtsp: :RTSP
  http: 127.0.0.1:HTTP
  admin: 127.0.0.1:ADMIN
access:
  - allow: [publish, play]
SOURCES
rules:
  - name: everywhere
    match: {name: live/cam}
    serve: all
    send:
SENDS`

// fill writes the row's ports and names into text.
func (r *row) fill(text string, o wayOut) string {
	port := func(n int) string { return fmt.Sprint(r.base + n) }
	certs, _ := certificate()
	out := port(portOut + 2*o.index)
	clip, _ := r.content.clip()
	return strings.NewReplacer("CERTKEY", certs[1], "CERT", certs[0], "RTMPS", port(portRTMPS), "RTMP", port(portRTMP),
		"RTSP", port(portRTSP), "HTTP", port(portHTTP), "ADMIN", port(portAdmin), "PORT", port(portIn), "OUT", out,
		"NGINX", port(portNginx), "CAMERA", farAddress+":"+port(portCamera), "NEAR", nearAddress, "CLIP", clip,
		"CONTENT", mount(r.content)).Replace(text)
}

func (r *row) stdout() string { return filepath.Join(r.dir, "stdout.flv") }

// runRow plays the content once through weir and returns what each way out says of it, in the order of waysOut, and what
// weir said.
func runRow(t *testing.T, w *world, in wayIn, c content) ([]cell, string) {
	t.Helper()
	r := &row{in: in, content: c, dir: scratch(t), base: base, world: w}
	if _, err := certificate(); err != nil {
		t.Fatal(err)
	}
	source, err := in.reference(c)
	if err != nil {
		t.Fatal(err)
	}
	server, err := startNginx(filepath.Join(r.dir, "nginx"), r.base+portNginx)
	if err != nil {
		t.Fatal(err)
	}
	r.nginx = server
	defer server.process.stop()
	if strings.Contains(in.source, "CAMERA") {
		camera, err := startCamera(w.there, farAddress, r.base+portCamera, c)
		if err != nil {
			t.Fatal(err)
		}
		defer camera.stop()
	}

	players := make([]*player, len(waysOut))
	cells := make([]cell, len(waysOut))
	launch := func(pushed bool) {
		for i, o := range allWaysOut() {
			if (o.send != "") != pushed {
				continue
			}
			if why := o.without(c); why != "" {
				cells[i] = cell{state: notCarried, text: why}
				continue
			}
			players[i] = o.play(r, o)
			if err := players[i].start(t); err != nil {
				t.Fatal(err)
			}
		}
	}
	launch(true)
	publisher := r.start(t)
	r.waitLive(t)
	launch(false)

	if in.hold > 0 {
		time.Sleep(in.hold) // the clip plays in real time
	} else if err := publisher.wait((clipSeconds + 15) * time.Second); err != nil {
		t.Fatalf("%s: %v\nweir: %s", publisher.name, err, tail(r.weir.log.String()))
	}
	r.end(players)
	for i, p := range players {
		if p == nil {
			continue
		}
		got, err := p.finish(c, 0)
		if err != nil {
			cells[i] = cell{state: wrong, text: err.Error()}
			continue
		}
		cells[i] = r.judge(allWaysOut()[i], source, got)
	}
	r.weir.stop()
	return cells, r.weir.log.String()
}

// end gives players time to see the end by themselves, and ends the others, all at once.
func (r *row) end(players []*player) {
	var all sync.WaitGroup
	for i, p := range players {
		if p == nil {
			continue
		}
		patience := 5 * time.Second
		if r.in.hold > 0 {
			patience = 0
		} else if stopped(r.in, waysOut[i]) {
			patience = 3500 * time.Millisecond // UDP is believed to be at its end after a second of silence
		}
		all.Go(func() { p.end(patience) })
	}
	all.Wait()
}

// runRowAgain is runRow, repeated when cells are wrong and the kernel dropped datagrams meanwhile: then the machine was too
// busy to take them, and nothing is known of weir.
func runRowAgain(t *testing.T, in wayIn, c content) []cell {
	t.Helper()
	w := newWorld(t)
	for try := 1; ; try++ {
		before := w.dropped()
		cells, said := runRow(t, w, in, c)
		bad := slices.ContainsFunc(cells, func(c cell) bool { return c.state == wrong })
		if n := w.dropped() - before; bad && n > 0 && try < 3 {
			t.Logf("the kernel dropped %d datagrams, once more", n)
			continue
		}
		for i := range cells {
			if cells[i].state == wrong {
				t.Errorf("%s → %s (%s), %s: %s", in.name, waysOut[i].name, waysOut[i].program, c.name, cells[i].text)
			}
		}
		if bad {
			t.Logf("weir said: %s", said)
		}
		return cells
	}
}

// judge compares one recording with the source.
func (r *row) judge(o wayOut, source, got []units.Unit) cell {
	rule := units.Rule{
		PTSOnly:    o.noDTS,
		DerivedDTS: r.in.noDTS,
		Tail:       tailOf(r.in, o, r.content),
		Open:       r.in.hold > 0,
		Kinds:      o.part[r.content.name],
		PCM:        r.content.pcm(),
		Spread:     spread(r.in, o),
	}
	if r.in.hold > 0 {
		got = whole(got)
	}
	report := units.Compare(source, got, rule)
	if !report.Equal() {
		return cell{state: wrong, text: report.String()}
	}
	least := 50
	if n := report.Got[units.Video]; r.content.video != "" && (rule.Kinds == nil || slices.Contains(rule.Kinds, units.Video)) && n < least {
		return cell{state: wrong, text: fmt.Sprintf("only %d pictures came", n)}
	}
	if rule.Kinds != nil {
		if why := o.loses[r.content.name]; why != "" {
			return cell{state: partly, text: report.String(), note: why}
		}
		if says := r.fill(o.says, o); !r.said("left out", says) {
			return cell{state: wrong, text: "a track is missing, and weir's log does not say that it was left out"}
		}
		return cell{state: partly, text: report.String()}
	}
	return cell{state: equal, text: report.String(), spread: report.Spread}
}

// said reports whether one line of weir's log has both words.
func (r *row) said(one, other string) bool {
	for line := range strings.Lines(r.weir.log.String()) {
		if strings.Contains(line, one) && strings.Contains(line, other) {
			return true
		}
	}
	return false
}

// whole leaves out the last unit of each kind, of which a recording that was stopped in mid-flow has only a part.
func whole(list []units.Unit) []units.Unit {
	cut := map[string]bool{}
	out := slices.Clone(list)
	for i := len(out) - 1; i >= 0; i-- {
		if !cut[out[i].Kind] {
			cut[out[i].Kind] = true
			out = slices.Delete(out, i, i+1)
		}
	}
	return out
}

// spread is the tick of the coarsest container between both ends, if only one of them has it.
func spread(in wayIn, o wayOut) time.Duration {
	if in.grid == ticks && o.grid == millis || in.format == "mkv" { // Matroska counts in milliseconds
		return time.Millisecond
	}
	return 25 * time.Microsecond // two ticks of 90 kHz, as ffprobe prints them in microseconds
}

// without says why a content does not go out this way, or nothing.
func (o wayOut) without(c content) string {
	if o.carries == nil {
		return ""
	}
	for _, name := range o.carries {
		if name == c.name {
			return ""
		}
	}
	return o.why
}

// start starts the row's weir and its publisher, in the order that the way in wants.
func (r *row) start(t *testing.T) *process {
	t.Helper()
	sources, sends := "", ""
	if r.in.source != "" {
		sources = "sources:\n  live/cam: \"" + r.fill(r.in.source, wayOut{}) + "\"\n"
	}
	for _, o := range allWaysOut() {
		if o.send != "" && o.without(r.content) == "" {
			sends += "      - \"" + r.fill(o.send, o) + "\"\n"
		}
	}
	file := strings.NewReplacer("SOURCES", sources, "SENDS", sends).Replace(rowFile)
	path := write(t, r.dir, "weir.yaml", r.fill(file, wayOut{}))
	stdout, err := os.Create(r.stdout())
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()

	var args []string
	for _, a := range r.in.publish {
		args = append(args, r.fill(a, wayOut{}))
	}
	var publisher *process
	if r.in.before {
		publisher = start(t, nil, nil, args[0], args[1:]...)
		if strings.Contains(r.in.source, "PORT") {
			eventually(t, 5*time.Second, "listening publisher", func() bool { return bound(r.base + portIn) })
		}
	}
	if r.in.stdin {
		read, feed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		defer feed.Close()
		r.weir = start(t, read, stdout, weir, "run", path)
		r.ready(t)
		return start(t, nil, feed, args[0], args[1:]...)
	}
	r.weir = start(t, nil, stdout, weir, "run", path)
	r.ready(t)
	if args != nil && publisher == nil {
		publisher = start(t, nil, nil, args[0], args[1:]...)
	}
	return publisher
}

func (r *row) ready(t *testing.T) {
	t.Helper()
	url := r.fill("http://127.0.0.1:ADMIN/readyz", wayOut{})
	if !poll(20*time.Second, func() bool { return r.world.status(url) == http.StatusOK }) {
		t.Fatalf("weir is not ready: %s", r.weir.log.String())
	}
}

// waitLive waits until the stream can be played.
func (r *row) waitLive(t *testing.T) {
	t.Helper()
	url := r.fill("http://127.0.0.1:HTTP/live/cam.flv", wayOut{})
	if !poll(20*time.Second, func() bool { return r.world.status(url) == http.StatusOK }) {
		t.Fatalf("%s: the stream did not come alive: %s", r.in.name, r.weir.log.String())
	}
}

// status is the status of a GET, whose body is not read.
func status(url string) int { return statusBy(&http.Client{Timeout: 5 * time.Second}, url) }

func statusBy(client *http.Client, url string) int {
	resp, err := client.Get(url)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// bound reports whether somebody listens at a TCP port in the namespace of the calling thread, without connecting to it.
func bound(port int) bool {
	b, err := os.ReadFile("/proc/thread-self/net/tcp")
	return err == nil && strings.Contains(string(b), fmt.Sprintf(":%04X 00000000:0000 0A", port))
}

// command runs a program to its end; the error holds what it said.
func command(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// slug makes a file name of a text.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '/' || r == '+' || r == ':' {
			return '-'
		}
		return r
	}, s)
}
