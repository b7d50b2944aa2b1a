// Package rtsp sends streams over RTSP: to players of the server of wire/rtsp, and to servers that take a push.
package rtsp

import (
	"context"
	"errors"
	"time"

	"weir/egress"
	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/rtp"
	wirertsp "weir/wire/rtsp"
)

const (
	// reportEvery is the time between sender reports, on the stream's time line.
	reportEvery = 5 * time.Second
	// maxBatch bounds what is written at once to a receiver who is behind.
	maxBatch = 256 << 10
)

// errTracks ends a session whose description does not fit any more.
var errTracks = errors.New("the tracks of the stream have changed")

// A sender is one receiver's way through the packets of a stream.
type sender struct {
	muxer  *rtp.Muxer
	reader *ring.Reader[*transmux.Chunk]
	meter  *wire.Meter
	gather time.Duration // how long it waits for more to write at once
	media  []counts

	first  *transmux.Chunk // what begin found
	report time.Duration   // when the next sender reports are due
	told   bool
}

// counts are what sender reports tell of one media.
type counts struct{ packets, octets uint32 }

// begin moves to the newest key frame and returns its time; false if there is none yet.
func (s *sender) begin(f *transmux.Feed, media int) (time.Duration, bool) {
	s.reader = f.Reader()
	s.media = make([]counts, media)
	s.told = false
	c, ok := s.reader.Try()
	if !ok {
		s.first = nil
		return 0, false
	}
	s.first = c
	return c.DTS, true
}

// run writes until ctx ends, the stream ends, its tracks change, or w fails. At the end it says goodbye by RTCP.
func (s *sender) run(parent context.Context, w wirertsp.FrameWriter) error {
	ctx, cancel := context.WithCancelCause(parent)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case <-s.muxer.Changed():
			cancel(errTracks)
		case <-ctx.Done():
		}
	}()
	err := s.loop(ctx, w)
	cancel(nil)
	<-watching
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	return err
}

func (s *sender) loop(ctx context.Context, w wirertsp.FrameWriter) error {
	var frames [][]byte
	var batch []*transmux.Chunk
	for {
		frames, batch = frames[:0], batch[:0]
		c, err := s.next(ctx)
		if err != nil {
			for i := range s.media {
				frames = append(frames, s.muxer.Goodbye(i))
			}
			if !errors.Is(err, wire.ErrSlow) {
				w.WriteFrames(frames) //nolint:errcheck // nobody may be there to hear it
			}
			return err
		}
		if s.reader.Skipped() {
			s.meter.Skip()
		}
		for size, ok := 0, true; ok; {
			frames = s.add(frames, c)
			batch = append(batch, c)
			if size += c.Size; size > maxBatch {
				break
			}
			if c, ok = s.reader.Try(); ok && s.reader.Skipped() {
				s.meter.Skip()
			}
		}
		if err := w.WriteFrames(frames); err != nil {
			return err
		}
		for _, c := range batch {
			s.meter.Moved(c.Size, c.Arrived)
		}
		clear(frames)
		clear(batch)
	}
}

func (s *sender) next(ctx context.Context) (*transmux.Chunk, error) {
	if c := s.first; c != nil {
		s.first = nil
		return c, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := egress.Gather(ctx, s.reader, s.gather); err != nil {
		return nil, err
	}
	return s.reader.Next(ctx)
}

// add appends the frames of a chunk, with sender reports before them when they are due.
func (s *sender) add(frames [][]byte, c *transmux.Chunk) [][]byte {
	if !s.told || c.DTS >= s.report {
		s.told, s.report = true, c.DTS+reportEvery
		for i, n := range s.media {
			frames = append(frames, s.muxer.Report(i, c.DTS, n.packets, n.octets))
		}
	}
	for _, f := range c.Bufs {
		if i := rtp.Channel(f) / 2; i >= 0 && i < len(s.media) {
			s.media[i].packets++
			s.media[i].octets += uint32(len(rtp.Packet(f)) - rtpHeader)
		}
	}
	return append(frames, c.Bufs...)
}

// rtpHeader is the size of an RTP header without extensions (RFC 3550 5.1).
const rtpHeader = 12
