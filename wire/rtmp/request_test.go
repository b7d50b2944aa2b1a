package rtmp

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/transmux/amf"
)

func TestTarget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it, app, name string
		want          []string // name, key, query
	}{
		{"joins app and name", "live", "cam", []string{"live/cam", "cam", ""}},
		{"joins however the path is split", "a/b", "c/d", []string{"a/b/c/d", "c/d", ""}},
		{"takes the app's last component for an empty name", "a/b", "", []string{"a/b", "b", ""}},
		{"leaves an empty name empty", "live", "", []string{"live", "", ""}},
		{"takes the name alone", "", "cam", []string{"cam", "cam", ""}},
		{"cuts the query off", "live/", "/mp4:cam?a=b&password=x", []string{"live/cam", "cam", "a=b"}},
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			r := connectRequest(Command{Args: []amf.Value{&amf.Object{Fields: []amf.Field{{Name: "app", Value: tt.app}}}}})
			got := r.target(tt.name)
			if d := cmp.Diff([]string{got.name, got.key, got.query}, tt.want); d != "" {
				t.Errorf("got -; want +\n%s", d)
			}
		})
	}
}

func TestConnectRequest(t *testing.T) {
	t.Parallel()
	object := func(app, tcURL string) amf.Value {
		return &amf.Object{Fields: []amf.Field{{Name: "app", Value: app}, {Name: "tcUrl", Value: tcURL}}}
	}
	tests := []struct {
		it   string
		args []amf.Value
		want []string // app, query, tcUrl, user, password
	}{
		{"finds credentials in further arguments", []amf.Value{object("live", "rtmp://h/live"), "ann", "pw"}, []string{"live", "", "rtmp://h/live", "ann", "pw"}},
		{"prefers those of tcUrl", []amf.Value{object("live", "rtmp://bob:p%40w@h:1/live?x=1"), "ann", "pw"}, []string{"live", "x=1", "rtmp://h:1/live", "bob", "p@w"}},
		{"prefers those of app most", []amf.Value{object("live?username=eve&password=q", "rtmp://bob:p@h/live")}, []string{"live", "", "rtmp://h/live", "eve", "q"}},
		{"takes the app from tcUrl if need be", []amf.Value{object("", "rtmp://h/a/b")}, []string{"a/b", "", "rtmp://h/a/b", "", ""}},
		{"bears arguments of wrong types", []amf.Value{&amf.Object{Fields: []amf.Field{{Name: "app", Value: 1.0}, {Name: "fourCcList", Value: "x"}, {Name: "capsEx", Value: amf.Array{}}}}, 1.0, nil}, []string{"", "", "", "", ""}},
		{"bears no arguments", nil, []string{"", "", "", "", ""}},
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			r := connectRequest(Command{Args: tt.args})
			if d := cmp.Diff([]string{r.App, r.Query, r.TcURL, r.User, r.Password}, tt.want); d != "" {
				t.Errorf("got -; want +\n%s", d)
			}
		})
	}
	r := connectRequest(Command{Args: []amf.Value{&amf.Object{Fields: []amf.Field{
		{Name: "fourCcList", Value: amf.Array{"av01", 1.0, "toolong"}}, {Name: "audioFourCcInfoMap", Value: &amf.ECMAArray{Fields: []amf.Field{{Name: "Opus", Value: 4.0}, {Name: "fLaC", Value: 2.0}}}},
		{Name: "capsEx", Value: 15.0}, {Name: "flashVer", Value: "FMLE/3.0 (compatible; Lavf60)"},
	}}}})
	if !r.Enhanced() || !r.Takes("av01") || !r.Takes("Opus") || r.Takes("fLaC") || r.Takes("hvc1") || r.CapsEx != 15 || !r.Encoder() {
		t.Errorf("got %+v; want av01 and Opus taken, capsEx 15, an encoder", r)
	}
}
