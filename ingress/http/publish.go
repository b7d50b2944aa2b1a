// Package http takes streams that come over HTTP and WebSocket: published by POST or PUT, or fetched from a server.
package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"weir/ingress/container"
	"weir/wire"
	"weir/wire/web"
)

// idleAfter is how long a sender may send nothing.
const idleAfter = 10 * time.Second

// Options are what a Handler needs.
type Options struct {
	Door     wire.Door
	Listener string       // key in `listen`, for Peer.Listener
	Log      *slog.Logger // never nil
}

// A Handler takes streams that are published with POST or PUT to /name.flv or /name.ts, or to /name with a Content-Type
// that tells the format. What the bytes are decides in the end. Authentication is as for playing.
type Handler struct{ options Options }

var _ http.Handler = (*Handler)(nil)

// NewHandler returns a Handler.
func NewHandler(o Options) *Handler { return &Handler{o} }

// ServeHTTP implements http.Handler. It returns when the publisher has finished or was closed.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", "POST, PUT")
		http.Error(w, "streams are published here with POST or PUT", http.StatusMethodNotAllowed)
		return
	}
	name, format := container.OfName(strings.TrimPrefix(r.URL.Path, "/"))
	if format == container.Unknown {
		format = container.OfType(r.Header.Get("Content-Type"))
	}
	if name == "" || format == container.Unknown {
		http.Error(w, "publish to /name.flv or /name.ts, or tell video/x-flv or video/mp2t as Content-Type", http.StatusUnsupportedMediaType)
		return
	}
	g, err := h.options.Door.Publish(r.Context(), web.Peer(r, "http-"+string(format), h.options.Listener), name)
	if err != nil {
		web.Refuse(w, err)
		return
	}
	defer g.End(errPanic) // after a panic; the first End counts
	err = h.read(w, r, g)
	g.End(err)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, container.ErrUnknown):
		http.Error(w, err.Error(), http.StatusUnsupportedMediaType)
	case errors.Is(err, wire.ErrIdle):
		http.Error(w, "nothing was received for too long", http.StatusRequestTimeout)
	default:
		web.Refuse(w, err)
	}
}

// read takes the body apart until it ends or the grant is taken back.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, g *wire.Grant) error {
	ctx, cancel := web.Hold(r.Context(), g)
	defer cancel(nil)
	control := http.NewResponseController(w)
	// A body that is waited for is given up by its deadline.
	stop := context.AfterFunc(ctx, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	body := readerFunc(func(p []byte) (int, error) {
		if err := control.SetReadDeadline(time.Now().Add(idleAfter)); err != nil {
			return 0, err
		}
		if ctx.Err() != nil { // the deadline just set has hidden the end
			return 0, context.Cause(ctx)
		}
		return r.Body.Read(p)
	})
	// The format is found out, because names and types are often wrong.
	err := container.Read(body, container.Options{}, g.Writer, g.Meter)
	switch {
	case g.Cause() != nil:
		return g.Cause()
	case errors.Is(err, os.ErrDeadlineExceeded): // the server ends its context with the body, so that says nothing
		return wire.ErrIdle
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the publisher left without a goodbye: %w", err)
	}
	return err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// errPanic is the cause of a session that ended without telling one.
var errPanic = errors.New("internal error, see the log")
