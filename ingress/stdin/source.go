// Package stdin takes FLV or MPEG-TS from a reader, such as standard input.
package stdin

import (
	"context"
	"fmt"
	"io"
	"time"

	"weir/ingress"
	"weir/ingress/container"
	"weir/transmux"
	"weir/wire"
)

// A Source reads one flow of bytes. The URL stdin:?format=flv or ts tells what it is; otherwise it is found out.
type Source struct {
	remote wire.Remote
	format container.Format
	in     io.Reader
}

var _ ingress.Source = (*Source)(nil)

// New checks r's URL. To be stopped while it waits, in must have SetReadDeadline that works, or Close that ends Read.
func New(r wire.Remote, in io.Reader) (*Source, error) {
	format, err := container.Parse(r.URL.Query().Get("format"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Redacted(), err)
	}
	return &Source{remote: r, format: format, in: in}, nil
}

// Run implements ingress.Source. It can be called once: what is read is gone.
func (s *Source) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	stop := context.AfterFunc(ctx, s.interrupt)
	defer stop()
	out := &paced{Out: w, ctx: ctx}
	err := container.Read(s.in, container.Options{Format: s.format, Program: s.remote.Program, Tracks: s.remote.Tracks}, out, m)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", s.remote.Redacted(), err)
	}
	return nil
}

func (s *Source) interrupt() {
	if d, ok := s.in.(interface{ SetReadDeadline(time.Time) error }); ok && d.SetReadDeadline(time.Unix(1, 0)) == nil {
		return
	}
	if c, ok := s.in.(io.Closer); ok {
		_ = c.Close()
	}
}
