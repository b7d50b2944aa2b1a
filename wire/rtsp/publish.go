package rtsp

import (
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/wire"
)

// A publication is the session of one publisher.
type publication struct {
	grant    *wire.Grant
	recorder Recorder
	closed   chan struct{}
	stop     func() // closes the session
	opening  *opening

	mu    sync.Mutex
	cause error // why we close it
}

// announce lets a publisher in, or not.
func (s *Server) announce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	c := ctx.Conn.UserData().(*client)
	if ctx.Session.UserData() != nil {
		return &base.Response{StatusCode: base.StatusMethodNotValidInThisState}, nil
	}
	name := streamName(ctx.Path)
	grant, res, err := s.admit(c, ctx.Request, func(p wire.Peer) (*wire.Grant, error) {
		return s.cfg.Door.Publish(s.ctx, p, name)
	})
	if grant == nil {
		return res, err
	}
	recorder, err := s.cfg.Record(grant, ctx.Description)
	if err != nil {
		grant.End(err)
		return refuse(err), nil
	}
	p := &publication{grant: grant, recorder: recorder, closed: make(chan struct{})}
	session, socket := ctx.Session, ctx.Conn.NetConn()
	p.stop = func() { session.Close(); interrupt(socket) }
	ctx.Session.SetUserData(p)
	s.running.Go(func() {
		select {
		case <-grant.Done():
			p.fail(grant.Cause())
		case <-p.closed:
		}
	})
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// interrupt ends a write that the peer does not take, so that its session can end at once.
func interrupt(socket net.Conn) {
	if c, ok := socket.(*Conn); ok {
		c.Conn.Close()
	}
}

// record begins to hand over packets.
func (p *publication) record(session *gortsplib.ServerSession) {
	medias := session.AnnouncedDescription().Medias
	p.opening = newOpening(medias)
	if session.Transport().Protocol != gortsplib.ProtocolUDP {
		p.opening.finish() // a connection keeps the order
	}
	for _, m := range medias {
		for _, f := range m.Formats {
			session.OnPacketRTP(m, f, func(pkt *rtp.Packet) {
				arrived := time.Now()
				p.opening.packet(func() {
					if err := p.recorder.Packet(f, pkt, arrived); err != nil {
						p.fail(err)
					}
				})
			})
		}
		session.OnPacketRTCP(m, func(pkt rtcp.Packet) {
			p.recorder.Report(m, pkt)
			p.opening.report(m, pkt)
		})
	}
}

// fail closes the session; the first cause counts.
func (p *publication) fail(err error) {
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
func (p *publication) end(err error) {
	close(p.closed)
	if p.opening != nil {
		p.opening.finish()
	}
	p.mu.Lock()
	if p.cause != nil {
		err = p.cause
	}
	p.mu.Unlock()
	p.grant.End(err)
}
