package rtmp

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
)

// TestDialogues asserts message by message what the server answers.
func TestDialogues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it  string
		cfg ServerConfig
		h   *script
		run func(p *peer, h *script)
		err error // of Serve
	}{
		{"publishes as OBS does", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live", amf.Field{Name: "type", Value: "nonprivate"}, amf.Field{Name: "flashVer", Value: "FMLE/3.0 (compatible; FMSc/1.0)"}, amf.Field{Name: "tcUrl", Value: "rtmp://127.0.0.1/live"})
			p.call(0, "releaseStream", 2, "cam")
			p.call(0, "FCPublish", 3, "cam")
			p.call(0, "createStream", 4)
			p.call(1, "publish", 5, "cam", "live")
			p.send(dataMessage(p.t, 1, "@setDataFrame", "onMetaData", &amf.ECMAArray{Fields: []amf.Field{{Name: "width", Value: 640.0}}}))
			p.send(video(1, 0, 0x17, 0, 0, 0, 0))
			p.call(0, "FCUnpublish", 6, "cam")
			p.call(0, "deleteStream", 7, 1.0)
		}, io.EOF},
		{"publishes as FMLE does", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live", amf.Field{Name: "flashver", Value: "FMLE/3.0"}, amf.Field{Name: "objectEncoding", Value: 0.0})
			p.call(0, "_checkbw", 2)
			p.call(0, "releaseStream", 3, "cam")
			p.call(0, "FCPublish", 4, "cam")
			p.call(0, "createStream", 5)
			p.call(1, "publish", 0, "cam", "record")
			p.call(0, "FCUnpublish", 7, "cam")
			p.call(1, "closeStream", 0)
			p.call(0, "deleteStream", 8, 1.0)
			p.call(0, "close", 0)
		}, io.EOF},
		{"plays as Flash does", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live", amf.Field{Name: "objectEncoding", Value: 3.0}, amf.Field{Name: "flashVer", Value: "WIN 32,0,0,465"},
				amf.Field{Name: "swfUrl", Value: "http://example.org/player.swf"})
			p.call(0, "createStream", 2)
			p.call(0, "getStreamLength", 3, "cam")
			p.call(1, "play", 0, "cam", 0.0, -1.0, true)
			p.call(1, "pause", 0, true, 0.0)
			p.call(1, "pause", 0, false, 0.0)
			p.call(1, "pauseRaw", 0, true, 0.0)
			p.call(1, "seek", 0, 1000.0)
			p.call(1, "receiveAudio", 0, false)
			p.call(1, "receiveVideo", 0, false)
			p.call(1, "play2", 0, &amf.Object{Fields: []amf.Field{{Name: "streamName", Value: "cam2"}, {Name: "transition", Value: "switch"}}})
			p.call(1, "closeStream", 0)
			p.call(0, "deleteStream", 0, 1.0)
		}, io.EOF},
		{"subscribes first as FMLE's players do", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "FCSubscribe", 0, "cam")
			p.call(0, "createStream", 2)
			p.call(1, "play", 0, "cam", -1000.0, -1.0, false)
		}, io.EOF},
		{"tells players that the stream ended", ServerConfig{}, &script{play: func(_ context.Context, s *ServerStream, _ *PlayRequest) error {
			if err := s.WriteStart(); err != nil {
				return err
			}
			c := chunk.Split(video(s.ID(), 40, 0x27, 1, 2, 3))
			return s.WriteBuffers(c.AppendTo(nil, s.ID()))
		}}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "createStream", 2)
			p.call(1, "play", 0, "cam")
		}, io.EOF},
		{"answers calls that it does not know", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "getAvailableFlvs", 2)
			p.call(0, "quiet", 0)
			p.call(0, "connect", 3)
			p.send(userControl(pingRequest, 77))
			p.send(control(chunk.WindowAckSize, 10_000))
			p.send(peerBandwidth(1000))
			p.send(peerBandwidth(1000))
			p.send(chunk.Message{Type: chunk.SharedObjectAMF0, ChunkID: 3, Payload: []byte{0}}, chunk.Message{Type: 99, ChunkID: 3})
		}, io.EOF},
		{"takes commands in AMF3", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live", amf.Field{Name: "objectEncoding", Value: 3.0})
			b, err := amf.Append([]byte{0}, "createStream", 2, nil)
			if err != nil {
				p.t.Fatal(err)
			}
			p.send(chunk.Message{Type: chunk.CommandAMF3, ChunkID: 3, Payload: b})
			if b, err = amf.Append([]byte{0}, "publish", 0, nil); err != nil {
				p.t.Fatal(err)
			}
			b, err = amf.Append3(append(b, 0x11), "cam") // the name is an AMF3 value
			if err != nil {
				p.t.Fatal(err)
			}
			p.send(chunk.Message{Type: chunk.CommandAMF3, StreamID: 1, ChunkID: 8, Payload: b})
		}, io.EOF},
		{"refuses a name that is live", ServerConfig{}, &script{publishErr: &wire.Refusal{Err: wire.ErrBusy}}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "createStream", 2)
			p.call(1, "publish", 3, "cam", "live")
		}, io.EOF},
		{"refuses empty names, which mean stop on a live stream", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "createStream", 2)
			p.call(1, "publish", 3, "", "live")
			p.call(1, "publish", 4, "?key=1", "live")
			p.call(1, "publish", 5, false)
			p.call(1, "publish", 6, "cam", "live")
			p.call(1, "publish", 7, "cam", "live")
			p.call(1, "publish", 8, "", "live")
			p.call(1, "publish", 9, "cam", "live")
			p.call(1, "publish", 10, false)
			p.call(1, "play", 11, "")
			p.call(1, "play", 12, false)
		}, io.EOF},
		{"takes a path for the app with an empty name", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live/cam")
			p.call(0, "createStream", 2)
			p.call(1, "publish", 3, "", "live")
			p.call(1, "publish", 4, "", "live")
			p.call(1, "play", 5, "")
		}, io.EOF},
		{"refuses a stream that is not there", ServerConfig{}, &script{playErr: wire.ErrNotFound}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "createStream", 2)
			p.call(1, "play", 3, "cam")
		}, io.EOF},
		{"refuses a player without telling what went wrong inside", ServerConfig{}, &script{playErr: errors.New("dial tcp 10.0.0.1: secret")}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "createStream", 2)
			p.call(1, "play", 3, "cam")
		}, io.EOF},
		{"refuses a client", ServerConfig{Admit: func(*ConnectRequest) error { return &wire.Refusal{Err: wire.ErrNotAllowed, Reason: "not from here"} }}, &script{}, func(p *peer, _ *script) {
			p.connect("live")
		}, wire.ErrNotAllowed},
		{"ends after too many refusals", ServerConfig{Limits: Limits{Refusals: 2}}, &script{publishErr: wire.ErrNotAllowed}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(1, "publish", 0, "a")
			p.call(1, "publish", 0, "b")
		}, ErrRefusals},
		{"bounds the streams of a connection", ServerConfig{Limits: Limits{Streams: 1}}, &script{}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "createStream", 2)
			p.call(0, "createStream", 3)
			p.call(9, "publish", 0, "cam")
			p.call(9, "play", 0, "cam")
		}, io.EOF},
		{"says what it can in Enhanced RTMP", ServerConfig{FourCCs: []string{"hvc1", "Opus"}, CapsEx: CapsReconnect}, &script{}, func(p *peer, _ *script) {
			p.connect("live", amf.Field{Name: "fourCcList", Value: amf.Array{"av01", "hvc1"}}, amf.Field{Name: "capsEx", Value: 1.0})
			if ok, err := p.server.Reconnect("rtmp://other/live", "maintenance"); !ok || err != nil {
				p.t.Errorf("got %v, %v; want a reconnect request", ok, err)
			}
			synctest.Wait()
		}, io.EOF},
		{"says goodbye when it is told to end", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.connect("live")
			p.call(0, "createStream", 2)
			p.call(1, "play", 0, "cam")
			p.server.Close(wire.ErrDrain)
			synctest.Wait()
		}, wire.ErrDrain},
		{"ends when something comes before connect", ServerConfig{}, &script{}, func(p *peer, _ *script) {
			p.call(0, "createStream", 2)
		}, ErrProtocol},
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := dialogue(t, tt.cfg, tt.h)
				tt.run(p, tt.h)
				p.golden(goldenName(tt.it))
				if err := p.hangUp(); !errors.Is(err, tt.err) {
					t.Errorf("got %v; want %v", err, tt.err)
				}
			})
		})
	}
}

func goldenName(it string) string {
	b := []byte(it)
	for i, c := range b {
		if c == ' ' || c == '\'' || c == ',' {
			b[i] = '-'
		}
	}
	return string(b)
}
