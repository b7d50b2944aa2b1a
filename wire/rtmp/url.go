package rtmp

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ErrURL means that a URL names no RTMP stream.
var ErrURL = errors.New("not the URL of an RTMP stream: it looks like rtmp://host/app/name")

// A Location is an RTMP URL taken apart as ffmpeg and librtmp do it.
type Location struct {
	Address  string // host:port
	Host     string
	TLS      bool
	App      string
	PlayPath string // stream name with its query
	TcURL    string // without userinfo

	user, password string
}

// defaultPorts by scheme.
var defaultPorts = map[string]string{"rtmp": "1935", "rtmps": "443", "rtmpe": "1935", "rtmpt": "80", "rtmpte": "80", "rtmpts": "443"}

// Locate takes u apart: the first component of the path is the application, the first two if there are three or more,
// and the rest is the stream name, which keeps the query. Errors hold nothing of u but its scheme.
func Locate(u *url.URL) (Location, error) {
	port, ok := defaultPorts[u.Scheme]
	if !ok {
		return Location{}, fmt.Errorf("scheme %.20q: %w", u.Scheme, ErrURL)
	}
	host := u.Hostname()
	if host == "" {
		return Location{}, fmt.Errorf("it has no host: %w", ErrURL)
	}
	if p := u.Port(); p != "" {
		port = p
	}
	l := Location{Address: net.JoinHostPort(host, port), Host: host, TLS: u.Scheme == "rtmps" || u.Scheme == "rtmpts", user: u.User.Username()}
	l.password, _ = u.User.Password()
	parts := strings.SplitN(strings.TrimPrefix(u.Path, "/"), "/", 3)
	switch {
	case len(parts) == 1:
		l.PlayPath = parts[0]
	case len(parts) == 3 && parts[2] != "" && !strings.Contains(parts[1], ":"):
		l.App, l.PlayPath = parts[0]+"/"+parts[1], parts[2]
	default:
		l.App, l.PlayPath = parts[0], strings.Join(parts[1:], "/")
	}
	if u.RawQuery != "" {
		l.PlayPath += "?" + u.RawQuery
	}
	l.TcURL = u.Scheme + "://" + u.Host + "/" + l.App
	return l, nil
}
