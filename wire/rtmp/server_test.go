package rtmp

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
)

func video(streamID, ts uint32, payload ...byte) chunk.Message {
	return chunk.Message{Type: chunk.Video, StreamID: streamID, Timestamp: ts, ChunkID: 6, Payload: payload}
}

func dataMessage(t *testing.T, streamID uint32, values ...amf.Value) chunk.Message {
	t.Helper()
	m, err := data(streamID, values...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPublishedMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &script{}
		p := dialogue(t, ServerConfig{}, h)
		p.connect("live/_definst_?token=1&user=ann&pass=a%20b")
		p.call(0, "createStream", 2)
		p.call(1, "publish", 3, "/flv:cam?x=y", "live")
		tag := func(typ byte, ts byte, payload ...byte) []byte {
			return append(append([]byte{typ, 0, 0, byte(len(payload)), 0, 0, ts, 0, 0, 0, 0}, payload...), 0, 0, 0, byte(11+len(payload)))
		}
		p.send(
			dataMessage(t, 1, "@setDataFrame", "onMetaData", nil),
			dataMessage(t, 1, "@clearDataFrame", "onMetaData"),
			chunk.Message{Type: chunk.DataAMF3, StreamID: 1, ChunkID: 5, Payload: append([]byte{0}, dataMessage(t, 1, "onTextData", "x").Payload...)},
			chunk.Message{Type: chunk.Aggregate, StreamID: 1, Timestamp: 1000, ChunkID: 6, Payload: append(tag(9, 50, 1, 2), tag(8, 60, 3)...)},
			video(1, 5),
			video(0, 7, 9),
			video(3, 8, 9),
		)
		if err := p.hangUp(); err != io.EOF {
			t.Errorf("got %v; want %v", err, io.EOF)
		}
		meta, text := dataMessage(t, 1, "onMetaData", nil), dataMessage(t, 1, "onTextData", "x")
		want := []chunk.Message{
			meta, text,
			{Type: 9, StreamID: 1, Timestamp: 1000, ChunkID: 6, Payload: []byte{1, 2}},
			{Type: 8, StreamID: 1, Timestamp: 1010, ChunkID: 6, Payload: []byte{3}},
			{Type: 9, StreamID: 0, Timestamp: 7, ChunkID: 6, Payload: []byte{9}},
		}
		if d := cmp.Diff(h.messages, want); d != "" {
			t.Errorf("got -; want +\n%s", d)
		}
		r := h.publish[0]
		if got, want := []string{r.App, r.Name, r.Key, r.Query, r.StreamQuery, r.User, r.Password}, []string{"live", "live/cam", "cam", "token=1", "x=y", "ann", "a b"}; !cmp.Equal(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
		if d := cmp.Diff(h.ends, []error{io.EOF}, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })); d != "" {
			t.Errorf("got -; want +\n%s", d)
		}
	})
}

func TestFlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &script{}
		p := dialogue(t, ServerConfig{}, h)
		p.connect("live")
		p.call(1, "play", 0, "cam")
		s := h.stream
		check := func(want Flow) {
			t.Helper()
			if got := s.Flow(); got != want {
				t.Errorf("got %+v; want %+v", got, want)
			}
		}
		check(Flow{})
		p.call(1, "pause", 0, true, 0.0)
		p.call(1, "receiveAudio", 0, false)
		check(Flow{Paused: true, NoAudio: true})
		p.call(1, "pause", 0, false, 0.0)
		p.call(1, "receiveAudio", 0, true)
		p.call(1, "receiveVideo", 0, false)
		check(Flow{NoVideo: true})
		m := userControl(setBufferLength, 1)
		m.Payload = binary.BigEndian.AppendUint32(m.Payload, 1234)
		p.send(m)
		if got := s.Buffer(); got != 1234 {
			t.Errorf("got %d ms; want 1234", got)
		}
		if err := p.hangUp(); err != io.EOF {
			t.Errorf("got %v; want %v", err, io.EOF)
		}
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	limits := Limits{Handshake: 5 * time.Second, Ping: 10 * time.Second, Idle: 30 * time.Second, Message: 20 * time.Second}
	tests := []struct {
		it    string
		run   func(p *peer)
		err   error
		after time.Duration
	}{
		{"drops a client that never connects", func(*peer) {}, ErrConnectTimeout, 5 * time.Second},
		{"pings a silent client and drops it", func(p *peer) { p.connect("live") }, wire.ErrIdle, 30 * time.Second},
		{"keeps a client that answers pings", func(p *peer) {
			p.connect("live")
			for range 10 {
				time.Sleep(10 * time.Second) // of the bubble
				p.send(userControl(pingResponse, 0))
			}
		}, wire.ErrIdle, 130 * time.Second},
		{"drops a publisher that stops within a message", func(p *peer) {
			p.connect("live")
			p.call(1, "publish", 0, "cam")
			b := chunk.Append(nil, video(1, 0, make([]byte, 1000)...), chunk.DefaultChunkSize)
			for _, c := range b[:60] {
				if _, err := p.nc.Write([]byte{c}); err != nil {
					return
				}
				time.Sleep(time.Second) // of the bubble
			}
		}, ErrStalled, 32 * time.Second}, // the header alone has 12 bytes
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				p := dialogue(t, ServerConfig{Limits: limits}, &script{})
				tt.run(p)
				if err := <-p.done; !errors.Is(err, tt.err) {
					t.Errorf("got %v; want %v", err, tt.err)
				}
				if got := time.Since(begin); got < tt.after || got > tt.after+2*time.Second {
					t.Errorf("got %v; want about %v", got, tt.after)
				}
			})
		})
	}
}

func TestSlowPlayer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wrote := make(chan error, 1)
		h := &script{play: func(_ context.Context, s *ServerStream, _ *PlayRequest) error {
			if err := s.WriteStart(); err != nil {
				return err
			}
			var err error
			for err == nil {
				err = s.WriteBuffers(chunk.Split(video(s.ID(), 0, make([]byte, 100_000)...)).AppendTo(nil, s.ID()))
			}
			wrote <- err
			return err
		}}
		a, b := net.Pipe()
		s := NewServerConn(b, ServerConfig{Handshaken: true, Limits: Limits{Write: 10 * time.Second}})
		done := make(chan error, 1)
		go func() { done <- s.Serve(context.Background(), h) }()
		for _, c := range []Command{{Name: "connect", Transaction: 1, Args: []amf.Value{&amf.Object{Fields: []amf.Field{{Name: "app", Value: "live"}}}}}, {Name: "play", Args: []amf.Value{nil, "cam"}}} {
			m, err := c.Message(min(1, uint32(len(c.Args)-1)))
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = a.Write(chunk.Append(nil, m, chunk.DefaultChunkSize)) }()
			synctest.Wait()
			if c.Name == "connect" { // read the answer, and nothing after it
				buf := make([]byte, 64<<10)
				if _, err := a.Read(buf); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
		}
		begin := time.Now()
		if err := <-done; !errors.Is(err, wire.ErrSlow) {
			t.Errorf("got %v; want %v", err, wire.ErrSlow)
		}
		if got := time.Since(begin); got > 12*time.Second {
			t.Errorf("got %v; want about 10s", got)
		}
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		a, b := net.Pipe()
		s := NewServerConn(b, ServerConfig{})
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, &script{}) }()
		synctest.Wait()
		cancel(wire.ErrDrain)
		if err := <-done; !errors.Is(err, wire.ErrDrain) {
			t.Errorf("got %v; want %v", err, wire.ErrDrain)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
			t.Errorf("got %v; want a closed connection", err)
		}
	})
}

func TestWriteBuffersNeedsTheChunkSize(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer func() { _ = a.Close() }()
	if err := newConn(b, Limits{}).writeBuffers(nil); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v; want %v", err, ErrProtocol)
	}
}
