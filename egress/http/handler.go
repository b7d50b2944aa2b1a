// Package http sends streams over HTTP and WebSocket, to players that ask and to servers that are told.
package http

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"weir/egress/container"
	"weir/wire"
	"weir/wire/web"
)

const methods = "GET, HEAD"

// Options are what a Handler needs.
type Options struct {
	Door     wire.Door
	Listener string        // key in `listen`, for Peer.Listener
	Batch    time.Duration // how long players wait for more to be written at once
	Log      *slog.Logger  // never nil
}

// A Handler plays streams: GET /name.flv and /name.ts, and /name.flv as WebSocket. It answers HEAD and OPTIONS for them,
// /crossdomain.xml, and 404 for everything else.
//
// Authentication is Basic, or user and pass in the query. A player that is too slow goes on at the newest key frame.
type Handler struct{ options Options }

var _ http.Handler = (*Handler)(nil)

// NewHandler returns a Handler. Its server must speak HTTP/1.0 or HTTP/1.1.
func NewHandler(o Options) *Handler { return &Handler{o} }

// ServeHTTP implements http.Handler. It returns when the player is gone.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/crossdomain.xml" {
		web.CrossDomain(w, r)
		return
	}
	web.AllowOrigins(w.Header())
	name, format, ok := container.OfName(strings.TrimPrefix(r.URL.Path, "/"))
	if !ok || name == "" {
		http.Error(w, "there is nothing here; streams are at /name.flv and /name.ts", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodOptions:
		web.Preflight(w, methods)
	case http.MethodHead:
		h.head(w, r, name, format)
	case http.MethodGet:
		if format == container.FLV && isWebSocket(r) {
			h.socket(w, r, name)
			return
		}
		h.get(w, r, name, format)
	default:
		w.Header().Set("Allow", methods+", OPTIONS")
		http.Error(w, "streams are read here with GET", http.StatusMethodNotAllowed)
	}
}

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

func protocolOf(f container.Format) string { return "http-" + string(f) }

// head answers whether a GET would do.
func (h *Handler) head(w http.ResponseWriter, r *http.Request, name string, format container.Format) {
	g, err := h.options.Door.Play(r.Context(), web.Peer(r, protocolOf(format), h.options.Listener), name)
	if err != nil {
		web.Refuse(w, err)
		return
	}
	g.End(nil)
	streamHeaders(w.Header(), format)
	w.WriteHeader(http.StatusOK)
}

// streamHeaders say that what follows is alive.
func streamHeaders(h http.Header, format container.Format) {
	h.Set("Content-Type", format.ContentType())
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache") // HTTP/1.0
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
}
