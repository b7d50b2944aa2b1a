package rtsp

import (
	"context"
	"fmt"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"

	"weir/wire"
)

// A group is one stream as it goes to multicast, while somebody listens. Who joins later sees what the others see, from
// where it is; nothing is sent for him alone.
type group struct {
	key    any
	stream *gortsplib.ServerStream
	player Player
	users  int
	begun  bool
	cancel context.CancelFunc
	done   chan struct{} // closed when sending has ended
	err    error         // why, once done is closed
}

// join enters the group of an offer's stream, and makes it when nobody has.
func (s *Server) join(o *offer) (*group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := o.player.Key()
	if g := s.groups[key]; g != nil {
		select {
		case <-g.done: // it has ended, and its listeners are about to leave
		default:
			g.users++
			return g, nil
		}
	}
	player, err := s.cfg.Play(s.ctx, o.grant)
	if err != nil {
		return nil, err
	}
	st := &gortsplib.ServerStream{Server: s.engine, Desc: player.Description()}
	if err := st.Initialize(); err != nil {
		player.Close()
		return nil, fmt.Errorf("prepare multicast: %w", err)
	}
	g := &group{key: key, stream: st, player: player, users: 1, done: make(chan struct{})}
	s.groups[key] = g
	return g, nil
}

// leave ends the group with its last listener.
func (s *Server) leave(g *group) {
	s.mu.Lock()
	g.users--
	last := g.users == 0
	if last && s.groups[g.key] == g {
		delete(s.groups, g.key)
	}
	begun := g.begun
	s.mu.Unlock()
	if !last {
		return
	}
	if begun {
		g.cancel()
		<-g.done
	}
	g.stream.Close()
	g.player.Close()
}

// watch begins to send if nobody has, and returns when sending ends.
func (g *group) watch(ctx context.Context) error {
	select {
	case <-g.done:
		if g.err == nil {
			return wire.ErrEnded
		}
		return g.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// begin starts sending with the first PLAY.
func (s *Server) begin(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.begun {
		return
	}
	g.begun = true
	ctx, cancel := context.WithCancel(s.ctx)
	g.cancel = cancel
	g.player.Begin()
	s.running.Go(func() {
		defer close(g.done)
		g.err = g.player.Run(ctx, newGroupQueue(ctx, g.stream))
		rest(ctx, linger)
	})
}

// linger is how long a group outlives its stream. The engine writes from a queue that it throws away when the last listener
// has left, and that cannot be asked whether it is empty.
const linger = 250 * time.Millisecond

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func newGroupQueue(ctx context.Context, st *gortsplib.ServerStream) *Queue {
	q := &Queue{ctx: ctx, to: st, medias: st.Desc.Medias, ssrc: make(map[*description.Media]uint32)}
	for m, stats := range st.Stats().Medias {
		for _, f := range stats.Formats {
			q.ssrc[m] = f.LocalSSRC
		}
	}
	return q
}
