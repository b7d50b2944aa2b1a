package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"weir/ingress"
	"weir/ingress/container"
	"weir/transmux"
	"weir/wire"
	"weir/wire/web"
)

const (
	agent        = "weir"
	maxRedirects = 5
	dialWait     = 10 * time.Second
	maxHeader    = 64 << 10
	maxMessage   = 16 << 20 // WebSocket: longer than any tag
)

// A Source fetches FLV or MPEG-TS from an http, https, ws or wss URL. What comes is found out from its first bytes.
// Userinfo in the URL is sent as Basic authentication.
type Source struct {
	remote wire.Remote
	client *http.Client
}

var _ ingress.Source = (*Source)(nil)

// New checks r's URL. transport may be nil.
func New(r wire.Remote, transport http.RoundTripper) (*Source, error) {
	switch r.URL.Scheme {
	case "http", "https", "ws", "wss":
	default:
		return nil, fmt.Errorf("%s: scheme %q is not http, https, ws or wss", r.Redacted(), r.URL.Scheme)
	}
	if r.URL.Host == "" {
		return nil, fmt.Errorf("%s: a host is missing", r.Redacted())
	}
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: dialWait}).DialContext,
			TLSHandshakeTimeout:    dialWait,
			ResponseHeaderTimeout:  dialWait,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
			DisableKeepAlives:      true,
		}
	}
	return &Source{remote: r, client: &http.Client{Transport: transport, CheckRedirect: checkRedirect}}, nil
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return errors.New("a redirect from https to http is not followed")
	}
	return nil
}

// Run implements ingress.Source.
func (s *Source) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(idleAfter, func() {
		cancel(fmt.Errorf("nothing from %s in %s: %w", s.remote.Redacted(), idleAfter, wire.ErrIdle))
	})
	defer idle.Stop()
	open := s.open
	if s.remote.URL.Scheme == "ws" || s.remote.URL.Scheme == "wss" {
		open = s.openSocket
	}
	body, err := open(ctx)
	if err == nil {
		defer func() { _ = body.Close() }()
		watched := readerFunc(func(p []byte) (int, error) {
			n, err := body.Read(p)
			idle.Reset(idleAfter)
			return n, err
		})
		err = container.Read(watched, container.Options{Program: s.remote.Program, Tracks: s.remote.Tracks}, w, m)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", s.remote.Redacted(), plain(err))
	}
	return nil
}

// plain removes the URL from an error of package http, because it may hold secrets.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func (s *Source) open(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.remote.URL.String(), nil)
	if err != nil {
		return nil, plain(err)
	}
	req.Header.Set("User-Agent", agent)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, plain(err)
	}
	if err := web.FromStatus(resp.StatusCode, s.remote.URL.User != nil); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// openSocket returns the binary messages of a WebSocket as one flow.
func (s *Source) openSocket(ctx context.Context) (io.ReadCloser, error) {
	u := *s.remote.URL
	u.User = nil
	header := http.Header{"User-Agent": {agent}}
	if user := s.remote.URL.User; user != nil {
		password, _ := user.Password()
		auth := http.Request{Header: header}
		auth.SetBasicAuth(user.Username(), password)
	}
	c, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: s.client, HTTPHeader: header, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil {
			if refused := web.FromStatus(resp.StatusCode, s.remote.URL.User != nil); refused != nil {
				return nil, refused
			}
		}
		return nil, plain(err)
	}
	c.SetReadLimit(maxMessage)
	return websocket.NetConn(ctx, c, websocket.MessageBinary), nil
}
