package rtsp

import (
	"net/url"
	"testing"

	"weir/wire"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ it, url, set, want, transport string }{
		{"it takes the transport out", "rtsp://h/a?transport=udp", "", "rtsp://h/a", "udp"},
		{"it keeps what else is asked", "rtsp://h/a?b=2&transport=multicast&a=%20", "", "rtsp://h/a?b=2&a=%20", "multicast"},
		{"it leaves the server its own values", "rtsp://h/a?transport=serial", "", "rtsp://h/a?transport=serial", ""},
		{"it leaves other keys", "rtsp://h/a?transportmode=unicast", "", "rtsp://h/a?transportmode=unicast", ""},
		{"it lets the setting win", "rtsp://h/a?transport=udp", "tcp", "rtsp://h/a", "tcp"},
		{"it does nothing without a query", "rtsp://h/a", "", "rtsp://h/a", ""},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			got := Choose(wire.Remote{URL: u, Transport: test.set})
			if got.URL.String() != test.want || got.Transport != test.transport {
				t.Errorf("got %s by %q; want %s by %q", got.URL, got.Transport, test.want, test.transport)
			}
			if u.String() != test.url {
				t.Errorf("got the URL that was given changed to %s; want %s", u, test.url)
			}
		})
	}
	if got := Choose(wire.Remote{Transport: "udp"}); got.URL != nil || got.Transport != "udp" {
		t.Errorf("got %v; want it as it was", got)
	}
}
