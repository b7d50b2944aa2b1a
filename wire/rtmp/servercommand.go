package rtmp

import (
	"errors"
	"fmt"
	"io"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
)

// command answers what a client calls after connect (RTMP 1.0, 7.2, and what encoders send besides).
func (s *ServerConn) command(id uint32, c Command) error {
	switch c.Name {
	case "createStream":
		return s.createStream(c)
	case "publish":
		return s.publish(id, c)
	case "play":
		return s.playCommand(id, c)
	case "play2":
		return s.play2(id, c)
	case "deleteStream":
		return s.deleteStream(id, c)
	case "closeStream":
		return s.closeStream(id)
	case "pause", "pauseRaw":
		return s.pause(id, c)
	case "seek":
		return s.streamStatus(id, onStatus("error", "NetStream.Seek.Failed", "A live stream has no positions."))
	case "receiveAudio", "receiveVideo":
		on, _ := c.arg(1).(bool)
		if st := s.streams[id]; st != nil {
			bit := uint32(flowNoAudio)
			if c.Name == "receiveVideo" {
				bit = flowNoVideo
			}
			st.setFlow(bit, !on)
		}
		return nil
	case "close":
		return io.EOF
	case "releaseStream", "_checkbw", "checkBandwidth":
		return s.result(c, nil)
	case "FCPublish":
		return s.answered(c, "onFCPublish", "NetStream.Publish.Start")
	case "FCUnpublish":
		return s.answered(c, "onFCUnpublish", "NetStream.Unpublish.Success")
	case "FCSubscribe":
		return s.answered(c, "onFCSubscribe", "NetStream.Play.Start")
	case "FCUnsubscribe":
		return s.answered(c, "onFCUnsubscribe", "NetStream.Play.Stop")
	case "getStreamLength":
		return s.result(c, 0.0)
	case "_result", "_error", "onStatus":
		return nil
	}
	return s.failed(c, "Method not found ("+c.Name[:min(len(c.Name), 80)]+").")
}

// result answers a call, if an answer was asked for.
func (s *ServerConn) result(c Command, v amf.Value) error {
	if c.Transaction == 0 {
		return nil
	}
	return s.call(0, Command{Name: "_result", Transaction: c.Transaction, Args: []amf.Value{nil, v}})
}

func (s *ServerConn) failed(c Command, why string) error {
	if c.Transaction == 0 {
		return nil
	}
	return s.call(0, Command{Name: "_error", Transaction: c.Transaction, Args: []amf.Value{nil, status("error", "NetConnection.Call.Failed", why)}})
}

// answered answers the calls of encoders that wait for a call in return.
func (s *ServerConn) answered(c Command, name, code string) error {
	key := c.text(1)
	back := Command{Name: name, Args: []amf.Value{nil, &amf.Object{Fields: []amf.Field{
		{Name: "level", Value: "status"}, {Name: "code", Value: code}, {Name: "description", Value: key},
	}}}}
	if c.Transaction == 0 {
		return s.call(0, back)
	}
	return s.call(0, Command{Name: "_result", Transaction: c.Transaction, Args: []amf.Value{nil, amf.Undefined{}}}, back)
}

func (s *ServerConn) streamStatus(id uint32, c Command) error { return s.call(id, c) }

func (s *ServerConn) createStream(c Command) error {
	if len(s.streams) >= s.limits.Streams {
		return s.failed(c, "Too many streams on one connection.")
	}
	for s.streams[s.nextID] != nil {
		s.nextID++
	}
	id := s.nextID
	s.nextID = max(1, (s.nextID+1)&0xffffff)
	s.open(id)
	return s.result(c, float64(id))
}

func (s *ServerConn) open(id uint32) *ServerStream {
	st := &ServerStream{conn: s, id: id}
	s.streams[id] = st
	return st
}

// stream is the message stream of a publish or a play. Some encoders never create it.
func (s *ServerConn) stream(id uint32) *ServerStream {
	if st := s.streams[id]; st != nil {
		return st
	}
	if len(s.streams) >= s.limits.Streams {
		return nil
	}
	return s.open(id)
}

func (s *ServerConn) publish(id uint32, c Command) error {
	name, none := nameOf(c.arg(1))
	st := s.stream(id)
	if st == nil {
		return s.refused(id, onStatus("error", "NetStream.Publish.BadName", "Too many streams on one connection."))
	}
	t := s.req.target(name)
	if none || t.implied && st.pub != nil || t.key == "" {
		// Encoders stop with an empty name, and some begin with one.
		if st.pub != nil {
			return s.unpublish(st)
		}
		if none {
			return nil
		}
		return s.refused(id, onStatus("error", "NetStream.Publish.BadName", "The stream name is empty."))
	}
	if st.pub != nil && st.name == t.key {
		return s.announce(st)
	}
	st.stop(io.EOF)
	req := &PublishRequest{ConnectRequest: s.req, Name: t.name, Key: t.key, StreamQuery: t.query, Type: c.text(2), User: t.user, Password: t.password}
	pub, err := s.handler.Publish(s.ctx(), st, req)
	if err != nil {
		return s.refused(id, onStatus("error", "NetStream.Publish.BadName", describe(err), amf.Field{Name: "details", Value: t.key}))
	}
	st.pub, st.name = pub, t.key
	s.r.Limit(chunk.MaxMessage)
	s.r.Large()
	return s.announce(st)
}

// announce tells a publisher to begin.
func (s *ServerConn) announce(st *ServerStream) error {
	start, err := onStatus("status", "NetStream.Publish.Start", st.name+" is now published.", amf.Field{Name: "details", Value: st.name}).Message(st.id)
	if err != nil {
		return err
	}
	return s.write(userControl(streamBegin, st.id), start)
}

func (s *ServerConn) unpublish(st *ServerStream) error {
	st.stopPublish(io.EOF)
	return s.call(st.id, onStatus("status", "NetStream.Unpublish.Success", st.name+" is now unpublished.", amf.Field{Name: "details", Value: st.name}))
}

// refused reports a refusal, and ends the connection when there were too many.
func (s *ServerConn) refused(id uint32, c Command) error {
	if err := s.call(id, c); err != nil {
		return err
	}
	if int(s.refusals.Add(1)) >= s.limits.Refusals {
		return ErrRefusals
	}
	return nil
}

func (s *ServerConn) playCommand(id uint32, c Command) error {
	name, none := nameOf(c.arg(1))
	start, ok := amf.Number(c.arg(2))
	if !ok {
		start = -2
	}
	reset := true
	switch v := c.arg(4).(type) {
	case bool:
		reset = v
	case float64:
		reset = v != 0
	}
	return s.playName(id, name, none, start, reset)
}

// play2 switches to another stream; nothing is blended, the new one begins at a key frame.
func (s *ServerConn) play2(id uint32, c Command) error {
	var name string
	none := true
	for _, f := range amf.Members(c.arg(1)) {
		if f.Name == "streamName" {
			name, none = nameOf(f.Value)
		}
	}
	return s.playName(id, name, none, -2, false)
}

func (s *ServerConn) playName(id uint32, name string, none bool, start float64, reset bool) error {
	st := s.stream(id)
	if st == nil {
		return s.refused(id, onStatus("error", "NetStream.Play.Failed", "Too many streams on one connection."))
	}
	st.stop(io.EOF)
	if none {
		return nil // play(false) is a stop
	}
	t := s.req.target(name)
	if t.key == "" {
		t.key = s.req.App // rtmp://host/name: clients take the only component for the app
	}
	if t.key == "" {
		return s.refused(id, onStatus("error", "NetStream.Play.StreamNotFound", "The stream name is empty."))
	}
	st.startPlay(&PlayRequest{ConnectRequest: s.req, Name: t.name, Key: t.key, StreamQuery: t.query, Start: start, Reset: reset, User: t.user, Password: t.password})
	return nil
}

// refusePlay tells a player why it gets nothing.
func (s *ServerStream) refusePlay(key string, err error) error {
	code := "NetStream.Play.Failed"
	if err == nil || errors.Is(err, wire.ErrNotFound) || errors.Is(err, wire.ErrBadName) {
		code = "NetStream.Play.StreamNotFound"
	}
	if err == nil {
		err = wire.ErrNotFound
	}
	return s.conn.refused(s.id, onStatus("error", code, describe(err), amf.Field{Name: "details", Value: key}))
}

// deleteStream names the stream by its argument, or by the message stream.
func (s *ServerConn) deleteStream(id uint32, c Command) error {
	if n, ok := c.arg(1).(float64); ok && n >= 0 && n <= 0xffffffff {
		id = uint32(n)
	}
	if st := s.streams[id]; st != nil {
		st.stop(io.EOF)
		delete(s.streams, id)
	}
	return nil
}

func (s *ServerConn) closeStream(id uint32) error {
	st := s.streams[id]
	if st == nil {
		return nil
	}
	if st.pub != nil {
		return s.unpublish(st)
	}
	st.stop(io.EOF)
	return nil
}

func (s *ServerConn) pause(id uint32, c Command) error {
	st := s.streams[id]
	if st == nil {
		return nil
	}
	on, _ := c.arg(1).(bool)
	st.setFlow(flowPaused, on)
	if c.Name == "pauseRaw" {
		return nil
	}
	code, word := "NetStream.Unpause.Notify", "Unpausing"
	if on {
		code, word = "NetStream.Pause.Notify", "Pausing"
	}
	return s.call(id, onStatus("status", code, fmt.Sprintf("%s %s.", word, st.name), amf.Field{Name: "details", Value: st.name}))
}
