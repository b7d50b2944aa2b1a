package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"weir/wire"
)

func TestVeil(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, url, say, want string }{
		{"it hides a stream key of the path", "rtmp://h/app/${env:KEY}", "publish to rtmp://h/app/s3cr3t-key: refused", "publish to rtmp://h/app/•••: refused"},
		{"it hides a key alone", "rtmp://h/app/${env:KEY}?x=1", "no stream s3cr3t-key here", "no stream ••• here"},
		{"it hides several", "rtmp://${env:USER}:${env:PW}@h/${env:KEY}/x", "s3cr3t-user s3cr3t-pw s3cr3t-key", "••• ••• •••"},
		{"it hides a password that stands in the file", "rtsp://u:h%40nter2@h/x", "401 for h@nter2 or h%40nter2", "401 for ••• or •••"},
		{"it leaves what has none", "rtsp://h/x", "dial rtsp://h/x: refused", "dial rtsp://h/x: refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := parse(t, "sources: {a: \""+c.url+"\"}")
			v := newVeil(file.Sources[0].Expand("a")...)
			err := v.err(fmt.Errorf("%s%w", c.say, wire.ErrNotFound))
			if want := c.want + wire.ErrNotFound.Error(); err.Error() != want || !errors.Is(err, wire.ErrNotFound) {
				t.Errorf("got %q; want %q that wraps what it was", err, want)
			}
			var b bytes.Buffer
			log := v.log(slog.New(slog.NewTextHandler(&b, nil)))
			log.With("with", c.say).WithGroup("g").Warn("m", "error", errors.New(c.say), "n", 1)
			if got := b.String(); strings.Count(got, c.want) != 2 || !strings.Contains(got, "g.n=1") {
				t.Errorf("got %q; want %q twice", got, c.want)
			}
		})
	}
	if v := newVeil(); v.err(nil) != nil || v.hide("x") != "x" {
		t.Error("got a veil without secrets that changes something; want it not to")
	}
}
