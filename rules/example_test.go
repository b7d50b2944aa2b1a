package rules_test

import (
	"fmt"
	"net/netip"

	"weir/rules"
)

const text = `
listen: {rtmp: :1935}
users: {studio: "${env:STUDIO_PASSWORD}"}
access:
  - {allow: publish, name: live/*, user: studio, limit: {streams: 40}}
  - {allow: play, address: 10.0.0.0/8}
sources:
  "cam/*": {url: "rtsp://viewer:${env:CAM_PASSWORD}@cams.lan/$1", on_demand: true}
rules:
  - {name: everyone, serve: rtmp}
  - {name: cdn, match: {name: live/*, video: h264}, send: rtmp://cdn.example.org/in/$1}
`

func env(name string) (string, bool) { return "secret", true }

func file() *rules.File {
	f, findings := rules.Parse("weir.yaml", []byte(text), rules.Options{Env: env})
	for _, x := range findings {
		fmt.Println(x)
	}
	return f
}

func ExampleParse() {
	_, findings := rules.Parse("weir.yaml", []byte("listen: {rtpm: :1935}\ndrain: 3\n"), rules.Options{Env: env})
	for _, f := range findings {
		fmt.Println(f)
	}
	// Output:
	// weir.yaml:1:10: listen has no key "rtpm"; did you mean "rtmp"?
	// weir.yaml:2:8: drain: "3" is not a duration like 500ms or 3s
}

func ExampleFile_Admit() {
	f := file()
	r := rules.Request{Action: rules.Publish, Name: "live/7", Protocol: "rtmp", Address: netip.MustParseAddr("192.0.2.1")}
	d := f.Admit(r)
	fmt.Println(d.Allow, d.Reason, "ask who it is:", d.NeedUser)
	r.User = "studio"
	d = f.Admit(r)
	fmt.Println(d.Allow, d.Entry, d.Limit.Streams)
	// Output:
	// false no entry allows publish ask who it is: true
	// true 1 40
}

func ExampleFile_Route() {
	r := file().Route(rules.Stream{Name: "live/7", Protocol: "rtmp", Video: []string{"h264"}})
	for _, s := range r.Serves {
		fmt.Println(s.Rule, "serves", s.Protocol, "as", s.As)
	}
	for _, s := range r.Sends {
		fmt.Println(s.Rule, "sends to", s.URL)
	}
	// Output:
	// everyone serves rtmp as live/7
	// cdn sends to rtmp://cdn.example.org/in/7
}

func ExampleSource() {
	s, ok := file().Source("cam/gate")
	fmt.Println(ok, s.Name, s.OnDemand, s.Expand("cam/gate"))
	// Output:
	// true cam/* true [rtsp://viewer:•••@cams.lan/gate]
}

func ExampleText() {
	s, _ := file().Source("cam/gate")
	u := s.Expand("cam/gate")[0]
	fmt.Println(u)
	fmt.Println(u.Reveal())
	// Output:
	// rtsp://viewer:•••@cams.lan/gate
	// rtsp://viewer:secret@cams.lan/gate
}

func ExampleExplanation() {
	r := rules.Request{Name: "live/7", Protocol: "rtmp", User: "studio", Address: netip.MustParseAddr("192.0.2.1")}
	fmt.Print(file().ExplainPublish(r, []string{"h265"}, nil))
	// Output:
	//   access 1  line 5  ALLOW publish
	//   rule everyone  line 10  serve     rtmp as live/7
	//   rule cdn       line 11  no match  video h265 is not [h264]
}

func ExamplePattern() {
	p, err := rules.NewPattern("cam/*/**")
	if err != nil {
		fmt.Println(err)
		return
	}
	var c rules.Captures
	fmt.Println(p.Match("cam/gate/left/low", &c), c.Get(1), c.Get(2))
	// Output: true gate left/low
}

func ExampleRunTests() {
	results, _ := rules.RunTests(file(), "weir_test.yaml", []byte(`
- it: sends H.264 on
  publish: {name: live/7, user: studio, codecs: [h264]}
  want: {send: rtmp://cdn.example.org/in/8}
`))
	for _, r := range results {
		for _, f := range r.Failures {
			fmt.Println(f)
		}
	}
	// Output: weir_test.yaml:4:16: sends H.264 on: send: got [rtmp://cdn.example.org/in/7]; want [rtmp://cdn.example.org/in/8]
}

func ExampleBlocks() {
	md := "# Guide\n```yaml\n# weir.yaml\ndrain: soon\n```\n"
	for _, b := range rules.Blocks([]byte(md)) {
		_, findings := rules.Parse("guide.md", b.YAML, rules.Options{})
		fmt.Println(b.Line, findings[0])
	}
	// Output: 3 guide.md:4:8: drain: "soon" is not a duration like 500ms or 3s
}

func ExampleQuote() {
	fmt.Println(rules.Quote("rtmp://h/app/$key"))
	// Output: "rtmp://h/app/$$key"
}

func ExampleListener() {
	l := file().Listen[0]
	fmt.Println(l.Name, l.Address, l.Carries())
	// Output: rtmp :1935 [rtmp rtmpe]
}
