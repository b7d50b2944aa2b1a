// Package rtsp is what both ends of RTSP share: one server for publishers and players, and the client's connection.
package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/wire"
)

// A Recorder takes what one publisher sends. Its methods may be called from several goroutines at once.
type Recorder interface {
	// Packet takes an RTP packet and when it came; an error ends the session with it.
	Packet(f format.Format, p *rtp.Packet, arrived time.Time) error
	// Report takes an RTCP packet.
	Report(m *description.Media, p rtcp.Packet)
}

// A Player sends one stream to one receiver. Frames are those of wire/rtp.
type Player interface {
	// Description is what DESCRIBE answers. The media of later calls are the same, in the same order.
	Description() *description.Session
	// SSRC is the source of the packets of a media.
	SSRC(media int) uint32
	// Begin moves to the newest key frame and returns the RTP time of each media at that moment; nil if there is none yet.
	Begin() []uint32
	// Run sends to w from where Begin moved to, until ctx or the stream ends or w fails.
	Run(ctx context.Context, w FrameWriter) error
	// Key is equal for players of the same stream and tracks.
	Key() any
	// Close frees what the player holds. It is called once, when Run is not running.
	Close()
}

// A FrameWriter takes RTP and RTCP packets, each after the 4 bytes that RTSP puts before them.
type FrameWriter interface {
	// WriteFrames writes all frames or fails for good. It keeps neither the slice nor the frames.
	WriteFrames(frames [][]byte) error
}

// Config of a Server.
type Config struct {
	Address  string       // host:port to listen on; not used if Listener is set
	Listener net.Listener // a TCP listener; it belongs to the server, but closing it only stops what is new
	Name     string       // key in `listen`, for Peer.Listener

	TLS        *tls.Config // also accept TLS on the same port; nil does not
	RequireTLS bool        // accept nothing else

	// UDP is the even port for RTP, with an address or without; the next one is for RTCP. Empty takes two free ones,
	// "off" has no UDP.
	UDP string
	// Multicast is the range of groups for players who ask for multicast; the zero prefix has none. IPv4 only.
	Multicast netip.Prefix
	// MulticastPort is the even port of RTP to all groups; 0 is 8002.
	MulticastPort int

	Door wire.Door
	Log  *slog.Logger // of connections, at debug level; nil logs nothing

	// Record prepares for a publisher who was let in. The error is a refusal. The server ends the grant.
	Record func(g *wire.Grant, d *description.Session) (Recorder, error)
	// Play prepares for a player who was let in. The error is a refusal. The server ends the grant.
	Play func(ctx context.Context, g *wire.Grant) (Player, error)
}

// A Server accepts publishers (ANNOUNCE, RECORD) and players (DESCRIBE, PLAY) on one port. Use New.
type Server struct {
	cfg     Config
	ln      net.Listener
	rtp     *net.UDPConn // nil without UDP
	rtcp    *net.UDPConn
	engine  *gortsplib.Server
	running sync.WaitGroup // goroutines of sessions
	ctx     context.Context

	mu     sync.Mutex
	groups map[any]*group // of multicast, by Player.Key
}

// New binds all sockets. The caller must call Run, which closes them, or Close.
func New(cfg Config) (*Server, error) {
	if cfg.RequireTLS && cfg.TLS == nil {
		return nil, errors.New("listen for rtsps: a certificate is needed")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, ln: cfg.Listener, groups: make(map[any]*group)}
	if s.ln == nil {
		var err error
		if s.ln, err = net.Listen("tcp", cfg.Address); err != nil {
			return nil, fmt.Errorf("listen for RTSP: %w", err)
		}
	}
	if cfg.UDP != "off" {
		if err := s.bindUDP(cfg.UDP); err != nil {
			s.ln.Close()
			return nil, fmt.Errorf("listen for RTP: %w", err)
		}
	}
	return s, nil
}

// Addr is the address of the RTSP port.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// UDPPort is the port of RTP, 0 without UDP.
func (s *Server) UDPPort() int {
	if s.rtp == nil {
		return 0
	}
	return s.rtp.LocalAddr().(*net.UDPAddr).Port
}

// Close frees the sockets of a server that does not run.
func (s *Server) Close() {
	s.ln.Close()
	if s.rtp != nil {
		s.rtp.Close()
		s.rtcp.Close()
	}
}

// bindUDP binds a pair of ports, the first even (RFC 3550 11).
func (s *Server) bindUDP(address string) error {
	host, port := "", 0
	if tcp, ok := s.ln.Addr().(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		host = tcp.IP.String()
		if tcp.Zone != "" {
			host += "%" + tcp.Zone
		}
	}
	if address != "" {
		h, p, err := net.SplitHostPort(address)
		if err != nil {
			h, p = host, address
		}
		if port, err = strconv.Atoi(p); err != nil || port < 2 || port > 65534 || port%2 != 0 {
			return fmt.Errorf("%q is not an even port", address)
		}
		host = h
	}
	var err error
	for range 64 {
		if err = s.bindPair(host, port); err == nil || address != "" {
			break
		}
	}
	return err
}

func (s *Server) bindPair(host string, port int) error {
	a, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	first := a.LocalAddr().(*net.UDPAddr).Port
	if first%2 != 0 || first == 65535 {
		a.Close()
		return fmt.Errorf("port %d is odd", first)
	}
	b, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(first+1)))
	if err != nil {
		a.Close()
		return err
	}
	s.rtp, s.rtcp = a.(*net.UDPConn), b.(*net.UDPConn)
	return nil
}

// Run serves until ctx ends, closes all sessions and sockets, and waits for them. Call it once.
func (s *Server) Run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	s.ctx = ctx
	e := &gortsplib.Server{
		Handler:                  &handler{s},
		RTSPAddress:              s.ln.Addr().String(),
		DisableRTCPSenderReports: true, // players send their own, which are of one clock for all tracks
		WriteQueueSize:           2048,
		Listen: func(string, string) (net.Listener, error) {
			return &listener{Listener: s.ln, ctx: ctx, config: s.cfg.TLS, must: s.cfg.RequireTLS}, nil
		},
		ListenPacket: s.listenPacket,
	}
	if s.rtp != nil {
		e.UDPRTPAddress, e.UDPRTCPAddress = s.rtp.LocalAddr().String(), s.rtcp.LocalAddr().String()
	}
	if s.cfg.Multicast.IsValid() {
		port := s.cfg.MulticastPort
		if port == 0 {
			port = 8002
		}
		e.MulticastIPRange, e.MulticastRTPPort, e.MulticastRTCPPort = s.cfg.Multicast.String(), port, port+1
	}
	s.engine = e
	if err := e.Start(); err != nil {
		s.Close()
		return fmt.Errorf("serve RTSP: %w", err)
	}
	stop := context.AfterFunc(ctx, e.Close)
	err := e.Wait()
	if stop() {
		e.Close()
	}
	cancel()
	s.running.Wait()
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	return fmt.Errorf("serve RTSP: %w", err)
}

// listenPacket gives out the sockets that are bound already, and binds those of multicast groups.
func (s *Server) listenPacket(network, address string) (net.PacketConn, error) {
	if s.rtp != nil {
		switch address {
		case s.rtp.LocalAddr().String():
			return s.rtp, nil
		case s.rtcp.LocalAddr().String():
			return s.rtcp, nil
		}
	}
	return net.ListenPacket(network, address)
}
