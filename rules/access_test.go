package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

var addr = netip.MustParseAddr

const accessFile = `
users: {studio: "${env:STUDIO_PASSWORD}", guest: "${env:CRED}"}
access:
  - deny: [publish, play]
    address: [203.0.113.0/24, "2001:db8::/32"]
    because: abuse report 4711
  - allow: publish
    name: "app/*"
    user: studio
    as: $user/$1
    limit: {streams: 40, sessions: 50, bitrate: 12M}
  - deny: publish
    name: closed/**
  - allow: [publish, play]
    protocol: rtmp*
    not: [{name: secret/**}, {user: guest}]
    address: 10.0.0.0/8
  - allow: play
    name: ~(?P<room>[a-z]+)-vip
    user: "*"
    as: vip/$room
`

func TestAdmit(t *testing.T) {
	t.Parallel()
	f := parse(t, accessFile)
	for _, c := range []struct {
		it   string
		r    Request
		want Decision
	}{
		{"denies with the entry's reason", Request{Publish, "app/x", "rtmp", "", addr("203.0.113.9"), "studio"},
			Decision{Entry: 1, Line: 4, Reason: "abuse report 4711", As: "app/x"}},
		{"takes mapped addresses for what they are", Request{Play, "x", "rtmp", "", addr("::ffff:203.0.113.9"), ""},
			Decision{Entry: 1, Line: 4, Reason: "abuse report 4711", As: "x"}},
		{"takes IPv6 with a zone", Request{Play, "x", "rtmp", "", addr("2001:db8::1%eth0"), ""},
			Decision{Entry: 1, Line: 4, Reason: "abuse report 4711", As: "x"}},
		{"allows with limits and another name", Request{Publish, "app/x", "rtsp", "", addr("1.1.1.1"), "studio"},
			Decision{Allow: true, Entry: 2, Line: 7, As: "studio/x", Limit: Limit{40, 50, 12_000_000}}},
		{"asks for a user where one would help", Request{Publish, "app/x", "rtsp", "", addr("1.1.1.1"), ""},
			Decision{Reason: "no entry allows publish", As: "app/x", NeedUser: true}},
		{"does not ask somebody who is known", Request{Publish, "app/x", "rtsp", "", addr("1.1.1.1"), "guest"},
			Decision{Reason: "no entry allows publish", As: "app/x"}},
		{"does not ask where no user helps", Request{Publish, "other", "rtsp", "", addr("1.1.1.1"), ""},
			Decision{Reason: "no entry allows publish", As: "other"}},
		{"gives a reason where the file has none", Request{Publish, "closed/a", "rtmp", "", addr("10.0.0.1"), ""},
			Decision{Entry: 3, Line: 12, Reason: "access 3 denies publish", As: "closed/a"}},
		{"matches families", Request{Publish, "a", "rtmpte", "", addr("10.0.0.1"), ""}, Decision{Allow: true, Entry: 4, Line: 14, As: "a"}},
		{"leaves out what not names", Request{Play, "secret/a", "rtmp", "", addr("10.0.0.1"), ""},
			Decision{Reason: "no entry allows play", As: "secret/a"}},
		{"leaves out any of not", Request{Play, "a", "rtmp", "", addr("10.0.0.1"), "guest"}, Decision{Reason: "no entry allows play", As: "a"}},
		{"matches nothing against no user", Request{Play, "red-vip", "rtsp", "", addr("1.1.1.1"), ""},
			Decision{Reason: "no entry allows play", As: "red-vip", NeedUser: true}},
		{"names captures", Request{Play, "red-vip", "rtsp", "", addr("1.1.1.1"), "guest"}, Decision{Allow: true, Entry: 5, Line: 18, As: "vip/red"}},
		{"refuses what is no name", Request{Play, "../x", "rtsp", "", addr("1.1.1.1"), ""}, Decision{Reason: "not a stream name: " + nameRule, As: "../x"}},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			if got := f.Admit(c.r); got != c.want {
				t.Errorf("got %+v; want %+v", got, c.want)
			}
		})
	}
}

func TestAdmitNeedUserMindsDenials(t *testing.T) {
	t.Parallel()
	f := parse(t, `
users: {a: "${env:CRED}"}
access:
  - deny: play
    not: {user: "*"}
    because: say who you are
  - deny: publish
    protocol: srt
  - allow: [play, publish]
    user: a
`)
	for _, c := range []struct {
		it   string
		r    Request
		want bool
	}{
		{"asks who is denied for being nobody", Request{Action: Play, Name: "x"}, true},
		{"asks where a later entry wants a user", Request{Action: Publish, Name: "x", Protocol: "rtmp"}, true},
		{"does not ask whom an entry denies anyhow", Request{Action: Publish, Name: "x", Protocol: "srt"}, false},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			if d := f.Admit(c.r); d.Allow || d.NeedUser != c.want {
				t.Errorf("got %+v; want a refusal with NeedUser %v", d, c.want)
			}
		})
	}
}

func TestAdmitWithoutAccess(t *testing.T) {
	t.Parallel()
	f := parse(t, "")
	for a, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true, "10.0.0.1": false, "::": false} {
		if d := f.Admit(Request{Action: Publish, Name: "x", Address: addr(a)}); d.Allow != want || !want && d.Reason == "" {
			t.Errorf("%s: got %+v; want allow %v", a, d, want)
		}
	}
	if d := f.Admit(Request{Action: Play, Name: "x"}); d.Allow {
		t.Errorf("got %+v for no address; want a refusal", d)
	}
}

func TestAdmitRefusesANameThatCannotBe(t *testing.T) {
	t.Parallel()
	f := parse(t, "access:\n  - allow: publish\n    as: u/$user\n")
	if d := f.Admit(Request{Action: Publish, Name: "x"}); d.Allow || !strings.Contains(d.Reason, "u/$user gives no stream name") {
		t.Errorf("got %+v; want a refusal for the name", d)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	f := parse(t, accessFile)
	if p, ok := f.Password("studio"); p != "s3cret" || !ok {
		t.Errorf("got %q, %v; want s3cret", p, ok)
	}
	if p, ok := f.Password("nobody"); p != "" || ok {
		t.Errorf("got %q, %v; want none", p, ok)
	}
	if got := fmt.Sprintf("%+v", f.Users()); got != "[guest studio]" {
		t.Errorf("got %s; want [guest studio]", got)
	}
}

func TestAdmitDoesNotAllocate(t *testing.T) {
	f := parse(t, hundred())
	r := Request{Publish, "live99/x", "rtmp", "rtmp", addr("10.1.2.3"), "studio"}
	if n := testing.AllocsPerRun(100, func() { f.Admit(r) }); n != 0 {
		t.Errorf("got %v allocations; want none", n)
	}
}

// hundred is a file with 100 access entries and 100 rules, of which the last match.
func hundred() string {
	var b strings.Builder
	b.WriteString("listen: {rtmp: :1935}\nusers: {studio: \"${env:STUDIO_PASSWORD}\"}\naccess:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  - {allow: publish, name: live%d/*, protocol: [rtmp, rtsp], user: studio}\n", i)
	}
	b.WriteString("rules:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "  - {match: {name: live%d/*, video: [h264, h265]}, serve: all, send: \"rtmp://cdn%d/live/$1\"}\n", i, i)
	}
	return b.String()
}

func BenchmarkAdmit(b *testing.B) {
	f := parse(b, hundred())
	r := Request{Publish, "live99/x", "rtmp", "rtmp", addr("10.1.2.3"), "studio"}
	b.ReportAllocs()
	for b.Loop() {
		if d := f.Admit(r); d.Entry != 100 {
			b.Fatalf("got %+v; want entry 100", d)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	f := parse(b, hundred())
	s := Stream{Name: "live99/x", Protocol: "rtmp", Video: []string{"h264"}, Audio: []string{"aac"}}
	b.ReportAllocs()
	for b.Loop() {
		if r := f.Route(s); len(r.Sends) != 1 {
			b.Fatalf("got %+v; want one send", r)
		}
	}
}
