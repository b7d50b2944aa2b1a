package rtsp

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"

	"weir/egress"
	"weir/transmux"
	"weir/wire"
	"weir/wire/rtp"
	wirertsp "weir/wire/rtsp"
)

// Players serves players of any number of servers. Those of one stream share its packets. Use NewPlayers.
type Players struct {
	log   *slog.Logger
	batch time.Duration

	mu    sync.Mutex
	shows map[showKey]*show
}

// NewPlayers returns a Players without any. Over TCP and UDP they wait batch for more to be written at once.
func NewPlayers(log *slog.Logger, batch time.Duration) *Players {
	return &Players{log: log, batch: batch, shows: make(map[showKey]*show)}
}

type showKey struct {
	stream *transmux.Stream
	tracks string
}

// A show is one stream, packed once, while somebody plays it.
type show struct {
	key   showKey
	muxer *rtp.Muxer
	feed  *transmux.Feed
	media int
	users int
}

// Play is what Config.Play of wire/rtsp asks for. It waits for tracks to be configured, at most egress.SilentAfter. The
// error wraps wire.ErrNoTrack if RTP can carry none of them.
func (p *Players) Play(ctx context.Context, g *wire.Grant) (wirertsp.Player, error) {
	key := showKey{g.Stream, g.Tracks.String()}
	if s := p.join(key); s != nil {
		return &player{of: p, show: s, sender: sender{muxer: s.muxer, meter: g.Meter, gather: p.batch}}, nil
	}
	tracks, dropped, err := egress.Ready(ctx, g.Stream, g.Tracks, rtp.Carries)
	if err != nil {
		return nil, err
	}
	for _, why := range dropped {
		p.log.Info("track left out", "stream", g.Name, "protocol", "rtsp", "reason", why)
	}
	s, err := p.open(key, g, tracks)
	if err != nil {
		return nil, err
	}
	return &player{of: p, show: s, sender: sender{muxer: s.muxer, meter: g.Meter, gather: p.batch}}, nil
}

// join returns the show that runs already, nil if there is none whose description still fits.
func (p *Players) join(key showKey) *show {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.shows[key]
	if s == nil {
		return nil
	}
	select {
	case <-s.muxer.Changed():
		delete(p.shows, key)
		return nil
	default:
	}
	s.users++
	return s
}

func (p *Players) open(key showKey, g *wire.Grant, tracks []*transmux.Track) (*show, error) {
	if s := p.join(key); s != nil { // somebody was quicker
		return s, nil
	}
	muxer, err := rtp.NewMuxer(tracks)
	if err != nil {
		return nil, err
	}
	s := &show{key: key, muxer: muxer, media: len(tracks), users: 1}
	s.feed = g.Stream.Feed(feedName(muxer), g.Tracks, func() transmux.Muxer { return muxer })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shows[key] = s
	return s, nil
}

// feedName is a feed of its own for each muxer, for a description that was given out belongs to one.
func feedName(m *rtp.Muxer) string { return fmt.Sprintf("rtp %p", m) }

func (p *Players) leave(s *show) {
	p.mu.Lock()
	s.users--
	last := s.users == 0
	if last && p.shows[s.key] == s {
		delete(p.shows, s.key)
	}
	p.mu.Unlock()
	if last {
		s.feed.Close()
	}
}

// player is one receiver of a show.
type player struct {
	of   *Players
	show *show
	sender
}

var _ wirertsp.Player = (*player)(nil)

func (p *player) Description() *description.Session { return p.show.muxer.Description() }

func (p *player) SSRC(media int) uint32 { return p.show.muxer.SSRC(media) }

func (p *player) Begin() []uint32 {
	t, ok := p.begin(p.show.feed, p.show.media)
	if !ok {
		return nil
	}
	times := make([]uint32, p.show.media)
	for i := range times {
		times[i] = p.show.muxer.Time(i, t)
	}
	return times
}

func (p *player) Run(ctx context.Context, w wirertsp.FrameWriter) error { return p.run(ctx, w) }

func (p *player) Key() any { return p.show }

func (p *player) Close() { p.of.leave(p.show) }
