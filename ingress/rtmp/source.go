package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"weir/ingress"
	"weir/ingress/container"
	"weir/transmux"
	"weir/transmux/flv"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
)

// A Source plays a stream from an RTMP server: rtmp://user:password@host/app/name, or rtmps.
type Source struct {
	remote wire.Remote
}

var _ ingress.Source = (*Source)(nil)

// New checks r's URL.
func New(r wire.Remote) (*Source, error) {
	if _, err := wirertmp.Locate(r.URL); err != nil {
		return nil, err
	}
	return &Source{remote: r}, nil
}

// Run implements ingress.Source.
func (s *Source) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	conn, err := wirertmp.Play(ctx, s.remote.URL, wirertmp.ClientConfig{
		// A server that fetches the stream when it is asked for it may take 10 s to find it.
		Limits: wirertmp.Limits{Handshake: 15 * time.Second}, FourCCs: []string{"*"},
		TcURL: s.remote.TcURL, SwfURL: s.remote.SwfURL, PageURL: s.remote.PageURL, FlashVer: s.remote.FlashVer,
	})
	if err != nil {
		return fmt.Errorf("play %s: %w", s.remote.Redacted(), err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Interrupt(context.Cause(ctx)) })
	defer stop()
	demuxer := flv.NewDemuxer(container.Only(w, s.remote.Tracks))
	for {
		msg, err := conn.Read()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("play %s: %w", s.remote.Redacted(), wire.ErrEnded)
		}
		if err != nil {
			return fmt.Errorf("play %s: %w", s.remote.Redacted(), err)
		}
		m.Moved(len(msg.Payload), time.Time{})
		if err := demuxer.Tag(msg.Type, msg.Timestamp, msg.Payload, time.Now()); err != nil {
			return err
		}
	}
}
