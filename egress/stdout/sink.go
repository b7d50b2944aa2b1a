// Package stdout sends streams to a writer, such as standard output.
package stdout

import (
	"context"
	"fmt"
	"io"
	"net"

	"weir/egress"
	"weir/egress/container"
	"weir/transmux"
	"weir/wire"
)

// A Sink writes one flow of bytes. The URL stdout:?format=ts or flv tells its format; ts if it tells none.
type Sink struct {
	remote wire.Remote
	format container.Format
	out    io.Writer
}

var _ egress.Sink = (*Sink)(nil)

// New checks r's URL. Whoever reads at the other end sets the pace: a write to out may block as long as it likes, and
// Run with it, unless out has Close that ends Write.
func New(r wire.Remote, out io.Writer) (*Sink, error) {
	format, err := container.Parse(r.URL.Query().Get("format"), container.TS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Redacted(), err)
	}
	return &Sink{remote: r, format: format, out: out}, nil
}

// Run implements egress.Sink.
func (s *Sink) Run(ctx context.Context, stream *transmux.Stream, m *wire.Meter) error {
	flow, dropped, err := container.Open(ctx, stream, s.format, s.remote.Tracks)
	for _, d := range dropped {
		s.remote.Log.Warn("a track is left out", "sink", s.remote.Redacted(), "reason", d)
	}
	if err != nil {
		return err
	}
	defer flow.Close()
	stop := context.AfterFunc(ctx, func() {
		if c, ok := s.out.(io.Closer); ok {
			_ = c.Close()
		}
	})
	defer stop()
	return flow.Write(ctx, m, func(b net.Buffers) error {
		_, err := b.WriteTo(s.out)
		if err != nil {
			return fmt.Errorf("write %s: %w", s.remote.Redacted(), err)
		}
		return nil
	})
}
