package rtmp

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
)

// relay is a Handler that gives players what publishers send, from the first message on: a small gateway for tests.
type relay struct {
	mu      sync.Mutex
	streams map[string]*relayed
}

// relayed is all that one publisher ever sent. It also is its Publication.
type relayed struct {
	mu       sync.Mutex
	messages []chunk.Message
	cut      []chunk.Chunked
	ended    bool
	changed  chan struct{}
	live     bool
}

func (r *relay) stream(name string) *relayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams == nil {
		r.streams = make(map[string]*relayed)
	}
	if r.streams[name] == nil {
		r.streams[name] = &relayed{changed: make(chan struct{})}
	}
	return r.streams[name]
}

func (r *relay) Publish(_ context.Context, _ *ServerStream, req *PublishRequest) (Publication, error) {
	d := r.stream(req.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.live || d.ended {
		return nil, wire.ErrBusy
	}
	d.live = true
	return d, nil
}

func (r *relay) Play(ctx context.Context, s *ServerStream, req *PlayRequest) error {
	d := r.stream(req.Name)
	if err := s.WriteStart(); err != nil {
		return err
	}
	next := 0
	for {
		d.mu.Lock()
		cut, ended, changed := d.cut[next:], d.ended, d.changed
		d.mu.Unlock()
		next += len(cut)
		if len(cut) == 0 {
			if ended {
				return nil
			}
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		var bufs net.Buffers
		for _, c := range cut {
			bufs = c.AppendTo(bufs, s.ID())
		}
		if err := s.WriteBuffers(bufs); err != nil {
			return err
		}
	}
}

func (d *relayed) WriteMessage(m chunk.Message) error {
	m.StreamID = 1
	m.ChunkID = 6
	c := chunk.Split(m)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.messages, d.cut = append(d.messages, m), append(d.cut, c)
	close(d.changed)
	d.changed = make(chan struct{})
	return nil
}

func (d *relayed) End(error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	close(d.changed)
	d.changed = make(chan struct{})
}

// wait waits until the stream has n messages or ended, and returns them.
func (d *relayed) wait(ctx context.Context, n int) []chunk.Message {
	for {
		d.mu.Lock()
		ms, ended, changed := d.messages, d.ended, d.changed
		d.mu.Unlock()
		if len(ms) >= n || ended {
			return ms
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ms
		}
	}
}

// listen serves h on a port of its own until the test ends.
func listen(t *testing.T, cfg ServerConfig, h Handler) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, cfg, h)
	return l.Addr().String()
}

func serveOn(t *testing.T, l net.Listener, cfg ServerConfig, h Handler) {
	ctx, cancel := context.WithCancelCause(context.Background())
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				err := NewServerConn(nc, cfg).Serve(ctx, h)
				t.Logf("session: %v", err)
			})
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		cancel(wire.ErrDrain)
		sessions.Wait()
	})
}

// flvMessages takes an FLV file apart, as an encoder would send it.
func flvMessages(t *testing.T, file []byte) []chunk.Message {
	t.Helper()
	if len(file) < 13 {
		t.Fatal("got no FLV file")
	}
	var out []chunk.Message
	for m, err := range split(chunk.Message{Type: chunk.Aggregate, StreamID: 1, ChunkID: 6, Payload: file[13:]}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Type == chunk.DataAMF0 {
			b, err := amf.Append(nil, "@setDataFrame")
			if err != nil {
				t.Fatal(err)
			}
			m.Payload = append(b, m.Payload...)
		}
		out = append(out, m)
	}
	return out
}
