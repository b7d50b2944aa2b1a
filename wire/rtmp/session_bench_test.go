package rtmp

import (
	"context"
	"io"
	"net"
	"testing"

	"weir/transmux/amf"
	"weir/wire/rtmp/chunk"
)

// BenchmarkWriteBuffers sends what was cut once to one player over loopback TCP, five messages at a time.
func BenchmarkWriteBuffers(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	cut := chunk.Split(video(1, 0, make([]byte, 12_000)...))
	h := &script{play: func(_ context.Context, s *ServerStream, _ *PlayRequest) error {
		if err := s.WriteStart(); err != nil {
			return err
		}
		b.SetBytes(int64(5 * cut.Size()))
		b.ReportAllocs()
		bufs := make(net.Buffers, 0, 16)
		for b.Loop() {
			batch := bufs[:0]
			for range 5 {
				batch = cut.AppendTo(batch, s.ID())
			}
			if err := s.WriteBuffers(batch); err != nil {
				return err
			}
		}
		s.Close(io.EOF)
		return nil
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, a)
		_ = a.Close()
	}()
	for i, c := range []Command{{Name: "connect", Transaction: 1, Args: []amf.Value{&amf.Object{}}}, {Name: "play", Args: []amf.Value{nil, "cam"}}} {
		m, err := c.Message(uint32(i))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := a.Write(chunk.Append(nil, m, chunk.DefaultChunkSize)); err != nil {
			b.Fatal(err)
		}
	}
	_ = NewServerConn(nc, ServerConfig{Handshaken: true}).Serve(context.Background(), h)
	<-done
}
