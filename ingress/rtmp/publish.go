// Package rtmp takes streams that come over RTMP: published by an encoder, or pulled from a server.
package rtmp

import (
	"context"
	"time"

	"weir/transmux/flv"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
	"weir/wire/rtmp/chunk"
)

// Publish asks the door for a publisher and returns what takes its messages. The connection is closed when the gateway
// takes the grant back.
func Publish(ctx context.Context, door wire.Door, peer wire.Peer, s *wirertmp.ServerStream, req *wirertmp.PublishRequest) (wirertmp.Publication, error) {
	peer.User, peer.Password, peer.Verified = req.User, req.Password, req.Verified && req.User == req.ConnectRequest.User
	grant, err := door.Publish(ctx, peer, req.Name)
	if err != nil {
		return nil, err
	}
	p := &publication{
		grant: grant, demuxer: flv.NewDemuxer(grant.Writer),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go p.watch(s)
	return p, nil
}

// publication is one published stream.
type publication struct {
	grant         *wire.Grant
	demuxer       *flv.Demuxer
	stop, stopped chan struct{} // of watch
}

var _ wirertmp.Publication = (*publication)(nil)

// WriteMessage implements rtmp.Publication.
func (p *publication) WriteMessage(m chunk.Message) error {
	p.grant.Meter.Moved(len(m.Payload), time.Time{})
	return p.demuxer.Tag(m.Type, m.Timestamp, m.Payload, time.Now())
}

// End implements rtmp.Publication.
func (p *publication) End(cause error) {
	close(p.stop)
	<-p.stopped
	if taken := p.grant.Cause(); taken != nil {
		cause = taken
	}
	p.grant.End(cause)
}

// idleAfter is how long a publisher may send nothing; it keeps a name that others may want. It may take half as long
// again to notice.
const idleAfter = 30 * time.Second

// watch closes the connection when the grant is taken back or the publisher idles.
func (p *publication) watch(s *wirertmp.ServerStream) {
	defer close(p.stopped)
	tick := time.NewTicker(idleAfter / 2)
	defer tick.Stop()
	last := uint64(0)
	for quiet := 0; quiet < 2; quiet++ {
		select {
		case <-p.grant.Done():
			s.Close(p.grant.Cause())
			return
		case <-p.stop:
			return
		case <-tick.C:
		}
		if bytes, _, _ := p.grant.Meter.Totals(); bytes != last {
			last, quiet = bytes, -1
		}
	}
	s.Close(wire.ErrIdle)
}
