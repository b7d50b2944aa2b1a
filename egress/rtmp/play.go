package rtmp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"weir/egress"
	"weir/transmux"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
)

// Play asks the door for a player and sends it the stream until it leaves, the stream ends (wire.ErrEnded), or the
// gateway takes the grant back. It waits batch for more to be written at once. What it returns before the stream began is the refusal.
func Play(ctx context.Context, door wire.Door, peer wire.Peer, s *wirertmp.ServerStream, req *wirertmp.PlayRequest, batch time.Duration, log *slog.Logger) (err error) {
	peer.User, peer.Password, peer.Verified = req.User, req.Password, req.Verified && req.User == req.ConnectRequest.User
	grant, err := door.Play(ctx, peer, req.Name)
	if err != nil {
		return err
	}
	defer func() { grant.End(err) }()
	ctx, release := until(ctx, grant)
	defer release()

	d := ofPlayer(req.ConnectRequest)
	_, dropped, err := egress.Ready(ctx, grant.Stream, grant.Tracks, d.carries)
	if err != nil {
		return err
	}
	for _, why := range dropped {
		log.Info("a track cannot be played over RTMP", "name", grant.Name, "address", peer.Addr, "why", why)
	}
	feed := grant.Stream.Feed(d.format(), grant.Tracks, func() transmux.Muxer { return newMuxer(d) })
	defer feed.Close()
	if err := s.WriteStart(); err != nil {
		return err
	}
	out := sender{reader: feed.Reader(), id: s.ID(), write: s.WriteBuffers, flow: s.Flow, meter: grant.Meter, gather: batch}
	if err := out.run(ctx); !errors.Is(err, io.EOF) {
		return err
	}
	return wire.ErrEnded
}

// until is ctx until the grant is taken back; release it when done.
func until(ctx context.Context, grant *wire.Grant) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-grant.Done():
			cancel(grant.Cause())
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-stopped
	}
}
