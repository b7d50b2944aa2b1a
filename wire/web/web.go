// Package web is what all HTTP adapters say about peers and answer to them.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"weir/wire"
	"weir/wire/sniff"
)

const (
	maxAgent  = 200
	maxHeader = 16 << 10

	// HeaderWait is how long a peer has for its request's header.
	HeaderWait = 10 * time.Second
	idleWait   = 60 * time.Second
)

type connKey struct{}

// NewServer returns a server with bounds on what a peer may do before a handler sees it. Listeners given to Serve are
// those of package sniff, so that layers are known and TLS needs no port of its own.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: HeaderWait,
		IdleTimeout:       idleWait,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
}

// Peer says who sent r. The user is that of Basic authentication, or of the query: user or username, pass or password.
func Peer(r *http.Request, protocol, listener string) wire.Peer {
	p := wire.Peer{Protocol: protocol, Listener: listener, Agent: r.UserAgent(), Layers: "tcp → http"}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		p.Addr = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	if len(p.Agent) > maxAgent {
		p.Agent = strings.ToValidUTF8(p.Agent[:maxAgent], "")
	}
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		p.Layers = sniff.Describe(c, "http")
	}
	if protocol == "ws-flv" {
		p.Layers += " → websocket"
	}
	if user, password, ok := r.BasicAuth(); ok {
		p.User, p.Password = user, password
		return p
	}
	q := r.URL.Query()
	p.User = first(q.Get("user"), q.Get("username"))
	p.Password = first(q.Get("pass"), q.Get("password"))
	return p
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Status is the HTTP status of a refusal; 503 for every other error.
func Status(err error) int {
	for _, s := range []struct {
		err    error
		status int
	}{
		{wire.ErrNeedUser, http.StatusUnauthorized},
		{wire.ErrWrongUser, http.StatusUnauthorized},
		{wire.ErrNotAllowed, http.StatusForbidden},
		{wire.ErrNotFound, http.StatusNotFound},
		{wire.ErrBadName, http.StatusNotFound},
		{wire.ErrBusy, http.StatusConflict},
		{wire.ErrNoTrack, http.StatusNotAcceptable},
	} {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusServiceUnavailable
}

// Refuse answers with the status of err and one line that says why.
func Refuse(w http.ResponseWriter, err error) {
	status := Status(err)
	h := w.Header()
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="weir", charset="UTF-8"`)
	}
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	text := "the stream cannot be had now"
	var refusal *wire.Refusal
	switch {
	case errors.As(err, &refusal):
		text = refusal.Error()
	case status != http.StatusServiceUnavailable:
		text = err.Error()
	}
	fmt.Fprintln(w, strings.ReplaceAll(text, "\n", " "))
}

// FromStatus is what another server's status says, as an error that retrying understands; nil for 2xx. hadUser tells
// whether credentials were sent.
func FromStatus(status int, hadUser bool) error {
	var err error
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusUnauthorized && hadUser:
		err = wire.ErrWrongUser
	case status == http.StatusUnauthorized:
		err = wire.ErrNeedUser
	case status == http.StatusForbidden:
		err = wire.ErrNotAllowed
	case status == http.StatusNotFound || status == http.StatusGone:
		err = wire.ErrNotFound
	case status == http.StatusConflict:
		err = wire.ErrBusy
	default:
		return fmt.Errorf("the server answered %d %s", status, http.StatusText(status))
	}
	return fmt.Errorf("the server answered %d: %w", status, err)
}

// Hold returns a context that ends when ctx ends or the gateway takes the grant back, with the cause of that. cancel must
// be called; it returns when nothing of Hold runs any more.
func Hold(ctx context.Context, g *wire.Grant) (held context.Context, cancel context.CancelCauseFunc) {
	held, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-g.Done():
			stop(g.Cause())
		case <-held.Done():
		}
	}()
	return held, func(cause error) {
		stop(cause)
		<-done
	}
}
