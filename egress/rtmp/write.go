package rtmp

import (
	"context"
	"net"
	"time"

	"weir/egress"
	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
	"weir/wire/rtmp/chunk"
)

// maxBatch is how many bytes one write takes at most. A receiver that is that far behind gets on in several writes, each
// with its own deadline.
const maxBatch = 1 << 20

// sender writes the chunks of a feed to one receiver, as many as wait in one go.
type sender struct {
	reader *ring.Reader[*transmux.Chunk]
	id     uint32 // message stream of the receiver
	write  func(net.Buffers) error
	flow   func() wirertmp.Flow // what the receiver wants; nil is everything
	meter  *wire.Meter
	gather time.Duration // how long it waits for more to write at once

	begun    bool // the receiver has metadata and sequence headers, and missed nothing but pictures or sound since
	pictures bool // it has all pictures since a key frame
	bufs     net.Buffers
}

// run sends until the stream or ctx ends or a write fails. The end of the stream is its ring's error.
func (s *sender) run(ctx context.Context) error {
	for {
		gather := s.gather
		if !s.begun {
			gather = 0 // the first picture does not wait
		}
		if err := egress.Gather(ctx, s.reader, gather); err != nil {
			return err
		}
		err := s.batch()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// batch writes what waits, about maxBatch at most.
func (s *sender) batch() error {
	var flow wirertmp.Flow
	if s.flow != nil {
		flow = s.flow()
	}
	bufs, size := s.bufs[:0], 0
	var arrived time.Time // of the oldest chunk, which waited longest
	for size < maxBatch {
		c, ok := s.reader.Try()
		if !ok {
			break
		}
		if s.reader.Skipped() {
			s.begun = false
			s.meter.Skip()
		}
		if flow.Paused {
			s.begun = false
		}
		if flow.Paused || !s.begun && !c.Key {
			continue
		}
		if !s.begun {
			bufs = appendInit(bufs, c, s.id)
			for _, head := range c.Init {
				size += len(head)
			}
			s.begun, s.pictures = true, false
		}
		if !s.wanted(c, flow) {
			continue
		}
		bufs = chunk.Chunked(c.Bufs).AppendTo(bufs, s.id)
		size += c.Size
		if arrived.IsZero() {
			arrived = c.Arrived
		}
	}
	s.bufs = bufs
	if size == 0 {
		return nil
	}
	// What is given away is consumed; the array behind it is used again, and must not keep the chunks alive.
	err := s.write(bufs)
	clear(bufs)
	if err == nil {
		s.meter.Moved(size, arrived)
	}
	return err
}

// wanted reports whether the receiver shall have a chunk. Pictures begin at a key frame, also after a pause in them.
func (s *sender) wanted(c *transmux.Chunk, flow wirertmp.Flow) bool {
	switch c.Kind {
	case transmux.KindVideo:
		s.pictures = !flow.NoVideo && (s.pictures || c.Key)
		return s.pictures
	case transmux.KindAudio:
		return !flow.NoAudio
	}
	return true
}
