package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const routeFile = `
listen:
  rtmp: :1935
  http: {address: :8080, cert: a, key: b}
rules:
  - name: first
    match: {name: [tv/*, radio/*]}
    serve: [rtmp, http-flv]
    send: rtmp://cdn/tv/$1
  - name: second
    match: {name: tv/**, video: h26*}
    serve: rtmp
    send:
      - rtmp://cdn/tv/$1
      - {url: ["udp://239.1.1.1:5000", "tcp://h:9"], tracks: [video, "audio:eng"], interface: eth1}
      - {url: rtmp://old/tv/$1, tc_url: "rtmp://x/${env:PLATFORM_KEY}", flash_ver: FMLE}
  - name: english
    match: {name: tv/*}
    serve: rtmp
    as: $name-eng
    tracks: [video, "audio:eng"]
    send: rtmp://eng/tv/$1
  - match: {name: num/*}
    send: udp://239.0.0.$1:5000
  - name: user
    match: {name: u/*}
    as: u/$user
    serve: all
  - name: nothing in the way
    match: {not: {video: "*"}, audio: opus}
    serve: all
`

func shownRoute(r Route) string {
	var b strings.Builder
	for _, s := range r.Serves {
		fmt.Fprintf(&b, "serve %s as %s%s by", s.Protocol, s.As, choice(s.Tracks))
		for _, o := range s.Owners {
			fmt.Fprintf(&b, " %s:%d", o.Rule, o.Line)
		}
		b.WriteString("\n")
	}
	for _, s := range r.Sends {
		fmt.Fprintf(&b, "send %s%s by", s.URL, choice(s.Tracks))
		for _, o := range s.Owners {
			fmt.Fprintf(&b, " %s:%d", o.Rule, o.Line)
		}
		b.WriteString("\n")
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "problem %s:%d %s\n", p.Rule, p.Line, p.What)
	}
	return b.String()
}

func TestRoute(t *testing.T) {
	t.Parallel()
	f := parse(t, routeFile)
	for _, c := range []struct {
		it   string
		s    Stream
		want string
	}{
		{"makes equal cables one with two owners", Stream{Name: "tv/1", Video: []string{"h264"}}, `
serve rtmp as tv/1 by first:6 second:10
serve http-flv as tv/1 by first:6
serve rtmp as tv/1-eng [video, audio:eng] by english:17
send rtmp://cdn/tv/1 by first:6 second:10
send udp://239.1.1.1:5000 [video, audio:eng] by second:10
send tcp://h:9 [video, audio:eng] by second:10
send rtmp://old/tv/1 by second:10
send rtmp://eng/tv/1 [video, audio:eng] by english:17
`},
		{"captures from the pattern that matched", Stream{Name: "radio/x", Audio: []string{"aac"}}, `
serve rtmp as radio/x by first:6
serve http-flv as radio/x by first:6
send rtmp://cdn/tv/x by first:6
`},
		{"fills numbers into addresses", Stream{Name: "num/7"}, "\nsend udp://239.0.0.7:5000 by 4:23\n"},
		{"says what cannot be an address", Stream{Name: "num/777"}, "\nproblem 4:23 send: udp://239.0.0.777:5000 is not an address\n"},
		{"says what cannot be a name", Stream{Name: "u/x"}, "\nproblem user:25 as: u/$user gives no stream name here\n"},
		{"serves all that has a listener", Stream{Name: "q", Audio: []string{"opus"}}, "\n" + func() string {
			var b strings.Builder
			for _, p := range []string{"rtmp", "rtmpe", "http-flv", "ws-flv", "http-ts", "http-mp4", "hls", "whep", "mjpeg", "rtmpt", "rtmpte", "rtmpts"} {
				fmt.Fprintf(&b, "serve %s as q by nothing in the way:29\n", p)
			}
			return b.String()
		}()},
		{"gives nothing where nothing matches", Stream{Name: "q", Video: []string{"h264"}, Audio: []string{"opus"}}, "\n"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			if got := "\n" + shownRoute(f.Route(c.s)); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
}

func TestCablesAreComparable(t *testing.T) {
	t.Parallel()
	s := Stream{Name: "tv/1", Video: []string{"h264"}}
	a, b := parse(t, routeFile).Route(s), parse(t, "# moved\n\n"+routeFile).Route(s)
	if len(a.Sends) != len(b.Sends) {
		t.Fatalf("got %d and %d; want the same", len(a.Sends), len(b.Sends))
	}
	for i := range a.Sends {
		if a.Sends[i].Cable != b.Sends[i].Cable {
			t.Errorf("got %v; want %v", a.Sends[i].Cable, b.Sends[i].Cable)
		}
	}
	other := parse(t, strings.Replace(routeFile, "FMLE", "other", 1)).Route(s)
	same := func(x, y Send) bool { return x.Cable == y.Cable }
	if same(a.Sends[3], other.Sends[3]) || !same(a.Sends[2], other.Sends[2]) {
		t.Error("got another cable for another flash_ver wrongly; want it only there")
	}
	if out := fmt.Sprintf("%v", a.Sends[3].Settings.TcURL); strings.Contains(out, "live_key") {
		t.Errorf("got %s; want •••", out)
	}
}

func TestRouteWithoutRules(t *testing.T) {
	t.Parallel()
	f := parse(t, "listen: {rtsp: :8554}")
	if got := shownRoute(f.Route(Stream{Name: "a"})); got != "serve rtsp as a by :0\n" || f.Rules() != nil {
		t.Errorf("got %s; want rtsp served", got)
	}
	if got := f.ExplainStream(Stream{Name: "a"}).String(); got != "  rule default    serve     all as a\n" {
		t.Errorf("got %q", got)
	}
	if f.ListenerOf("rtsp") != "rtsp" || f.ListenerOf("rtmp") != "" || !slices.Equal(f.Carried(), []string{"rtsp"}) {
		t.Errorf("got %v; want rtsp carried", f.Carried())
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	f := parse(t, `
sources:
  cam/gate: rtsp://h/gate
  "cam/*": {url: "rtsp://h/$1", on_demand: true, transport: tcp, interface: eth0, program: 3}
  "cam/g*": {url: ["rtsp://g/$1", "stream:backup/$1"], on_demand: true, tracks: video, failover: {return: 0}}
  "~x/(?P<n>.*)": {url: rtmp://x/a/$n, on_demand: true, swf_url: "http://x/y.swf"}
  "**": {url: rtmp://origin/$name, on_demand: true}
`)
	for name, want := range map[string]string{
		"cam/gate": "[rtsp://h/gate]", "cam/lobby": "[rtsp://h/lobby]", "cam/garden": "[rtsp://g/arden stream:backup/arden]",
		"x/1/2": "[rtmp://x/a/1/2]", "else/where": "[rtmp://origin/else/where]",
	} {
		s, ok := f.Source(name)
		if !ok {
			t.Errorf("%s: got none; want %s", name, want)
			continue
		}
		if got := fmt.Sprint(s.Expand(name)); got != want {
			t.Errorf("%s: got %s; want %s", name, got, want)
		}
	}
	g, _ := f.Source("cam/g1")
	if g.Failover != (Failover{3 * time.Second, 0}) || !slices.Equal(g.Tracks, []string{"video"}) || !g.OnDemand {
		t.Errorf("got %+v; want the file's settings", g)
	}
	if l, _ := f.Source("cam/lobby"); l.Settings != (Settings{Interface: "eth0", Program: 3, Transport: "tcp"}) {
		t.Errorf("got %+v; want the file's settings", l.Settings)
	}
	if _, ok := parse(t, "").Source("x"); ok {
		t.Error("got a source from an empty file; want none")
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	const text = `
listen:
  http: {address: ":8080", batch: 50ms}
sources:
  a: {url: "rtsp://u:${env:CAM_PASSWORD}@h/s"}
`
	ids := func(text string) [2]Identity {
		f := parse(t, text)
		return [2]Identity{f.Listen[0].Identity(), f.Sources[0].Identity()}
	}
	base := ids(text)
	if got := ids("# comment\n" + text); got != base {
		t.Error("got others for a comment; want the same identities")
	}
	for _, c := range []struct {
		old, new string
		listener bool
	}{
		{"50ms", "60ms", true}, {":8080", ":8081", true}, {"batch: 50ms", "proxy: 10.0.0.0/8", true},
		{"CAM_PASSWORD", "STUDIO_PASSWORD", false}, {"@h/s\"", "@h/s\", on_demand: true", false}, {"@h/s\"", "@h/s\", tracks: video", false},
	} {
		got := ids(strings.Replace(text, c.old, c.new, 1))
		if (got[0] != base[0]) != c.listener || (got[1] != base[1]) == c.listener {
			t.Errorf("%s for %s: got changes %v, %v; want listener %v", c.new, c.old, got[0] != base[0], got[1] != base[1], c.listener)
		}
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	for _, s := range Schemes() {
		if _, ok := protocol(s.Protocol); s.Protocol != "" && !ok {
			t.Errorf("scheme %s: got protocol %q; want one that rules can name", s.Name, s.Protocol)
		}
		if !s.Fetch && !s.Send {
			t.Errorf("scheme %s: got no role; want one", s.Name)
		}
	}
	served := make(map[string]bool)
	for _, k := range Listeners() {
		for _, p := range append(slices.Clone(k.Serves), k.OverTLS...) {
			served[p] = true
		}
	}
	for _, p := range Protocols() {
		if p.Serve != served[p.Name] {
			t.Errorf("protocol %s: got a listener %v; want %v", p.Name, served[p.Name], p.Serve)
		}
	}
	for u, want := range map[string]string{
		"http://h/a.flv": "http-flv", "https://h/a.TS?x=1": "http-ts", "http://h/a/index.m3u8": "hls", "wss://h/a.flv": "ws-flv", "moqt://h/x": "moq",
		"http://h/video.cgi": "mjpeg", "http://h/a": "http", "demo:": "demo", "rtp+sdp:x.sdp": "rtp", "RTSPS://h/x": "rtsps", "foo://x": "foo",
	} {
		if got := Plain(u).Protocol(); got != want {
			t.Errorf("%s: got %s; want %s", u, got, want)
		}
	}
}
