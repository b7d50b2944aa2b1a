package rtmp

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"weir/transmux/amf"
	"weir/wire/rtmp/chunk"
)

// A ServerStream is one message stream of a connection: a NetStream of the client, which publishes or plays.
type ServerStream struct {
	conn   *ServerConn
	id     uint32
	flow   atomic.Uint32
	buffer atomic.Uint32

	// Of the reading goroutine.
	pub  Publication
	name string // what is published or played, without app
	play *playing
}

// playing is one run of Handler.Play.
type playing struct {
	req     *PlayRequest
	cancel  context.CancelCauseFunc
	done    chan struct{}
	started bool // of the goroutine that runs Play
}

// Flow is what a player wants to be sent. Video begins again at a key frame after a change.
type Flow struct {
	Paused, NoAudio, NoVideo bool
}

const (
	flowPaused = 1 << iota
	flowNoAudio
	flowNoVideo
)

// ID is the message stream ID, for chunk.Chunked.AppendTo.
func (s *ServerStream) ID() uint32 { return s.id }

// Conn is the connection of the stream.
func (s *ServerStream) Conn() *ServerConn { return s.conn }

// Buffer is how many milliseconds the player said it buffers; 0 if it did not say. Safe for concurrent use.
func (s *ServerStream) Buffer() int { return int(s.buffer.Load()) }

// Flow is what the player wants now. Safe for concurrent use, and cheap enough to ask before each batch.
func (s *ServerStream) Flow() Flow {
	f := s.flow.Load()
	return Flow{Paused: f&flowPaused != 0, NoAudio: f&flowNoAudio != 0, NoVideo: f&flowNoVideo != 0}
}

func (s *ServerStream) setFlow(bit uint32, on bool) {
	if on {
		s.flow.Or(bit)
	} else {
		s.flow.And(^bit)
	}
}

// WriteStart tells the player that its stream begins, in the order that Flash expects. Only for the goroutine that runs
// Handler.Play, once.
func (s *ServerStream) WriteStart() error {
	p := s.play
	ms := []chunk.Message{userControl(streamBegin, s.id)}
	if p.req.Reset {
		m, err := onStatus("status", "NetStream.Play.Reset", "Playing and resetting "+p.req.Key+".", amf.Field{Name: "details", Value: p.req.Key}).Message(s.id)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	start, err := onStatus("status", "NetStream.Play.Start", "Started playing "+p.req.Key+".", amf.Field{Name: "details", Value: p.req.Key}).Message(s.id)
	if err != nil {
		return err
	}
	access, err := data(s.id, "|RtmpSampleAccess", true, true)
	if err != nil {
		return err
	}
	ms = append(ms, start, access)
	// Only movies listen to it; ffmpeg shows it as a data stream without a codec.
	if p.req.SwfURL != "" {
		begin, err := data(s.id, "onStatus", &amf.Object{Fields: []amf.Field{{Name: "code", Value: "NetStream.Data.Start"}}})
		if err != nil {
			return err
		}
		ms = append(ms, begin)
	}
	p.started = true
	return s.conn.write(ms...)
}

// WriteBuffers sends chunks made by chunk.Split for this stream's ID, all in one go; control messages of the connection
// never come between them. It consumes bufs. The error wraps wire.ErrSlow when the player took nothing for
// Limits.Write.
func (s *ServerStream) WriteBuffers(bufs net.Buffers) error { return s.conn.writeBuffers(bufs) }

// WriteMessage sends one message of its own, such as metadata, on this stream.
func (s *ServerStream) WriteMessage(m chunk.Message) error {
	m.StreamID = s.id
	return s.conn.write(m)
}

// Close ends the stream, and the connection with it, from outside: the right to it was taken away. Serve returns cause.
// Safe for concurrent use.
func (s *ServerStream) Close(cause error) { s.conn.interrupt(cause) }

// startPlay runs the handler on a goroutine that Serve waits for.
func (s *ServerStream) startPlay(req *PlayRequest) {
	ctx, cancel := context.WithCancelCause(s.conn.ctx())
	p := &playing{req: req, cancel: cancel, done: make(chan struct{})}
	s.play, s.name = p, req.Key
	s.flow.Store(0)
	s.conn.players.Go(func() {
		defer close(p.done)
		err := s.conn.handler.Play(ctx, s, req)
		// A player that closed the stream or left hears nothing more of it.
		if ctx.Err() == nil || s.conn.cause.Load() != nil {
			s.played(p, err)
		}
		cancel(ErrClosed)
	})
}

// played tells the player how it ended. A write error has ended the session already.
func (s *ServerStream) played(p *playing, err error) {
	if !p.started {
		if err := s.refusePlay(p.req.Key, err); err != nil {
			s.conn.interrupt(err)
		}
		return
	}
	details := amf.Field{Name: "details", Value: p.req.Key}
	gone, merr := onStatus("status", "NetStream.Play.UnpublishNotify", p.req.Key+" is now unpublished.", details).Message(s.id)
	stop, serr := onStatus("status", "NetStream.Play.Stop", "Stopped playing "+p.req.Key+".", details).Message(s.id)
	complete, cerr := data(s.id, "onPlayStatus", &amf.Object{Fields: []amf.Field{{Name: "level", Value: "status"}, {Name: "code", Value: "NetStream.Play.Complete"}}})
	if merr == nil && serr == nil && cerr == nil {
		_ = s.conn.write(gone, complete, stop, userControl(streamEOF, s.id))
	}
}

// stop ends whatever the stream does, as the client wishes.
func (s *ServerStream) stop(cause error) {
	s.stopPublish(cause)
	if s.play != nil {
		s.play.cancel(ErrClosed)
		<-s.play.done // it waits at most for a write, which is bounded
		s.play = nil
	}
}

func (s *ServerStream) stopPublish(cause error) {
	if s.pub != nil {
		pub := s.pub
		s.pub = nil
		pub.End(cause)
	}
}

// media hands a message to the publication.
func (s *ServerStream) media(m chunk.Message) error {
	switch m.Type {
	case chunk.Aggregate:
		for part, err := range split(m) {
			if err != nil {
				return nil // what came before is good; the rest of it is lost
			}
			if err := s.media(part); err != nil {
				return err
			}
		}
		return nil
	case chunk.DataAMF0, chunk.DataAMF3:
		m.Payload = unformatted(m)
		m.Type = chunk.DataAMF0
		name, rest, err := amf.Decode(m.Payload)
		if err != nil {
			s.conn.ignored.Add(1)
			return nil
		}
		switch name {
		case "@setDataFrame":
			m.Payload = rest
		case "@clearDataFrame", "|RtmpSampleAccess":
			return nil
		}
	case chunk.Audio, chunk.Video:
	default:
		return nil // a stranger in an aggregate
	}
	if len(m.Payload) == 0 {
		return nil // legal, and means nothing
	}
	if err := s.pub.WriteMessage(m); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}
