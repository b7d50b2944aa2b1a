package rtsp

import (
	"net/url"
	"slices"
	"strings"

	"weir/wire"
)

// Transports are those that a URL may ask for, in the order in which they are tried. TCP passes firewalls and loses nothing.
func Transports() []string { return []string{"tcp", "udp", "multicast", "http"} }

// Choose takes ?transport= out of r's URL into r.Transport, where that is empty, and returns the result. Another value than
// those of [Transports] is the server's own, and stays; so do all other keys, in their order.
func Choose(r wire.Remote) wire.Remote {
	if r.URL == nil {
		return r
	}
	var rest []string
	chosen := ""
	for part := range strings.SplitSeq(r.URL.RawQuery, "&") {
		key, value, _ := strings.Cut(part, "=")
		if key == "transport" && slices.Contains(Transports(), value) {
			chosen = value
			continue
		}
		rest = append(rest, part)
	}
	if chosen == "" {
		return r
	}
	if r.Transport == "" {
		r.Transport = chosen
	}
	u := new(url.URL)
	*u = *r.URL
	u.RawQuery = strings.Join(rest, "&")
	r.URL = u
	return r
}
