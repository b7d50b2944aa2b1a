package rtmp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
	"weir/wire/rtmp/handshake"
)

// A Handler decides what clients may do, and takes and gives media.
type Handler interface {
	// Publish is asked on the connection's reading goroutine, which waits. The error is the refusal, best a *wire.Refusal.
	// Media go to what it returns; ctx ends with the connection.
	Publish(ctx context.Context, s *ServerStream, req *PublishRequest) (Publication, error)
	// Play runs on a goroutine of its own, which should recover from its panics, as long as the stream is played: it
	// calls s.WriteStart once, then s.WriteBuffers, until ctx ends or the stream does. An error before WriteStart is the
	// refusal; after it, or with nil, the player is told that the stream ended. ctx ends with cause ErrClosed when the
	// player is done with the stream, else with the connection.
	Play(ctx context.Context, s *ServerStream, req *PlayRequest) error
}

// A Publication takes the messages of one published stream, on the connection's reading goroutine.
type Publication interface {
	// WriteMessage takes an audio, video or data message (types 8, 9 and 18). Aggregates are split, data of AMF3 form is
	// made type 18, and @setDataFrame is taken off. Its payload may be kept. An error ends the connection.
	WriteMessage(m chunk.Message) error
	// End is called once, last. io.EOF is a goodbye of the publisher.
	End(cause error)
}

// ServerConfig is what a listener's connections have in common. All of it may be left out.
type ServerConfig struct {
	Limits          Limits
	Handshaken      bool                        // a layer below has done the handshake
	StrictHandshake bool                        // refuse clients without a valid digest
	Auth            *Auth                       // for encoders that know Adobe authentication
	Admit           func(*ConnectRequest) error // asked at connect; an error that wraps wire.ErrNeedUser begins Auth
	FourCCs         []string                    // what is said to be taken; nil is "*"
	CapsEx          int                         // what is said to be understood; 0 is all
}

// A ServerConn is one client's connection.
type ServerConn struct {
	*conn
	cfg     ServerConfig
	handler Handler
	req     *ConnectRequest
	players sync.WaitGroup

	// Of the reading goroutine.
	streams map[uint32]*ServerStream
	nextID  uint32
	ctx     func() context.Context // the session's, for streams that are opened within it

	refusals atomic.Int32
}

// NewServerConn prepares for a client on nc; nothing is read or written before Serve.
func NewServerConn(nc net.Conn, cfg ServerConfig) *ServerConn {
	return &ServerConn{conn: newConn(nc, cfg.Limits), cfg: cfg, streams: make(map[uint32]*ServerStream), nextID: 1}
}

// Serve speaks with the client until it leaves, ctx ends or something is wrong, and closes the connection. All that it
// started has ended when it returns. The error is io.EOF when the client said goodbye, else why the session ended.
func (s *ServerConn) Serve(ctx context.Context, h Handler) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { s.interrupt(context.Cause(ctx)) })
	defer stop()
	s.handler = h
	s.ctx = func() context.Context { return ctx }
	err := s.why(s.serve())
	stop()
	ours := s.cause.Load() != nil
	cancel(err)
	for _, st := range s.streams {
		st.stopPublish(err)
	}
	s.players.Wait() // each says goodbye
	if ours && s.req != nil {
		// The connection ends either way.
		_ = s.call(0, onStatus("status", "NetConnection.Connect.Closed", describe(err)))
	}
	s.linger()
	return err
}

// Close ends the session with a cause, which Serve returns. Safe for concurrent use.
func (s *ServerConn) Close(cause error) { s.interrupt(cause) }

// Ignored counts messages of types that are not known, and shared objects.
func (s *ServerConn) Ignored() uint64 { return s.ignored.Load() }

func (s *ServerConn) serve() error {
	if !s.cfg.Handshaken {
		_ = s.nc.SetWriteDeadline(s.until) // an error shows in the write
		rw := struct {
			io.Reader
			io.Writer
		}{(*source)(s.conn), s.nc}
		if err := handshake.Server(rw, s.cfg.StrictHandshake); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
	}
	for {
		m, err := s.r.Read()
		if err != nil {
			return err
		}
		if err := s.message(m); err != nil {
			return err
		}
	}
}

// message takes one message of whatever type.
func (s *ServerConn) message(m chunk.Message) error {
	if done, err := s.common(m); done || err != nil {
		return err
	}
	switch m.Type {
	case chunk.CommandAMF0, chunk.CommandAMF3:
		c, err := ParseCommand(m)
		if err != nil {
			s.ignored.Add(1)
			return nil
		}
		if s.req == nil {
			if c.Name != "connect" {
				return fmt.Errorf("%.40q came before connect: %w", c.Name, ErrProtocol)
			}
			return s.connect(c)
		}
		return s.command(m.StreamID, c)
	case chunk.Audio, chunk.Video, chunk.DataAMF0, chunk.DataAMF3, chunk.Aggregate:
		if st := s.published(m.StreamID); st != nil {
			return st.media(m)
		}
		return nil // the rest of a stream that was closed, or an answer to our |RtmpSampleAccess
	case chunk.UserControl:
		if len(m.Payload) >= 10 && m.Payload[1] == setBufferLength {
			if st := s.streams[be32(m.Payload[2:])]; st != nil {
				st.buffer.Store(be32(m.Payload[6:]))
			}
		}
		return nil
	}
	s.ignored.Add(1)
	return nil
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// published is the publishing stream that media are for. Some encoders send them on message stream 0.
func (s *ServerConn) published(id uint32) *ServerStream {
	if st := s.streams[id]; st != nil {
		if st.pub != nil {
			return st
		}
		return nil
	}
	var only *ServerStream
	if id == 0 {
		for _, st := range s.streams {
			if st.pub != nil {
				if only != nil {
					return nil
				}
				only = st
			}
		}
	}
	return only
}

// connect lets the client in or not (RTMP 1.0, 7.2.1.1).
func (s *ServerConn) connect(c Command) error {
	req := connectRequest(c)
	refuse := ""
	if s.cfg.Auth != nil {
		refuse = s.cfg.Auth.judge(req, host(s.nc.RemoteAddr()), time.Now())
	}
	var err error
	switch {
	case refuse == authNeeded || refuse != "" && refuse != authReason+"authfailed":
		err = wire.ErrNeedUser
	case refuse != "":
		err = wire.ErrWrongUser
	case s.cfg.Admit != nil:
		if err = s.cfg.Admit(req); err != nil {
			refuse = describe(err)
			if s.cfg.Auth != nil && errors.Is(err, wire.ErrNeedUser) {
				refuse = authNeeded
			}
		}
	}
	if err != nil {
		info := status("error", "NetConnection.Connect.Rejected", refuse)
		closed := Command{Name: "close", Args: []amf.Value{nil}}
		if werr := s.call(0, Command{Name: "_error", Transaction: c.Transaction, Args: []amf.Value{nil, info}}, closed); werr != nil {
			return werr
		}
		return fmt.Errorf("connect: %w", err)
	}
	s.req = req
	s.until = time.Time{}
	s.told = window
	caps := s.capabilities(req)
	properties := &amf.Object{Fields: append([]amf.Field{
		{Name: "fmsVer", Value: "FMS/3,5,7,7009"}, {Name: "capabilities", Value: 31.0}, {Name: "mode", Value: 1.0},
	}, caps...)}
	info := status("status", "NetConnection.Connect.Success", "Connection succeeded.", append([]amf.Field{
		{Name: "objectEncoding", Value: float64(req.ObjectEncoding)},
	}, caps...)...)
	result, err := Command{Name: "_result", Transaction: c.Transaction, Args: []amf.Value{properties, info}}.Message(0)
	if err != nil {
		return err
	}
	done, err := Command{Name: "onBWDone", Args: []amf.Value{nil}}.Message(0)
	if err != nil {
		return err
	}
	return s.write(control(chunk.WindowAckSize, window), peerBandwidth(window), control(chunk.SetChunkSize, chunk.OutChunkSize),
		userControl(streamBegin, 0), result, done)
}

// capabilities is the answer to a client that speaks Enhanced RTMP.
func (s *ServerConn) capabilities(req *ConnectRequest) []amf.Field {
	if !req.Enhanced() && req.CapsEx == 0 {
		return nil
	}
	codes := s.cfg.FourCCs
	if codes == nil {
		codes = []string{"*"}
	}
	var list amf.Array
	forward := &amf.Object{}
	for _, c := range codes {
		list = append(list, c)
		forward.Fields = append(forward.Fields, amf.Field{Name: c, Value: float64(CanForward)})
	}
	caps := cmp.Or(s.cfg.CapsEx, CapsReconnect|CapsMultitrack|CapsModEx|CapsTimestampOffset)
	return []amf.Field{
		{Name: "fourCcList", Value: list}, {Name: "videoFourCcInfoMap", Value: forward},
		{Name: "audioFourCcInfoMap", Value: forward}, {Name: "capsEx", Value: float64(caps)},
	}
}

// Reconnect asks the client to connect again, to tcURL if it is not empty; the session goes on until the client leaves.
// It returns false if the client does not know the request (Enhanced RTMP v2, Reconnect Request). Only for use from
// within Handler methods, or after one was called.
func (s *ServerConn) Reconnect(tcURL, description string) (bool, error) {
	if s.req == nil || s.req.CapsEx&CapsReconnect == 0 {
		return false, nil
	}
	var more []amf.Field
	if tcURL != "" {
		more = append(more, amf.Field{Name: "tcUrl", Value: tcURL})
	}
	return true, s.call(0, onStatus("status", "NetConnection.Connect.ReconnectRequest", description, more...))
}

func host(a net.Addr) string {
	if a == nil {
		return ""
	}
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return h
}

// describe is what a peer may hear of an error: the gateway's own words, nothing of what stands behind them.
func describe(err error) string {
	var r *wire.Refusal
	if errors.As(err, &r) {
		return r.Error()
	}
	for _, known := range []error{
		wire.ErrReplaced, wire.ErrDenied, wire.ErrIdle, wire.ErrSlow, wire.ErrDrain, wire.ErrEnded, wire.ErrNeedUser, wire.ErrWrongUser,
		wire.ErrNotAllowed, wire.ErrBusy, wire.ErrNotFound, wire.ErrBadName, wire.ErrNoTrack, wire.ErrLimit,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "the request could not be served"
}
