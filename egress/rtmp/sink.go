package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"weir/egress"
	"weir/transmux"
	"weir/transmux/flv"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
)

// A Sink publishes a stream to an RTMP server: rtmp://user:password@host/app/name, or rtmps. Tracks that only Enhanced
// RTMP carries go to servers that list their codec; H.265, AV1 and VP9 also to servers that list nothing, since Enhanced
// RTMP v1 has no such list.
type Sink struct {
	remote wire.Remote
}

var _ egress.Sink = (*Sink)(nil)

// New checks r's URL.
func New(r wire.Remote) (*Sink, error) {
	if _, err := wirertmp.Locate(r.URL); err != nil {
		return nil, err
	}
	return &Sink{remote: r}, nil
}

// Run implements egress.Sink. When the server asks to connect again, elsewhere or not, it returns an error that wraps a
// *rtmp.ReconnectError: where a stream goes is not for the server to say.
func (s *Sink) Run(ctx context.Context, stream *transmux.Stream, m *wire.Meter) error {
	// Servers wait for media only so long, so the stream comes first.
	tracks, _, err := egress.Ready(ctx, stream, s.remote.Tracks, func(t *transmux.Track) error { return flv.Carries(t, true) })
	if err != nil {
		return err
	}
	conn, err := wirertmp.Publish(ctx, s.remote.URL, wirertmp.ClientConfig{
		TcURL: s.remote.TcURL, SwfURL: s.remote.SwfURL, PageURL: s.remote.PageURL, FlashVer: s.remote.FlashVer,
		FourCCs: FourCCs(), CapsEx: wirertmp.CapsReconnect | wirertmp.CapsMultitrack,
	})
	if err == nil {
		err = s.send(ctx, conn, stream, tracks, m)
	}
	if err != nil {
		return fmt.Errorf("publish to %s: %w", s.remote.Redacted(), err)
	}
	return nil
}

// send publishes the stream, whose tracks are known, on conn, which it closes.
func (s *Sink) send(ctx context.Context, conn *wirertmp.ClientConn, stream *transmux.Stream, tracks []*transmux.Track, m *wire.Meter) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		err := conn.Wait()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the server ended the session: %w", io.ErrUnexpectedEOF)
		}
		cancel(err)
	}()
	// A server that takes nothing must not delay the end: Close cuts off a write that lasts.
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = conn.Close() // says goodbye; whatever comes of it, the connection is done with
	})
	defer func() {
		cancel(nil)
		<-closed
		<-heard
	}()

	d := ofServer(conn.Server())
	if !slices.ContainsFunc(tracks, func(t *transmux.Track) bool { return d.carries(t) == nil }) {
		// Another may come; else this says why.
		if _, _, err := egress.Ready(ctx, stream, s.remote.Tracks, d.carries); err != nil {
			return err
		}
	}
	for _, t := range s.remote.Tracks.Pick(stream.Tracks()) {
		if why := d.carries(t); why != nil {
			s.remote.Log.Info("a track cannot be sent", "stream", stream.Name(), "to", s.remote.Redacted(), "track", t.ID, "codec", t.Codec, "why", why)
		}
	}
	feed := stream.Feed(d.format(), s.remote.Tracks, func() transmux.Muxer { return newMuxer(d) })
	defer feed.Close()
	out := sender{reader: feed.Reader(), id: conn.ID(), write: conn.WriteBuffers, meter: m}
	if err := out.run(ctx); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
