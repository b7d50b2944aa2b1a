package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	outhttp "weir/egress/http"
	outrtmp "weir/egress/rtmp"
	"weir/gateway/page"
	inhttp "weir/ingress/http"
	inrtmp "weir/ingress/rtmp"
	"weir/rules"
	"weir/wire"
	"weir/wire/rtmp"
	"weir/wire/rtmp/chunk"
	"weir/wire/sniff"
	"weir/wire/web"
)

// layered puts the layers that a listener of the file asks for on what it accepts.
func (g *Gateway) layered(l rules.Listener, ln net.Listener, requireTLS bool) (net.Listener, error) {
	conf, err := g.tls(l)
	if err != nil {
		return nil, err
	}
	return sniff.NewListener(ln, sniff.Options{TLS: conf, Require: requireTLS}), nil
}

// tls is the TLS configuration of a listener; nil if it has no certificate.
func (g *Gateway) tls(l rules.Listener) (*tls.Config, error) {
	if l.Cert == "" {
		return nil, nil
	}
	return tlsConfig(l.Cert, l.Key, l.TLSMin, l.TLSMax, g.log)
}

// rtmpHandler gives the sessions of one connection to ingress and egress.
type rtmpHandler struct {
	g     *Gateway
	peer  wire.Peer
	batch time.Duration // of the listener
	log   *slog.Logger
}

var _ rtmp.Handler = (*rtmpHandler)(nil)

// Publish implements rtmp.Handler.
func (h *rtmpHandler) Publish(ctx context.Context, s *rtmp.ServerStream, req *rtmp.PublishRequest) (rtmp.Publication, error) {
	p, err := inrtmp.Publish(ctx, h.g.hub, h.from(req.ConnectRequest), s, req)
	if err != nil {
		return nil, err
	}
	return guardedPublication{h.g, p}, nil
}

// guardedPublication ends a publication whose message makes the gateway panic.
type guardedPublication struct {
	g *Gateway
	rtmp.Publication
}

// WriteMessage implements rtmp.Publication.
func (p guardedPublication) WriteMessage(m chunk.Message) error {
	return p.g.guard("rtmp publish", func() error { return p.Publication.WriteMessage(m) })
}

// Play implements rtmp.Handler. It runs on a goroutine of the session's own.
func (h *rtmpHandler) Play(ctx context.Context, s *rtmp.ServerStream, req *rtmp.PlayRequest) error {
	return h.g.guard("rtmp play", func() error {
		return outrtmp.Play(ctx, h.g.hub, h.from(req.ConnectRequest), s, req, h.batch, h.log)
	})
}

func (h *rtmpHandler) from(req *rtmp.ConnectRequest) wire.Peer {
	p := h.peer
	p.Agent = clip(req.FlashVer)
	return p
}

// listenRTMP serves RTMP, and RTMPS where there is a certificate, to publishers and players.
func (g *Gateway) listenRTMP(l rules.Listener, p *port) (server, error) {
	ln, err := g.layered(l, p, l.Name == "rtmps")
	if err != nil {
		return server{}, err
	}
	cfg := rtmp.ServerConfig{Auth: rtmp.NewAuth(g.hub.Password), FourCCs: outrtmp.FourCCs()}
	return server{run: func(ctx context.Context) error {
		return g.acceptEach(ctx, ln, func(ctx context.Context, c net.Conn) {
			sc, ok := c.(*sniff.Conn)
			if !ok || !begin(ctx, sc) {
				return
			}
			peer := wire.Peer{Protocol: "rtmp", Listener: l.Name, Addr: addrOf(c), Layers: sniff.Describe(c, "rtmp")}
			if len(sc.Layers()) > 1 {
				peer.Protocol = "rtmps"
			}
			err := rtmp.NewServerConn(c, cfg).Serve(ctx, &rtmpHandler{g: g, peer: peer, batch: l.Batch, log: g.log})
			g.log.Debug("connection ended", "listener", l.Name, "address", peer.Addr, "cause", err)
		})
	}}, nil
}

// begin waits for the first byte of a connection, but not when ctx ends: a silent peer does not keep the gateway.
func begin(ctx context.Context, c *sniff.Conn) bool {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	err := c.Start()
	return stop() && err == nil
}

// listenHTTP serves players, publishers by POST or PUT, and the demo's page.
func (g *Gateway) listenHTTP(l rules.Listener, p *port) (server, error) {
	ln, err := g.layered(l, p, l.Name == "https")
	if err != nil {
		return server{}, err
	}
	play := outhttp.NewHandler(outhttp.Options{Door: g.hub, Listener: l.Name, Batch: l.Batch, Log: g.log})
	publish := inhttp.NewHandler(inhttp.Options{Door: g.hub, Listener: l.Name, Log: g.log})
	var demo http.Handler
	if g.opt.Page != "" {
		if demo, err = page.Handler(g.opt.Page); err != nil {
			return server{}, err
		}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = g.guard("http "+r.Method, func() error {
			switch {
			case r.Method == http.MethodPost || r.Method == http.MethodPut:
				publish.ServeHTTP(w, r)
			case demo != nil && page.Has(r.URL.Path):
				demo.ServeHTTP(w, r)
			default:
				play.ServeHTTP(w, r)
			}
			return nil
		})
	})
	return server{run: func(ctx context.Context) error {
		return g.serveHTTP(ctx, ln, handler)
	}}, nil
}

// listenAdmin serves the operator.
func (g *Gateway) listenAdmin(l rules.Listener, p *port) (server, error) {
	ln, err := g.layered(l, p, l.Cert != "")
	if err != nil {
		return server{}, err
	}
	h := g.admin()
	return server{run: func(ctx context.Context) error {
		return g.serveHTTP(ctx, ln, h)
	}}, nil
}

// serveHTTP runs an HTTP server on a listener until ctx ends. Requests that stream end by their grants.
func (g *Gateway) serveHTTP(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := web.NewServer(h, g.log)
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		limit, cancel := context.WithTimeout(context.Background(), goodbye)
		defer cancel()
		if srv.Shutdown(limit) != nil {
			_ = srv.Close()
		}
	})
	err := srv.Serve(ln)
	if !stop() {
		<-done
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// acceptEach runs serve for each connection, on a goroutine of its own, until ctx ends, and waits for all.
func (g *Gateway) acceptEach(ctx context.Context, ln net.Listener, serve func(context.Context, net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	defer ln.Close()
	var sessions sync.WaitGroup
	defer sessions.Wait()
	said := ""
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// Out of descriptors, or a peer that is gone already: the listener itself is well.
			if said != err.Error() {
				said = err.Error()
				g.log.Warn("cannot accept", "address", ln.Addr(), "error", err)
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		said = ""
		sessions.Go(func() {
			defer c.Close()
			_ = g.guard("connection", func() error { serve(ctx, c); return nil })
		})
	}
}

func addrOf(c net.Conn) netip.AddrPort {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort()
	}
	return netip.AddrPort{}
}
