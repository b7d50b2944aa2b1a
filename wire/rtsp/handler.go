package rtsp

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"weir/wire"
)

// handler is the server as the engine sees it. The engine calls it for one connection from one goroutine at a time, and
// for one session from one at a time.
type handler struct{ s *Server }

var (
	_ gortsplib.ServerHandlerOnConnOpen         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnConnClose        = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSessionClose     = (*handler)(nil)
	_ gortsplib.ServerHandlerOnRequest          = (*handler)(nil)
	_ gortsplib.ServerHandlerOnResponse         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDescribe         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnAnnounce         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSetup            = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPlay             = (*handler)(nil)
	_ gortsplib.ServerHandlerOnRecord           = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPause            = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPacketsLost      = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDecodeError      = (*handler)(nil)
	_ gortsplib.ServerHandlerOnStreamWriteError = (*handler)(nil)
)

// client is one connection.
type client struct {
	conn     *gortsplib.ServerConn
	net      *Conn // nil inside a tunnel
	agent    string
	failures int // wrong passwords

	offer   *offer               // of DESCRIBE, until SETUP takes it
	respond func(*base.Response) // called with the response to this request if it is 200
	paused  bool                 // this request is a PAUSE that was obeyed
	packets bool                 // it publishes in datagrams
}

// settle is how long datagrams that were sent before TEARDOWN may come after it.
const settle = 150 * time.Millisecond

// tries is how many wrong passwords a connection may send.
const tries = 3

// maxAgent cuts User-Agent.
const maxAgent = 200

func (h *handler) OnConnOpen(ctx *gortsplib.ServerHandlerOnConnOpenCtx) {
	c := &client{conn: ctx.Conn}
	c.net, _ = ctx.Conn.NetConn().(*Conn)
	ctx.Conn.SetUserData(c)
}

func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	c := ctx.Conn.UserData().(*client)
	if c.offer != nil {
		c.offer.end(nil)
	}
	h.s.cfg.Log.Debug("RTSP connection closed", "listener", h.s.cfg.Name, "address", ctx.Conn.NetConn().RemoteAddr(), "reason", ctx.Error)
}

func (h *handler) OnRequest(conn *gortsplib.ServerConn, req *base.Request) {
	c := conn.UserData().(*client)
	c.respond, c.paused = nil, false
	if ua := req.Header["User-Agent"]; len(ua) == 1 {
		c.agent = ua[0][:min(len(ua[0]), maxAgent)]
	}
	if req.Method == base.Announce {
		req.Body = Repair(req.Header, req.Body)
	}
	if req.Method == base.Teardown && c.packets {
		rest(h.s.ctx, settle)
	}
	if t := req.Header["Transport"]; len(t) == 1 && !strings.Contains(strings.ToLower(t[0]), "record") {
		// The engine answers GStreamer's SETUP a second late, for a publisher's sake. Players need not wait.
		delete(req.Header, "User-Agent")
	}
}

func (h *handler) OnResponse(conn *gortsplib.ServerConn, res *base.Response) {
	res.Header["Server"] = base.HeaderValue{"weir"}
	c := conn.UserData().(*client)
	if c.paused {
		res.StatusCode, res.StatusMessage = base.StatusOK, "OK"
	}
	if f := c.respond; f != nil && res.StatusCode == base.StatusOK {
		f(res)
	}
	c.respond = nil
}

func (h *handler) OnPacketsLost(*gortsplib.ServerHandlerOnPacketsLostCtx)           {} // recorders see the numbers
func (h *handler) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx)           {}
func (h *handler) OnStreamWriteError(*gortsplib.ServerHandlerOnStreamWriteErrorCtx) {} // of multicast: others go on

func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	c := ctx.Conn.UserData().(*client)
	if c.offer != nil {
		c.offer.end(nil)
		c.offer = nil
	}
	o, res, err := h.s.offer(c, ctx.Request, ctx.Path)
	if o == nil {
		return res, nil, err
	}
	body, err := o.player.Description().Marshal()
	if err != nil {
		o.end(err)
		return &base.Response{StatusCode: base.StatusInternalServerError}, nil, nil
	}
	c.offer = o
	return &base.Response{StatusCode: base.StatusOK, Body: body}, nil, nil
}

func (h *handler) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	return h.s.announce(ctx)
}

func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	c := ctx.Conn.UserData().(*client)
	if c.secure() && ctx.Transport.Protocol != gortsplib.ProtocolTCP {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil // it would not be secure
	}
	if _, ok := ctx.Session.UserData().(*publication); ok {
		return &base.Response{StatusCode: base.StatusOK}, nil, nil
	}
	return h.s.setup(c, ctx)
}

func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	p, ok := ctx.Session.UserData().(*playback)
	if !ok {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
	}
	return p.play(ctx.Conn.UserData().(*client))
}

func (h *handler) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	p, ok := ctx.Session.UserData().(*publication)
	if !ok {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
	}
	p.record(ctx.Session)
	ctx.Conn.UserData().(*client).packets = ctx.Session.Transport().Protocol == gortsplib.ProtocolUDP
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (h *handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	// The engine is told no: paused, it takes RTCP that is still under way as a reason to close the connection. GStreamer
	// pauses publications too, before it tears them down; there is nothing to stop then.
	if p, ok := ctx.Session.UserData().(*playback); ok {
		p.pause()
	}
	ctx.Conn.UserData().(*client).paused = true
	return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
}

func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	err := sessionEnd(ctx.Error)
	switch p := ctx.Session.UserData().(type) {
	case *publication:
		p.end(err)
	case *playback:
		p.end(err)
	}
}

// secure reports whether TLS is spoken, as far as it is known.
func (c *client) secure() bool { return c.net != nil && c.net.Secure() }

func (c *client) peer(s *Server) wire.Peer {
	p := wire.Peer{Protocol: "rtsp", Listener: s.cfg.Name, Layers: "tcp → rtsp", Agent: c.agent}
	switch {
	case c.secure():
		p.Protocol, p.Layers = "rtsps", "tcp → tls → rtsp"
	case c.net == nil || c.conn.Transport().Tunnel != gortsplib.TunnelNone:
		p.Layers = "tcp → http → rtsp"
	}
	if a, ok := c.conn.NetConn().RemoteAddr().(*net.TCPAddr); ok {
		p.Addr = a.AddrPort()
	}
	return p
}

// admit asks the gateway whether the peer may. Without a grant, the response and error are those to give to the engine.
func (s *Server) admit(c *client, req *base.Request, ask func(wire.Peer) (*wire.Grant, error)) (*wire.Grant, *base.Response, error) {
	peer := c.peer(s)
	var auth headers.Authorization
	if err := auth.Unmarshal(req.Header["Authorization"]); err == nil && auth.Username != "" {
		password, known := s.cfg.Door.Password(auth.Username)
		if ok := c.conn.VerifyCredentials(req, auth.Username, password); !known || !ok {
			return s.challenge(c, req, true)
		}
		peer.User, peer.Verified = auth.Username, true
	}
	grant, err := ask(peer)
	if err == nil {
		return grant, nil, nil
	}
	if is(err, wire.ErrNeedUser) && !peer.Verified {
		return s.challenge(c, req, false)
	}
	return nil, refuse(err), nil
}

// challenge asks for a user. Whoever sent a wrong password is asked again, for it may be the nonce that was old, but not
// for ever.
func (s *Server) challenge(c *client, req *base.Request, wrong bool) (*wire.Grant, *base.Response, error) {
	c.conn.VerifyCredentials(req, "nobody", strconv.Itoa(c.failures)) // makes the nonce, if there is none yet
	if wrong {
		if c.failures++; c.failures < tries {
			delete(req.Header, "Authorization") // so that the engine asks instead of closing
		}
	}
	return nil, &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
}

// refuse puts a refusal into the words of RTSP.
func refuse(err error) *base.Response {
	res := &base.Response{StatusCode: base.StatusServiceUnavailable}
	for _, row := range []struct {
		err    error
		status base.StatusCode
	}{
		{wire.ErrNeedUser, base.StatusForbidden},
		{wire.ErrWrongUser, base.StatusForbidden},
		{wire.ErrNotAllowed, base.StatusForbidden},
		{wire.ErrBusy, 409},
		{wire.ErrNotFound, base.StatusNotFound},
		{wire.ErrBadName, base.StatusBadRequest},
		{wire.ErrNoTrack, 415},
		{wire.ErrLimit, base.StatusNotEnoughBandwidth},
	} {
		if is(err, row.err) {
			res.StatusCode = row.status
			res.StatusMessage = row.err.Error()
			if r, ok := asRefusal(err); ok && r.Reason != "" {
				res.StatusMessage = r.Reason
			}
			break
		}
	}
	res.StatusMessage = oneLine(res.StatusMessage)
	return res
}

// oneLine keeps what may stand in a status line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// streamName is the name that a path means.
func streamName(path string) string { return strings.Trim(path, "/") }
