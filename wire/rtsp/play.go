package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"weir/wire"
)

// An offer is what DESCRIBE found, until SETUP takes it or the connection ends.
type offer struct {
	path   string
	grant  *wire.Grant
	player Player
}

func (o *offer) end(err error) {
	o.player.Close()
	o.grant.End(err)
}

// offer lets a player in, or not. Without an offer, the response and error are those to give to the engine.
func (s *Server) offer(c *client, req *base.Request, path string) (*offer, *base.Response, error) {
	grant, res, err := s.admit(c, req, func(p wire.Peer) (*wire.Grant, error) {
		return s.cfg.Door.Play(s.ctx, p, streamName(path))
	})
	if grant == nil {
		return nil, res, err
	}
	player, err := s.cfg.Play(s.ctx, grant)
	if err != nil {
		grant.End(err)
		return nil, refuse(err), nil
	}
	return &offer{path, grant, player}, nil, nil
}

// A playback is the session of one player. The engine does what RTSP says; media go around it, straight from the player
// to the socket, so that they are packed once for all and written in batches. (See group for multicast.)
type playback struct {
	s       *Server
	offer   *offer
	session *gortsplib.ServerSession
	stream  *gortsplib.ServerStream // what the engine believes to be played
	group   *group                  // multicast only
	routes  []route                 // by media
	urls    []string                // of the media, in RTP-Info
	stop    func()                  // closes the session
	closed  chan struct{}

	cancel context.CancelFunc // ends run; nil while paused
	done   chan struct{}

	mu    sync.Mutex
	cause error
}

// route is where the packets of one media go; zero if it was not set up.
type route struct {
	set       bool
	channel   int    // TCP
	rtp, rtcp uint16 // UDP ports of the peer
}

// setup prepares a media of a playback, and the playback itself with the first.
func (s *Server) setup(c *client, ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	p, ok := ctx.Session.UserData().(*playback)
	if !ok {
		o := c.offer
		c.offer = nil
		if o != nil && streamName(o.path) != streamName(ctx.Path) {
			o.end(nil)
			o = nil
		}
		if o == nil {
			var res *base.Response
			var err error
			if o, res, err = s.offer(c, ctx.Request, ctx.Path); o == nil {
				return res, nil, err
			}
		}
		var err error
		if p, err = s.newPlayback(c, ctx, o); err != nil {
			o.end(err)
			return refuse(err), nil, nil
		}
		ctx.Session.SetUserData(p)
	}
	media := trackNumber(ctx.Request.URL.String())
	c.respond = func(res *base.Response) { p.routed(media, res) }
	return &base.Response{StatusCode: base.StatusOK}, p.stream, nil
}

func (s *Server) newPlayback(c *client, ctx *gortsplib.ServerHandlerOnSetupCtx, o *offer) (*playback, error) {
	p := &playback{s: s, offer: o, session: ctx.Session, closed: make(chan struct{})}
	d := o.player.Description()
	p.routes = make([]route, len(d.Medias))
	if ctx.Transport.Protocol == gortsplib.ProtocolUDPMulticast {
		g, err := s.join(o)
		if err != nil {
			return nil, err
		}
		p.group, p.stream = g, g.stream
	} else {
		p.stream = &gortsplib.ServerStream{Server: s.engine, Desc: d}
		if err := p.stream.Initialize(); err != nil {
			return nil, fmt.Errorf("prepare to play: %w", err)
		}
	}
	session, socket := ctx.Session, ctx.Conn.NetConn()
	p.stop = func() { session.Close(); interrupt(socket) }
	s.running.Go(func() {
		select {
		case <-o.grant.Done():
			p.fail(o.grant.Cause())
		case <-p.closed:
		}
	})
	return p, nil
}

// trackNumber is the media that a SETUP means; the first if it does not say.
func trackNumber(url string) int {
	_, n, ok := strings.Cut(url, "trackID=")
	if !ok {
		return 0
	}
	i, err := strconv.Atoi(strings.TrimRight(n, "/"))
	if err != nil {
		return -1
	}
	return i
}

// routed reads where the engine has put a media, and says whose packets will come.
func (p *playback) routed(media int, res *base.Response) {
	var th headers.Transport
	if media < 0 || media >= len(p.routes) || th.Unmarshal(res.Header["Transport"]) != nil {
		return
	}
	r := route{set: true}
	if th.InterleavedIDs != nil {
		r.channel = th.InterleavedIDs[0]
	}
	if th.ClientPorts != nil {
		r.rtp, r.rtcp = uint16(th.ClientPorts[0]), uint16(th.ClientPorts[1])
	}
	p.routes[media] = r
	if p.group == nil && p.direct() {
		ssrc := p.offer.player.SSRC(media)
		th.SSRC = &ssrc
		res.Header["Transport"] = th.Marshal()
	}
}

// direct reports whether packets go around the engine. Inside of tunnels they do not.
func (p *playback) direct() bool {
	if p.session.Transport() != nil && p.session.Transport().Protocol == gortsplib.ProtocolUDP {
		return true
	}
	for _, c := range p.session.Conns() {
		_, plain := c.NetConn().(*Conn)
		if !plain || c.Transport().Tunnel != gortsplib.TunnelNone {
			return false
		}
	}
	return true
}

// play begins, or goes on after a pause, at the newest key frame, once the response is out.
func (p *playback) play(c *client) (*base.Response, error) {
	if p.cancel != nil {
		return &base.Response{StatusCode: base.StatusOK}, nil // asked twice
	}
	times := p.offer.player.Begin()
	run := p.runner(c)
	ctx, cancel := context.WithCancel(p.s.ctx)
	p.cancel, p.done = cancel, make(chan struct{})
	answered := make(chan struct{})
	c.respond = func(res *base.Response) {
		p.tellTimes(res, times)
		if c.net != nil {
			c.net.Then(func() { close(answered) })
		} else {
			close(answered) // the engine's own queue keeps the order
		}
	}
	done := p.done
	p.s.running.Go(func() {
		defer close(done)
		select {
		case <-answered:
		case <-ctx.Done():
			return
		}
		err := run(ctx)
		if ctx.Err() == nil {
			p.fail(ended(err))
		}
	})
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func ended(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return wire.ErrEnded
	}
	return err
}

// tellTimes writes RTP-Info (RFC 2326 12.33): the RTP times of all media at one moment.
func (p *playback) tellTimes(res *base.Response, times []uint32) {
	var told headers.RTPInfo
	if told.Unmarshal(res.Header["RTP-Info"]) == nil {
		p.urls = p.urls[:0]
		for _, e := range told {
			p.urls = append(p.urls, e.URL)
		}
	}
	delete(res.Header, "RTP-Info")
	var info headers.RTPInfo
	for _, u := range p.urls { // those of the first time, for the engine says nothing after a pause
		if i := trackNumber(u); i >= 0 && i < len(times) {
			t := times[i]
			info = append(info, &headers.RTPInfoEntry{URL: u, Timestamp: &t})
		}
	}
	if info != nil {
		res.Header["RTP-Info"] = info.Marshal()
	}
}

// pause stops sending and waits for it.
func (p *playback) pause() {
	if p.cancel != nil {
		p.cancel()
		<-p.done
		p.cancel = nil
	}
}

// fail closes the session; the first cause counts.
func (p *playback) fail(err error) {
	p.mu.Lock()
	first := p.cause == nil
	if first {
		p.cause = err
	}
	p.mu.Unlock()
	if first {
		p.stop()
	}
}

// end is called once, when the engine has closed the session.
func (p *playback) end(err error) {
	close(p.closed)
	p.pause()
	if p.group != nil {
		p.s.leave(p.group)
	}
	p.mu.Lock()
	if p.cause != nil {
		err = p.cause
	}
	p.mu.Unlock()
	p.offer.end(err)
}
