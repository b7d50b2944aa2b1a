package rules

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	f := parseFile(t, "weir.yaml")
	closed := parse(t, "listen: {http: :8080}\nusers: {b: x}\naccess:\n  - deny: publish\n    listener: http\n    user: [a*, b]\n  - allow: play\n    address: 10.0.0.0/8\n")
	as := parse(t, "listen: {rtmp: :1935}\naccess:\n  - allow: publish\n    as: x/$name\nrules:\n  - match: {name: x/*, audio: aac, not: {protocol: rtsp}}\n    serve: [rtmp]\n    tracks: [video]\n    as: y/$1\n")
	for _, c := range []struct {
		it       string
		e        Explanation
		admitted bool
		want     string
	}{
		{"ends with the entry that denies", f.ExplainPlay(Request{Name: "cam/gate", Address: addr("203.0.113.9")}, nil, nil), false,
			"  access 1  line 13  DENY play  abuse report 4711\n"},
		{"shows what a play would fetch and where that goes", f.ExplainPlay(Request{Name: "cam/gate", Address: addr("10.0.0.1")}, []string{"h264"}, nil), true, `
  access 1  line 13  skipped   address 10.0.0.1 is not in [203.0.113.0/24]
  access 2  line 16  skipped   it is not about play
  access 3  line 21  ALLOW play
  source cam/gate  line 25  fetch     rtsp://viewer:•••@10.0.0.7/stream1
  rule cameras   line 39  serve     rtmp, rtmpt, http-flv as cam/gate
  rule platform  line 42  send      rtmps://ingest.example.org/live/•••
  rule iptv      line 45  no match  name "cam/gate" is not [tv/*]
  rule studio    line 49  no match  name "cam/gate" is not [live/*]
  rule onward    line 53  no match  it is what not excludes: name [cam/*]
`},
		{"shows only access where nothing is fetched", f.ExplainPlay(Request{Name: "live/7", Address: addr("10.0.0.1")}, nil, nil), true, `
  access 1  line 13  skipped   address 10.0.0.1 is not in [203.0.113.0/24]
  access 2  line 16  skipped   it is not about play
  access 3  line 21  ALLOW play
`},
		{"tells that no entry decided", closed.ExplainPublish(Request{Name: "a", Address: addr("10.0.0.1")}, nil, nil), false, `
  access 1        line 4  skipped   no listener, not [http]
  access 2        line 7  skipped   it is not about publish
  access default          DENY publish  no entry allows publish
`},
		{"tells of a missing user", closed.ExplainPublish(Request{Name: "a", Listener: "http"}, nil, nil), false, `
  access 1        line 4  skipped   no user, not [a*, b]
  access 2        line 7  skipped   it is not about publish
  access default          DENY publish  no entry allows publish
`},
		{"tells of a missing address", closed.ExplainPlay(Request{Name: "a"}, nil, nil), false, `
  access 1        line 4  skipped   it is not about play
  access 2        line 7  skipped   no address, not in [10.0.0.0/8]
  access default          DENY play  no entry allows play
`},
		{"tells that the file has no access", parse(t, "").ExplainPlay(Request{Name: "a", Address: addr("10.0.0.1")}, nil, nil), false,
			"  access default    DENY play  " + loopbackOnly + "\n"},
		{"follows a new name", as.ExplainPublish(Request{Name: "a"}, nil, []string{"aac"}), true, `
  access 1  line 3  ALLOW publish  as x/a
  rule 1  line 6  serve     rtmp as y/a [video]
`},
		{"tells of codecs", as.ExplainPublish(Request{Name: "a"}, nil, []string{"mp3"}), true, `
  access 1  line 3  ALLOW publish  as x/a
  rule 1  line 6  no match  audio mp3 is not [aac]
`},
		{"tells of missing codecs", as.ExplainStream(Stream{Name: "x/a"}), true, "  rule 1  line 6  no match  no audio, not [aac]\n"},
		{"tells of what not excludes", as.ExplainStream(Stream{Name: "x/a", Protocol: "rtsp", Audio: []string{"aac"}}), true,
			"  rule 1  line 6  no match  it is what not excludes: protocol [rtsp]\n"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			if got := c.e.String(); got != strings.TrimPrefix(c.want, "\n") || c.e.Admitted() != c.admitted {
				t.Errorf("got admitted %v\n%s; want %v\n%s", c.e.Admitted(), got, c.admitted, c.want)
			}
		})
	}
}

func TestExplainShortensLongLists(t *testing.T) {
	t.Parallel()
	f := parse(t, `
access:
  - allow: play
    name: [a1, a2, a3, a4, a5, a6, a7, a8, a9]
    not: {protocol: [rtmp], user: "*", address: 10.0.0.0/8}
  - allow: play
    address: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8, 10.0.0.9]
  - allow: play
    not: [{address: 11.0.0.0/8, not: {name: x}}]
`)
	got := f.ExplainPlay(Request{Name: "b", Address: addr("11.0.0.1")}, nil, nil).String()
	const want = `  access 1        line 3  skipped   name "b" is not [a1, a2, a3, a4, a5, a6, a7, a8 …]
  access 2        line 6  skipped   address 11.0.0.1 is not in [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8 …]
  access 3        line 8  skipped   it is what not excludes: address [11.0.0.0/8], not {name [x]}
  access default          DENY play  no entry allows play
`
	if got != want {
		t.Errorf("got\n%s; want\n%s", got, want)
	}
}

func TestExplainTakesStates(t *testing.T) {
	t.Parallel()
	f := parseFile(t, "weir.yaml")
	e := f.ExplainStream(Stream{Name: "cam/gate"})
	for i, s := range e.Steps {
		if s.Cable != nil {
			e.Steps[i].State = "waiting"
		}
	}
	if got := e.String(); !strings.Contains(got, "rule platform  line 42  send      rtmps://ingest.example.org/live/•••  waiting\n") {
		t.Errorf("got %s; want the state of the cable", got)
	}
	j, err := json.Marshal(e)
	if err != nil || strings.Contains(string(j), "live_key") || !strings.Contains(string(j), `"state":"waiting"`) {
		t.Errorf("got %s, %v; want JSON without secrets", j, err)
	}
}

func TestRunTests(t *testing.T) {
	t.Parallel()
	f := parseFile(t, "weir.yaml")
	const tests = `
- it: passes with the secret shown or not
  play: {name: cam/gate, address: 10.0.0.1}
  want: {send: rtmps://ingest.example.org/live/live_key_1, serve: [http-flv, rtmp, rtmpt], allow: true}
- it: passes when nothing is sent
  play: {name: live/7}
  want: {send: [], serve: [], as: live/7, deny: false}
- it: sees a wrong reason
  play: {name: cam/gate, address: 203.0.113.9}
  want: {deny: something else}
- it: sees a refusal that nobody wants
  publish: {name: live/7, protocol: rtmp}
  want: {serve: all}
- it: sees an admission that nobody wants
  play: {name: cam/gate}
  want: {deny: true}
- it: sees other cables
  play: {name: cam/gate}
  want:
    send: [rtmp://x/y]
    serve: [rtmp, "hls as z"]
    as: q
`
	results, findings := RunTests(f, "t.yaml", []byte(tests))
	if len(findings) > 0 {
		t.Fatalf("got %s; want no findings", lines(findings))
	}
	var got strings.Builder
	for _, r := range results {
		got.WriteString(lines(r.Failures))
	}
	const want = `t.yaml:10:16: sees a wrong reason: deny: got deny: abuse report 4711; want deny: something else
t.yaml:13:9: sees a refusal that nobody wants: access: got deny: no entry allows publish; want allow
t.yaml:16:16: sees an admission that nobody wants: deny: got allow; want deny: true
t.yaml:20:11: sees other cables: send: got [rtmps://ingest.example.org/live/•••]; want [rtmp://x/y]
t.yaml:21:12: sees other cables: serve: got [http-flv, rtmp, rtmpt]; want [hls as z, rtmp]
t.yaml:22:9: sees other cables: as: got cam/gate; want q
`
	if got.String() != want {
		t.Errorf("got\n%s; want\n%s", got.String(), want)
	}
	if len(results) != 6 || results[0].It != "passes with the secret shown or not" || results[0].Line != 2 {
		t.Errorf("got %d results, first %+v; want 6", len(results), results[0])
	}
}

func TestRunTestsIsStrict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ it, text, want string }{
		{"knows its keys", "- {it: x, publsh: {name: a}, want: {deny: true}}", `test 1 has no key "publsh"; did you mean "publish"?`},
		{"needs a sentence", "- {publish: {name: a}, want: {deny: true}}", "test 1 needs it"},
		{"needs an action", "- {it: x, want: {deny: true}}", "test 1 needs publish or play"},
		{"needs one action", "- {it: x, play: {name: a}, publish: {name: a}, want: {deny: true}}", "either publish or play"},
		{"needs a want", "- {it: x, play: {name: a}}", "test 1 needs want"},
		{"needs something in want", "- {it: x, play: {name: a}, want: {}}", "it needs send, serve, deny, allow or as"},
		{"knows codecs", "- {it: x, publish: {name: a, codecs: [h246]}, want: {deny: true}}", `unknown "h246"; did you mean "h264"?`},
		{"knows protocols", "- {it: x, publish: {name: a, protocol: rmtp}, want: {deny: true}}", `unknown "rmtp"; did you mean "rtmp"?`},
		{"checks addresses", "- {it: x, publish: {name: a, address: 10.0.0}, want: {deny: true}}", `"10.0.0" is not an address`},
		{"needs a name", "- {it: x, publish: {protocol: rtmp}, want: {deny: true}}", "needs a name"},
		{"takes a list", "7", "test 1 must be a mapping"},
		{"checks truth", "- {it: x, play: {name: a}, want: {allow: yes}}", `"yes" is not true or false`},
		{"needs YAML", "- [", "did not find"},
	} {
		t.Run(c.it, func(t *testing.T) {
			t.Parallel()
			results, findings := RunTests(parse(t, ""), "t.yaml", []byte(c.text))
			if got := lines(findings); results != nil || !strings.Contains(got, c.want) {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
	if results, findings := RunTests(parse(t, ""), "t.yaml", nil); results != nil || findings != nil {
		t.Errorf("got %v, %v for no tests; want nothing", results, findings)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	const md = "# Title\n\n```yaml\n# weir.yaml\nlisten: {rtpm: :1935}\n```\n\n```yaml\nother: file\n```\n" +
		"  ~~~yml weir\n  drain: 1x\n  ~~~\n````yaml\n\n# edge/weir_test.yaml: tests\n- it: x\n```\n````\n`inline`\n```yaml weir-test\n[]\n```\n```sh\n# weir.yaml\n```\n```yaml weir\ndrain: 1s"
	var got strings.Builder
	for _, b := range Blocks([]byte(md)) {
		if b.Test {
			_, findings := RunTests(parse(t, ""), "README.md", b.YAML)
			got.WriteString("test\n" + lines(findings))
			continue
		}
		_, findings := Parse("README.md", b.YAML, Options{})
		got.WriteString("file\n" + lines(findings))
	}
	const want = `file
README.md:5:10: listen has no key "rtpm"; did you mean "rtmp"?
file
README.md:12:10: drain: "1x" is not a duration like 500ms or 3s
test
README.md:18:1: found character that cannot start any token
test
README.md:22:1: the file is empty
file
`
	if got.String() != want {
		t.Errorf("got\n%s; want\n%s", got.String(), want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{accessFile, routeFile, hundred()[:400], "rules:\n  - match: &m {not: *m}", "access: {allow: play, as: $1}", "a: &a [*a]", "listen: {http: {address: :8080}}",
		"sources: {a: 'stream:b', b: 'stream:a', 'x/**': {url: 'stream:x/a/$1', on_demand: true}}", "- it: x\n  play: {name: a}\n  want: {deny: true}", "k: !!binary x", "? [a]\n: b", "%YAML 1.1\n---\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		file, findings := Parse("f", []byte(s), Options{Env: testEnv})
		if (file == nil) != Failed(findings) {
			t.Errorf("got file %v with %v; want one unless a finding is an error", file, findings)
		}
		for _, x := range findings {
			if x.Line < 1 || x.Col < 1 || x.What == "" {
				t.Errorf("got %+v; want a place and words", x)
			}
			if !strings.Contains(s, "live_key_1") && strings.Contains(x.What, "live_key_1") {
				t.Errorf("got %s; want no secret", x)
			}
		}
		if file != nil {
			file.ExplainPublish(Request{Name: "live/7", Protocol: "rtmp", Address: addr("127.0.0.1")}, []string{"h264"}, nil)
			file.ExplainPlay(Request{Name: "cam/x", Address: addr("127.0.0.1")}, nil, nil)
			RunTests(file, "f", []byte(s))
		}
		Blocks([]byte(s))
	})
}
