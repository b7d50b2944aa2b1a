package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"weir/egress"
	"weir/transmux"
	"weir/wire"
	"weir/wire/rtp"
	wirertsp "weir/wire/rtsp"
)

// A Sink pushes a stream to a server, by ANNOUNCE and RECORD. Run must not be called by two goroutines at once.
type Sink struct {
	remote wire.Remote
	order  []gortsplib.Protocol
}

var _ egress.Sink = (*Sink)(nil)

// New returns a sink for an rtsp or rtsps URL, with userinfo for Basic or Digest, and ?transport=. The transport is tcp or udp; empty is
// tcp, and udp if the server wants no tcp.
func New(r wire.Remote) (*Sink, error) {
	r = wirertsp.Choose(r)
	if err := wirertsp.CheckURL(r.URL); err != nil {
		return nil, err
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sink{remote: r}
	switch r.Transport {
	case "":
		s.order = []gortsplib.Protocol{gortsplib.ProtocolTCP, gortsplib.ProtocolUDP}
		if r.URL.Scheme == "rtsps" {
			s.order = s.order[:1]
		}
	case "tcp":
		s.order = []gortsplib.Protocol{gortsplib.ProtocolTCP}
	case "udp":
		s.order = []gortsplib.Protocol{gortsplib.ProtocolUDP}
	default:
		return nil, fmt.Errorf("RTSP does not push over %q; use tcp or udp", r.Transport)
	}
	return s, nil
}

// Run implements [egress.Sink].
func (s *Sink) Run(ctx context.Context, stream *transmux.Stream, m *wire.Meter) error {
	tracks, dropped, err := egress.Ready(ctx, stream, s.remote.Tracks, rtp.Carries)
	if err != nil {
		return err
	}
	for _, why := range dropped {
		s.remote.Log.Info("track left out", "stream", stream.Name(), "protocol", "rtsp", "reason", why)
	}
	for i, protocol := range s.order {
		err = s.push(ctx, stream, tracks, protocol, m)
		if i == len(s.order)-1 || wirertsp.Status(err) != int(base.StatusUnsupportedTransport) {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, wire.ErrEnded), errors.Is(err, io.EOF):
		return nil
	}
	return err
}

func (s *Sink) push(ctx context.Context, stream *transmux.Stream, tracks []*transmux.Track, protocol gortsplib.Protocol, m *wire.Meter) error {
	muxer, err := rtp.NewMuxer(tracks)
	if err != nil {
		return err
	}
	feed := stream.Feed(feedName(muxer), s.remote.Tracks, func() transmux.Muxer { return muxer })
	defer feed.Close()

	c, u, err := wirertsp.NewClient(s.remote)
	if err != nil {
		return err
	}
	c.Protocol = &protocol
	c.DisableRTCPSenderReports = true // ours are of one clock for all tracks
	var channels []int
	c.OnResponse = func(res *base.Response) {
		var th headers.Transport
		if res.StatusCode == base.StatusOK && th.Unmarshal(res.Header["Transport"]) == nil && th.InterleavedIDs != nil {
			channels = append(channels, th.InterleavedIDs[0])
		}
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close() // with TEARDOWN
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()

	user := s.remote.URL.User != nil
	desc := muxer.Description()
	if _, err := c.Announce(u, desc); err != nil {
		return wirertsp.ClientError(fmt.Errorf("announce: %w", err), user)
	}
	if err := c.SetupAll(u, desc.Medias); err != nil {
		return wirertsp.ClientError(fmt.Errorf("set up: %w", err), user)
	}
	if _, err := c.Record(); err != nil {
		return wirertsp.ClientError(fmt.Errorf("record: %w", err), user)
	}
	stop() // from here on the packets stop first, then comes TEARDOWN
	return s.send(ctx, c, &sender{muxer: muxer, meter: m}, feed, func(ctx context.Context) wirertsp.FrameWriter {
		if protocol == gortsplib.ProtocolTCP {
			return wirertsp.NewTCPWriter(c.Conn(), channels)
		}
		return wirertsp.NewQueue(ctx, &c.Client, c.Stats().Session.Medias, desc.Medias)
	})
}

// send writes until ctx, the stream or the connection ends.
func (s *Sink) send(parent context.Context, c *wirertsp.Client, out *sender, feed *transmux.Feed, writer func(context.Context) wirertsp.FrameWriter) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		cancel(fmt.Errorf("the server ended the session: %v", c.Wait())) // its EOF is not that of the stream
	})
	defer waiting.Wait()
	defer c.Close()
	// A write that the server does not take ends after Patience, or at once when the session is over.
	defer context.AfterFunc(ctx, c.Conn().Interrupt)()
	out.begin(feed, len(out.muxer.Description().Medias))
	return out.run(ctx, writer(ctx))
}
