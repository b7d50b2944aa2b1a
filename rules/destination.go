package rules

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// checkURL looks at a URL of a source (role Fetch) or of a send. where is the entry, who begins the findings.
func (f *File) checkURL(r *report, t *Template, role Role, where pos, who string, o Options) {
	samples := t.samples()
	name := samples[0].Scheme()
	shown := schemeOf(samples[0].String())
	if shown != name {
		shown = hidden
	}
	s, known := scheme(name)
	switch {
	case name == "" || strings.ContainsAny(name, "/ @$"):
		r.fail(t.pos, "%s: %q is not a URL like rtmp://host/app/name", who, clip(t.String()))
		return
	case !known:
		r.fail(where, "%s: unknown %q%s", who, clip(shown), didYouMean(name, schemeNames(role)))
		return
	case role == RoleFetch && !s.Fetch:
		r.fail(where, "%s: nothing can be fetched from %q; it belongs into send", who, name)
		return
	case role == RoleSend && !s.Send:
		r.fail(where, "%s: nothing can be sent to %q; it belongs into sources", who, name)
		return
	case !o.available(role, name):
		r.fail(where, "%s: %q is not available in this build", who, name)
	}
	if clearPassword(t.parts) {
		r.warn(t.pos, "%s: the password is written in clear; use ${env:NAME}", who)
	}
	var first error
	for _, text := range samples {
		u, err := parseURL(text.Reveal(), s, role)
		if err == nil {
			if l := f.leadsHome(u, s); l != nil {
				r.fail(where, "%s: %s is this gateway's own listener on line %d; %s", who, clip(t.String()), l.Line, instead(role))
			}
			return
		}
		if first == nil {
			first = err
		}
	}
	why := first.Error()
	if t.secret() {
		why = "look at what the environment gives"
	}
	if t.constant() {
		r.fail(t.pos, "%s: %q is not an address: %s", who, clip(t.String()), why)
	} else {
		r.fail(t.pos, "%s: %q cannot give an address: %s", who, clip(t.String()), why)
	}
}

func instead(role Role) string {
	if role == RoleFetch {
		return "write stream:NAME"
	}
	return "a source with url stream:NAME gives a stream a second name"
}

// leadsHome returns our own listener that u dials; nil if the file does not tell of any.
func (f *File) leadsHome(u *url.URL, s Scheme) *Listener {
	if s.Opaque || listens(u) || s.Name == "udp" || s.Name == "rtp" || s.Name == "onvif" {
		return nil
	}
	network := "tcp"
	if s.Name == "srt" || s.Name == "rtmfp" || s.Name == "moqt" {
		network = "udp"
	}
	port := u.Port()
	if port == "" {
		port = strconv.Itoa(s.Port)
	}
	return f.own(network, u.Hostname(), port)
}

// listens reports whether a URL asks to wait for a peer.
func listens(u *url.URL) bool {
	q := u.Query()
	return q.Get("listen") == "1" || q.Get("mode") == "listener"
}

// parseURL takes a URL apart as its scheme wants it. The error does not hold the whole URL.
func parseURL(raw string, s Scheme, role Role) (*url.URL, error) {
	if s.Name == "rtp+sdp" {
		if len(raw) == len("rtp+sdp:") {
			return nil, errors.New("a file name or a session description must follow")
		}
		return &url.URL{Scheme: s.Name, Opaque: raw[len("rtp+sdp:"):]}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, err
	}
	if s.Opaque {
		if s.Name == "stream" && !ValidName(u.Opaque) {
			return nil, fmt.Errorf("after stream: stands a name, which is %s", nameRule)
		}
		return u, nil
	}
	if !strings.HasPrefix(raw[len(s.Name):], "://") {
		return nil, fmt.Errorf("%s must be followed by ://", s.Name)
	}
	host, port := u.Hostname(), u.Port()
	waits := s.Port == 0 && (role == RoleFetch || listens(u))
	if host == "" && !waits {
		return nil, errors.New("it has no host")
	}
	if strings.Trim(host, "0123456789.") == "" && host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			return nil, fmt.Errorf("%q is not an IP address", host)
		}
	}
	if strings.ContainsAny(host, "*$ ") {
		return nil, fmt.Errorf("%q is not a host", host)
	}
	if port == "" {
		if s.Port == 0 {
			return nil, fmt.Errorf("%s needs a port, like %s", s.Name, net.JoinHostPort(host, "5000"))
		}
		return u, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("%q is not a port", port)
	}
	return u, nil
}
