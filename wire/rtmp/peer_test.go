package rtmp

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"weir/transmux/amf"
	"weir/wire/rtmp/chunk"
	"weir/wire/rtmp/handshake"
)

var update = flag.Bool("update", false, "write the golden files anew")

// peer is a scripted client of a server session, within a synctest bubble. It writes down what both sides say.
type peer struct {
	t      *testing.T
	nc     net.Conn
	server *ServerConn
	done   chan error // gets what Serve returned

	mu    sync.Mutex
	lines []string
	ended bool
}

// dialogue begins a session with h, up to the handshake.
func dialogue(t *testing.T, cfg ServerConfig, h Handler) *peer {
	t.Helper()
	a, b := net.Pipe()
	p := &peer{t: t, nc: a, server: NewServerConn(b, cfg), done: make(chan error, 1)}
	go func() { p.done <- p.server.Serve(context.Background(), h) }()
	if err := handshake.Client(a); err != nil {
		t.Fatal(err)
	}
	go p.listen()
	return p
}

func (p *peer) listen() {
	r := chunk.NewReader(p.nc)
	for {
		m, err := r.Read()
		p.mu.Lock()
		if err != nil {
			p.ended = true
			p.lines = append(p.lines, "< (closed)")
			p.mu.Unlock()
			return
		}
		p.lines = append(p.lines, "< "+say(m))
		p.mu.Unlock()
	}
}

// send writes messages and waits until the server has answered all it will.
func (p *peer) send(ms ...chunk.Message) {
	p.t.Helper()
	for _, m := range ms {
		p.mu.Lock()
		p.lines = append(p.lines, "> "+say(m))
		p.mu.Unlock()
		if _, err := p.nc.Write(chunk.Append(nil, m, chunk.DefaultChunkSize)); err != nil {
			p.t.Fatal(err)
		}
		synctest.Wait()
	}
}

// call sends a command with a null command object.
func (p *peer) call(streamID uint32, name string, transaction float64, args ...amf.Value) {
	p.t.Helper()
	m, err := Command{Name: name, Transaction: transaction, Args: append([]amf.Value{nil}, args...)}.Message(streamID)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(m)
}

// connect connects to app with further fields, and arguments behind the command object.
func (p *peer) connect(app string, fields ...amf.Field) {
	p.t.Helper()
	o := &amf.Object{Fields: append([]amf.Field{{Name: "app", Value: app}}, fields...)}
	m, err := Command{Name: "connect", Transaction: 1, Args: []amf.Value{o}}.Message(0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(m)
}

// hangUp closes the client's end, and returns what Serve returned.
func (p *peer) hangUp() error {
	p.t.Helper()
	if err := p.nc.Close(); err != nil {
		p.t.Fatal(err)
	}
	return <-p.done
}

// golden compares the transcript with the file of that name.
func (p *peer) golden(name string) {
	p.t.Helper()
	p.mu.Lock()
	got := strings.Join(p.lines, "\n") + "\n"
	p.mu.Unlock()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	if d := cmp.Diff(got, string(want)); d != "" {
		p.t.Errorf("got -; want +\n%s", d)
	}
}

// say writes a message as a person would read it.
func say(m chunk.Message) string {
	at := fmt.Sprintf("[%d/%d] ", m.ChunkID, m.StreamID)
	switch m.Type {
	case chunk.SetChunkSize:
		return at + fmt.Sprintf("SetChunkSize %d", binary.BigEndian.Uint32(m.Payload))
	case chunk.Acknowledgement:
		return at + fmt.Sprintf("Acknowledgement %d", binary.BigEndian.Uint32(m.Payload))
	case chunk.WindowAckSize:
		return at + fmt.Sprintf("WindowAckSize %d", binary.BigEndian.Uint32(m.Payload))
	case chunk.SetPeerBandwidth:
		return at + fmt.Sprintf("SetPeerBandwidth %d %d", binary.BigEndian.Uint32(m.Payload), m.Payload[4])
	case chunk.UserControl:
		return at + fmt.Sprintf("UserControl %d %d", binary.BigEndian.Uint16(m.Payload), binary.BigEndian.Uint32(m.Payload[2:]))
	case chunk.CommandAMF0, chunk.CommandAMF3, chunk.DataAMF0, chunk.DataAMF3:
		values, err := amf.DecodeAll(unformatted(m))
		var words []string
		for _, v := range values {
			words = append(words, sayValue(v))
		}
		if err != nil {
			words = append(words, err.Error())
		}
		kind := map[uint8]string{chunk.CommandAMF0: "", chunk.CommandAMF3: "(17) ", chunk.DataAMF0: "data ", chunk.DataAMF3: "data(15) "}[m.Type]
		return at + kind + strings.Join(words, " ")
	}
	return at + fmt.Sprintf("type %d at %d, %d bytes", m.Type, m.Timestamp, len(m.Payload))
}

func sayValue(v amf.Value) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case nil:
		return "null"
	case amf.Undefined:
		return "undefined"
	case amf.Array:
		var words []string
		for _, e := range v {
			words = append(words, sayValue(e))
		}
		return "[" + strings.Join(words, " ") + "]"
	case *amf.Object, *amf.ECMAArray:
		var words []string
		for _, f := range amf.Members(v) {
			words = append(words, f.Name+":"+sayValue(f.Value))
		}
		return "{" + strings.Join(words, " ") + "}"
	}
	return fmt.Sprint(v)
}

// script is a Handler that writes down what it is asked.
type script struct {
	publishErr, playErr error
	play                func(ctx context.Context, s *ServerStream, req *PlayRequest) error

	mu       sync.Mutex
	publish  []PublishRequest
	plays    []PlayRequest
	messages []chunk.Message
	ends     []error
	stream   *ServerStream
}

func (h *script) Publish(_ context.Context, s *ServerStream, req *PublishRequest) (Publication, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.publish = append(h.publish, *req)
	h.stream = s
	if h.publishErr != nil {
		return nil, h.publishErr
	}
	return (*publication)(h), nil
}

func (h *script) Play(ctx context.Context, s *ServerStream, req *PlayRequest) error {
	h.mu.Lock()
	h.plays = append(h.plays, *req)
	h.stream = s
	h.mu.Unlock()
	if h.playErr != nil {
		return h.playErr
	}
	if h.play != nil {
		return h.play(ctx, s, req)
	}
	if err := s.WriteStart(); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

type publication script

func (p *publication) WriteMessage(m chunk.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages = append(p.messages, m)
	return nil
}

func (p *publication) End(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, cause)
}

var (
	_ Handler     = (*script)(nil)
	_ Publication = (*publication)(nil)
	_ io.Reader   = (*source)(nil)
)
