package gateway

import (
	"context"
	"net/netip"

	outrtsp "weir/egress/rtsp"
	inrtsp "weir/ingress/rtsp"
	"weir/rules"
	"weir/wire"
	"weir/wire/rtsp"
)

// multicastRange holds the groups for players who ask for multicast: a part of the organization-local scope (RFC 2365 6.2).
var multicastRange = netip.MustParsePrefix("239.192.0.0/16")

// listenRTSP serves RTSP, and RTSPS where there is a certificate, to publishers and players.
func (g *Gateway) listenRTSP(l rules.Listener, p *port) (server, error) {
	p.slots = nil // the server needs the bare sockets for its batches, and bounds what a connection may do
	conf, err := g.tls(l)
	if err != nil {
		return server{}, err
	}
	play := outrtsp.NewPlayers(g.log, l.Batch).Play
	cfg := rtsp.Config{
		Listener: p, TLS: conf, Name: l.Name, RequireTLS: l.Name == "rtsps", Door: g.hub, Log: g.log,
		Multicast: multicastRange, Record: inrtsp.Record(g.log),
		Play: func(ctx context.Context, grant *wire.Grant) (rtsp.Player, error) {
			p, err := play(ctx, grant)
			if err != nil {
				return nil, err
			}
			return guardedPlayer{p, g}, nil
		},
	}
	s, err := rtsp.New(cfg)
	if err != nil {
		return server{}, err
	}
	return server{run: s.Run, close: s.Close}, nil
}

// guardedPlayer ends a session that panics.
type guardedPlayer struct {
	rtsp.Player
	g *Gateway
}

// Run implements rtsp.Player.
func (p guardedPlayer) Run(ctx context.Context, w rtsp.FrameWriter) error {
	return p.g.guard("rtsp play", func() error { return p.Player.Run(ctx, w) })
}
