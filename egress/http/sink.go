package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"weir/egress"
	"weir/egress/container"
	"weir/transmux"
	"weir/wire"
	"weir/wire/web"
)

const dialWait = 10 * time.Second

// A Sink publishes to another server by POST to an http or https URL that ends in .flv or .ts. Userinfo in the URL is
// sent as Basic authentication.
type Sink struct {
	remote wire.Remote
	format container.Format
	client *http.Client
}

var _ egress.Sink = (*Sink)(nil)

// NewSink checks r's URL. transport may be nil.
func NewSink(r wire.Remote, transport http.RoundTripper) (*Sink, error) {
	_, format, ok := container.OfName(r.URL.Path)
	if !ok {
		return nil, fmt.Errorf("%s: the path must end in .flv or .ts", r.Redacted())
	}
	if r.URL.Host == "" || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s: write it like http://host:8080/live/cam.flv", r.Redacted())
	}
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: dialWait}).DialContext,
			TLSHandshakeTimeout:    dialWait,
			MaxResponseHeaderBytes: maxChatter,
			DisableKeepAlives:      true,
		}
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a body cannot be sent twice
	return &Sink{remote: r, format: format, client: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

// Run implements egress.Sink.
func (s *Sink) Run(ctx context.Context, stream *transmux.Stream, m *wire.Meter) error {
	flow, dropped, err := container.Open(ctx, stream, s.format, s.remote.Tracks)
	for _, d := range dropped {
		s.remote.Log.Warn("a track is left out", "sink", s.remote.Redacted(), "reason", d)
	}
	if err != nil {
		return err
	}
	defer flow.Close()
	if err := s.post(ctx, flow, m); err != nil {
		return fmt.Errorf("send to %s: %w", s.remote.Redacted(), err)
	}
	return nil
}

func (s *Sink) post(ctx context.Context, flow *container.Flow, m *wire.Meter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, pipe := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.remote.URL.String(), body)
	if err != nil {
		return plain(err)
	}
	req.Header.Set("User-Agent", "weir")
	req.Header.Set("Content-Type", s.format.ContentType())
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		err := s.ask(req)
		if err == nil {
			err = errAnswered
		}
		cancel(err)
		_ = body.CloseWithError(err)
	}()
	err = flow.Write(ctx, m, func(b net.Buffers) error {
		slow := time.AfterFunc(container.SlowAfter, func() { cancel(wire.ErrSlow) })
		defer slow.Stop()
		stop := context.AfterFunc(ctx, func() { _ = body.CloseWithError(context.Cause(ctx)) })
		defer stop()
		_, err := pipe.Write(slices.Concat(b...))
		return err
	})
	_ = pipe.CloseWithError(err) // nil is the end of the body
	if err != nil {
		cancel(err)
	}
	if err == nil {
		wait := time.AfterFunc(container.SlowAfter, func() { cancel(wire.ErrSlow) })
		defer wait.Stop()
	}
	<-answered
	if err == nil && !errors.Is(context.Cause(ctx), errAnswered) {
		err = context.Cause(ctx) // the server did not like the whole
	}
	if errors.Is(err, errAnswered) {
		return errEarly
	}
	return err
}

var (
	errAnswered = errors.New("the server has answered")
	errEarly    = errors.New("the server answered before the stream ended, and takes no more")
)

// ask sends the request and judges the answer. A good answer may begin before the body has ended, as ffmpeg's does; then
// it is read until it ends.
func (s *Sink) ask(req *http.Request) error {
	resp, err := s.client.Do(req)
	if err != nil {
		return plain(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := web.FromStatus(resp.StatusCode, s.remote.URL.User != nil); err != nil {
		return err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxChatter) // however it ends, the answer was good
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
