package rules

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func template(t testing.TB, s string) *Template {
	t.Helper()
	parts, problems := scan(s, testEnv)
	if problems != nil {
		t.Fatalf("%s: got %q; want no problem", s, problems)
	}
	return newTemplate(parts, pos{1, 1})
}

func TestTemplateExpand(t *testing.T) {
	t.Parallel()
	p, err := NewPattern(`~(?P<room>\w+)/(\d+)`)
	if err != nil {
		t.Fatal(err)
	}
	var c Captures
	p.Match("green/42", &c)
	v := &values{name: "green/42", user: "studio", protocol: "rtmp", captures: &c}
	for _, c := range []struct{ it, template, real, shown string }{
		{"leaves text alone", "rtmp://h/a", "rtmp://h/a", "rtmp://h/a"},
		{"fills in the name", "$name", "green/42", "green/42"},
		{"fills in everything it knows", "$user:$protocol:$1:$2:$room", "studio:rtmp:green:42:green", "studio:rtmp:green:42:green"},
		{"takes braces", "${name}_x${2}0", "green/42_x420", "green/42_x420"},
		{"writes a dollar", "a$$1$$$$", "a$1$$", "a$1$$"},
		{"hides the environment", "x/${env:PLATFORM_KEY}/y", "x/live_key_1/y", "x/•••/y"},
		{"takes a default", "${env:NOT_SET:-d:e}", "d:e", "d:e"},
		{"takes a default for what is empty", "${env:EMPTY:-d}", "d", "d"},
		{"never looks into the environment", "${env:TRICKY}", `a: "b" $name`, "•••"},
		{"derives an address", "udp://${ip:239.10.0.0/16}:5000", "udp://239.10.62.207:5000", "udp://239.10.62.207:5000"},
		{"hides a password", "rtsp://u:pw@h/$1", "rtsp://u:pw@h/green", "rtsp://u:•••@h/green"},
		{"encodes a password of the environment", "rtsp://u:${env:CAM_PASSWORD}@h/s", "rtsp://u:p%40ss%2Fword@h/s", "rtsp://u:•••@h/s"},
		{"takes an encoded password as it is", "rtsp://u:${env:ENCODED}@h/s", "rtsp://u:p%40ss@h/s", "rtsp://u:•••@h/s"},
		{"takes user and password at once", "rtsp://${env:CRED}@h/s", "rtsp://viewer:pw@h/s", "rtsp://•••@h/s"},
		{"does not encode a path", "rtsp://h/${env:TRICKY}@x", `rtsp://h/a: "b" $name@x`, "rtsp://h/•••@x"},
		{"hides query keys of secrets", "srt://h:1?passphrase=abc&x=1#f", "srt://h:1?passphrase=abc&x=1#f", "srt://h:1?passphrase=•••&x=1#f"},
		{"hides a password with a slash", "rtsp://u:a/b@h/s", "rtsp://u:a/b@h/s", "rtsp://u:•••@h/s"},
		{"shows an @ of a path", "rtmp://h:1935/a@b", "rtmp://h:1935/a@b", "rtmp://h:1935/a@b"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			got := template(t, c.template).expand(v)
			if got.Reveal() != c.real || got.String() != c.shown {
				t.Errorf("got %q shown as %q; want %q shown as %q", got.Reveal(), got, c.real, c.shown)
			}
		})
	}
}

func TestTextNeverPrintsASecret(t *testing.T) {
	t.Parallel()
	x := template(t, "a/${env:PLATFORM_KEY}").expand(&values{})
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "text", x, "cable", Cable{To: x}.To)
	j, err := json.Marshal(map[string]any{"text": x, "list": []Text{x}})
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(j) + fmt.Sprintf("%v %s %q %+v %#v", x, x, x, struct{ T Text }{x}, x)
	if strings.Contains(out, "live_key") || strings.Count(out, hidden) != 9 {
		t.Errorf("got %s; want ••• nine times", out)
	}
}

func TestAddressIn(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"239.10.0.0/16": "239.10.250.21", "239.10.0.0/12": "239.12.250.21", "10.0.0.1/32": "10.0.0.1", "0.0.0.0/0": "18.172.250.21",
	} {
		if got := addressIn(netip.MustParsePrefix(prefix), "live/7").String(); got != want {
			t.Errorf("%s: got %s; want %s", prefix, got, want)
		}
	}
	seen := make(map[netip.Addr]bool)
	p := netip.MustParsePrefix("ff3e::8000:0/97")
	for i := range 1000 {
		a := addressIn(p, fmt.Sprint("cam/", i))
		if !p.Contains(a) {
			t.Fatalf("got %s; want one in %s", a, p)
		}
		seen[a] = true
	}
	if len(seen) != 1000 {
		t.Errorf("got %d addresses for 1000 names; want 1000", len(seen))
	}
}

func TestUserinfo(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"p@ss", "a/b", "x?y#z", "a b", "ä", "%", "100%", "p:q", "[x]", "plain"} {
		raw := "rtsp://u:" + strings.TrimPrefix(userinfo("u:"+secret), "u:") + "@10.0.0.7/s"
		u, err := url.Parse(raw)
		if err != nil {
			t.Errorf("%q: got %v; want a URL", secret, err)
			continue
		}
		if got, _ := u.User.Password(); got != secret || u.Host != "10.0.0.7" {
			t.Errorf("got password %q and host %s; want %q and 10.0.0.7", got, u.Host, secret)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"rtmp://h/$1/$room", "${env:PLATFORM_KEY}@$$", "${ip:10.0.0.0/8}", "rtsp://u:${env:CAM_PASSWORD}@h", "${", "$", "$9$$9"} {
		f.Add(s, "live/a-b")
	}
	p, err := NewPattern(`~(?P<room>.*)/(.*)`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s, name string) {
		parts, problems := scan(s, testEnv)
		if problems != nil {
			return
		}
		tm := newTemplate(parts, pos{})
		var c Captures
		p.Match(name, &c)
		tm.check([]string{"name"}, []*Pattern{p})
		got := tm.expand(&values{name: name, captures: &c})
		if !strings.Contains(s, "live_key_1") && !strings.Contains(name, "live_key_1") && strings.Contains(got.String(), "live_key_1") {
			t.Errorf("%q: got %q; want no secret", s, got)
		}
		if len(got.Reveal()) > (len(s)+1)*(len(name)*3+100) {
			t.Errorf("got %d bytes from %d; want fewer", len(got.Reveal()), len(s))
		}
		tm.samples()
	})
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"plain", "a$b$$", `q"u\o`, "*star", "~x: y # z", "tab\there\n", "ä€\u2028\ufeff", "", "${env:X}", "{a: :1}"} {
		t.Run(s, func(t *testing.T) {
			t.Parallel()
			d := &decoder{report: &report{}, left: 100}
			root, ok := d.parse([]byte("k: " + Quote(s)))
			if !ok {
				t.Fatalf("got %v; want YAML", d.report.list)
			}
			parts, problems := scan(root.Content[1].Value, nil)
			got := newTemplate(parts, pos{}).expand(&values{}).Reveal()
			if got != s || problems != nil {
				t.Errorf("got %q, %v; want %q", got, problems, s)
			}
		})
	}
}

func TestScalars(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bitrate{"800k": 800_000, "12M": 12_000_000, "1.5M": 1_500_000, "1G": 1e9, "12": -1, "M": -1, "-1M": -1, "1e3k": -1, "0k": -1, "": -1, "9999999G": -1} {
		var got bitrate
		if err := got.UnmarshalText([]byte(s)); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: got %d, %v; want %d", s, got, err, want)
		}
	}
	for s, want := range map[string]string{"10.0.0.1": "10.0.0.1/32", "10.1.2.3/8": "10.0.0.0/8", "::1": "::1/128", "::ffff:1.2.3.4": "1.2.3.4/32", "fe80::1%eth0": "", "x": "", "1.2.3.4/33": ""} {
		var got prefix
		if err := got.UnmarshalText([]byte(s)); (err != nil) != (want == "") || err == nil && netip.Prefix(got).String() != want {
			t.Errorf("%q: got %v, %v; want %q", s, netip.Prefix(got), err, want)
		}
	}
	for s, ok := range map[string]bool{"3": false, "0": true, "500ms": true, "-1s": false, "9000h": false, "": false} {
		var got duration
		if err := got.UnmarshalText([]byte(s)); (err == nil) != ok {
			t.Errorf("%q: got %v; want ok %v", s, err, ok)
		}
	}
	var tracks []string
	for _, s := range []string{"video", "audio:eng", "data:#02"} {
		var got track
		if err := got.UnmarshalText([]byte(s)); err != nil {
			t.Errorf("%q: got %v; want none", s, err)
		}
		tracks = append(tracks, string(got))
	}
	if want := []string{"video", "audio:eng", "data:#2"}; !slices.Equal(tracks, want) {
		t.Errorf("got %q; want %q", tracks, want)
	}
}
