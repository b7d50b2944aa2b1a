package rtsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/wire"
	rtpwire "weir/wire/rtp"
)

// runner returns what sends to this session.
func (p *playback) runner(c *client) func(context.Context) error {
	switch {
	case p.group != nil:
		p.s.begin(p.group)
		return p.group.watch
	case !p.direct():
		w := newQueue(p.session, p.session.Stats().Medias, p.offer.player.Description())
		return func(ctx context.Context) error { w.ctx = ctx; return p.offer.player.Run(ctx, w) }
	case p.session.Transport().Protocol == gortsplib.ProtocolUDP:
		return func(ctx context.Context) error { return p.offer.player.Run(ctx, newUDPWriter(ctx, p, c)) }
	}
	channels := make([]int, len(p.routes))
	for i, r := range p.routes {
		channels[i] = -1
		if r.set {
			channels[i] = r.channel
		}
	}
	return func(ctx context.Context) error { return p.offer.player.Run(ctx, NewTCPWriter(c.net, channels)) }
}

// A TCPWriter writes frames into an RTSP connection, on the channels that were agreed on.
type TCPWriter struct {
	conn     *Conn
	channels []int // of RTP, by media; -1 leaves the media out
	list     net.Buffers
}

// NewTCPWriter returns a writer for one goroutine at a time. channels are those of RTP, by media; -1 leaves a media out.
func NewTCPWriter(c *Conn, channels []int) *TCPWriter { return &TCPWriter{conn: c, channels: channels} }

// WriteFrames implements FrameWriter. Frames whose channel is right as it is are written without a copy.
func (w *TCPWriter) WriteFrames(frames [][]byte) error {
	w.list = w.list[:0]
	for _, f := range frames {
		have := rtpwire.Channel(f)
		if have < 0 || have/2 >= len(w.channels) || w.channels[have/2] < 0 {
			continue
		}
		if want := w.channels[have/2] + have%2; want != have {
			w.list = append(w.list, []byte{'$', byte(want), f[2], f[3]}, rtpwire.Packet(f))
			continue
		}
		w.list = append(w.list, f)
	}
	if len(w.list) == 0 {
		return nil
	}
	return w.conn.WriteAll(w.list)
}

// A player who joins late is sent a whole group of pictures at once, which overruns the usual socket buffer of 200 kB. So
// datagrams beyond burst are spread.
const (
	burst    = 64 << 10
	sendRate = 25 << 20 // bytes in a second
)

// udpWriter sends frames as datagrams from the server's ports.
type udpWriter struct {
	ctx    context.Context
	server *Server
	ip     netip.Addr
	routes []route
	credit int
	last   time.Time
	timer  *time.Timer
}

func newUDPWriter(ctx context.Context, p *playback, c *client) *udpWriter {
	w := &udpWriter{ctx: ctx, server: p.s, routes: p.routes, credit: burst, last: time.Now()}
	if a, ok := c.conn.NetConn().RemoteAddr().(*net.TCPAddr); ok {
		w.ip = a.AddrPort().Addr()
		if !isV6(p.s.rtp) {
			w.ip = w.ip.Unmap()
		}
	}
	return w
}

// isV6 reports whether a socket takes IPv6 addresses.
func isV6(c *net.UDPConn) bool {
	a, ok := c.LocalAddr().(*net.UDPAddr)
	return ok && a.IP.To4() == nil
}

// WriteFrames implements FrameWriter. A datagram that cannot be sent is lost, as on the network.
func (w *udpWriter) WriteFrames(frames [][]byte) error {
	for _, f := range frames {
		channel := rtpwire.Channel(f)
		if channel < 0 || channel/2 >= len(w.routes) || !w.routes[channel/2].set {
			continue
		}
		if err := w.pace(len(f)); err != nil {
			return err
		}
		r, socket, port := w.routes[channel/2], w.server.rtp, uint16(0)
		if port = r.rtp; channel%2 == 1 {
			socket, port = w.server.rtcp, r.rtcp
		}
		if _, err := socket.WriteToUDPAddrPort(rtpwire.Packet(f), netip.AddrPortFrom(w.ip, port)); err != nil && errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("send RTP: %w", err)
		}
	}
	return nil
}

func (w *udpWriter) pace(n int) error {
	now := time.Now()
	w.credit = min(burst, w.credit+int(now.Sub(w.last).Seconds()*sendRate))
	w.last = now
	if w.credit -= n; w.credit > 0 {
		return nil
	}
	if w.timer == nil {
		w.timer = time.NewTimer(0)
		<-w.timer.C
	}
	w.timer.Reset(time.Millisecond)
	select {
	case <-w.timer.C:
		return nil
	case <-w.ctx.Done():
		w.timer.Stop()
		return context.Cause(w.ctx)
	}
}

// engineWriter is a session or a stream of the engine, or a client of it.
type engineWriter interface {
	WritePacketRTP(m *description.Media, p *rtp.Packet) error
	WritePacketRTCP(m *description.Media, p rtcp.Packet) error
}

// A Queue writes frames through the engine, which gives them sources of its own; reports are made to match.
type Queue struct {
	ctx    context.Context
	to     engineWriter
	medias []*description.Media
	ssrc   map[*description.Media]uint32
	wait   *time.Timer
}

// NewQueue returns a writer for one goroutine at a time. stats tells the sources, medias the order; nil leaves one out.
func NewQueue(ctx context.Context, to engineWriter, stats map[*description.Media]gortsplib.SessionStatsMedia, medias []*description.Media) *Queue {
	q := &Queue{ctx: ctx, to: to, medias: medias, ssrc: make(map[*description.Media]uint32)}
	for m, s := range stats {
		for _, f := range s.Formats {
			q.ssrc[m] = f.LocalSSRC
		}
	}
	return q
}

func newQueue(s *gortsplib.ServerSession, stats map[*description.Media]gortsplib.SessionStatsMedia, d *description.Session) *Queue {
	medias := make([]*description.Media, len(d.Medias))
	all := s.Stream().Desc.Medias
	for _, m := range s.Medias() {
		for i := range all {
			if all[i] == m && i < len(medias) {
				medias[i] = m
			}
		}
	}
	return NewQueue(context.Background(), s, stats, medias)
}

// WriteFrames implements FrameWriter. It waits while the engine's queue is full, at most Patience.
func (q *Queue) WriteFrames(frames [][]byte) error {
	for _, f := range frames {
		channel := rtpwire.Channel(f)
		if channel < 0 || channel/2 >= len(q.medias) || q.medias[channel/2] == nil {
			continue
		}
		if err := q.write(q.medias[channel/2], channel%2 == 1, rtpwire.Packet(f)); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) write(m *description.Media, control bool, b []byte) error {
	send, err := q.parse(m, control, b)
	if err != nil {
		return err
	}
	var begin time.Time
	for {
		err := send()
		var full liberrors.ErrServerWriteQueueFull
		var clientFull liberrors.ErrClientWriteQueueFull
		if !errors.As(err, &full) && !errors.As(err, &clientFull) {
			return err
		}
		if begin.IsZero() {
			begin = time.Now()
		}
		if time.Since(begin) > Patience {
			return wire.ErrSlow
		}
		if q.wait == nil {
			q.wait = time.NewTimer(0)
			<-q.wait.C
		}
		q.wait.Reset(2 * time.Millisecond)
		select {
		case <-q.wait.C:
		case <-q.ctx.Done():
			q.wait.Stop()
			return context.Cause(q.ctx)
		}
	}
}

func (q *Queue) parse(m *description.Media, control bool, b []byte) (func() error, error) {
	if !control {
		p := new(rtp.Packet)
		if err := p.Unmarshal(b); err != nil {
			return nil, fmt.Errorf("queue RTP: %w", err)
		}
		return func() error { return q.to.WritePacketRTP(m, p) }, nil
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return nil, fmt.Errorf("queue RTCP: %w", err)
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			p.SSRC = q.ssrc[m]
		case *rtcp.Goodbye:
			p.Sources = []uint32{q.ssrc[m]}
		}
	}
	return func() error {
		for _, p := range packets {
			if err := q.to.WritePacketRTCP(m, p); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
