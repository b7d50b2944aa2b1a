// Package container sends streams as one flow of bytes.
package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"weir/egress"
	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/mpegts"
	"weir/transmux/ring"
	"weir/wire"
)

// Format is a container format.
type Format string

const (
	FLV Format = "flv"
	TS  Format = "ts"
)

// SlowAfter is how long a receiver may take nothing.
const SlowAfter = 10 * time.Second

// maxWrite is about how many bytes are given to one write; a group of pictures takes several.
const maxWrite = 256 << 10

// Parse reads the value of a setting: "flv", "ts" or "mpegts"; empty is otherwise.
func Parse(text string, otherwise Format) (Format, error) {
	switch text {
	case "":
		return otherwise, nil
	case "flv", "ts":
		return Format(text), nil
	case "mpegts":
		return TS, nil
	}
	return "", fmt.Errorf("format %q is not flv or ts", text)
}

// OfName returns the format that the end of a file name tells, and the name without it. ok is false if it tells none.
func OfName(name string) (base string, f Format, ok bool) {
	if base, ok = strings.CutSuffix(name, ".flv"); ok {
		return base, FLV, true
	}
	base, ok = strings.CutSuffix(name, ".ts")
	return base, TS, ok
}

// ContentType is the media type that players expect.
func (f Format) ContentType() string {
	if f == FLV {
		return "video/x-flv"
	}
	return "video/mp2t"
}

// Carries says why f cannot carry a track; nil if it can.
func (f Format) Carries(t *transmux.Track) error {
	if f == FLV {
		return flv.Carries(t, true)
	}
	return mpegts.Carries(t)
}

func (f Format) muxer(service string) transmux.Muxer {
	if f == FLV {
		return flv.NewMuxer(flv.Options{Enhanced: true})
	}
	return mpegts.NewMuxer(mpegts.MuxOptions{Service: service})
}

// A Flow is one receiver's cursor in the feed that all receivers of a format share. It belongs to one goroutine; Close
// it when done.
type Flow struct {
	Batch time.Duration // how long Take waits for more, once it has caught up; set it before the first Take

	feed   *transmux.Feed
	reader *ring.Reader[*transmux.Chunk]
	header []byte // what the receiver gets before everything, once
	resume bool   // the next chunk must be introduced
	caught bool   // the backlog has been sent: from now on latency means something

	sent []*transmux.Chunk // of the last Take
	size int
}

// Open joins the feed of s in format f, when s has tracks that f can carry. The error wraps wire.ErrNoTrack if it has
// none, or is ctx's cause. dropped says why tracks are left out.
func Open(ctx context.Context, s *transmux.Stream, f Format, choose transmux.Selection) (*Flow, []error, error) {
	tracks, dropped, err := egress.Ready(ctx, s, choose, f.Carries)
	if err != nil {
		return nil, dropped, err
	}
	feed := s.Feed(string(f), choose, func() transmux.Muxer { return f.muxer(s.Name()) })
	flow := &Flow{feed: feed, reader: feed.Reader(), resume: true}
	if f == FLV {
		flow.header = flv.Header(has(tracks, transmux.KindAudio), has(tracks, transmux.KindVideo))
	}
	return flow, dropped, nil
}

func has(tracks []*transmux.Track, k transmux.Kind) bool {
	return slices.ContainsFunc(tracks, func(t *transmux.Track) bool { return t.Kind() == k })
}

// Close leaves the feed.
func (f *Flow) Close() { f.feed.Close() }

// Take waits until there is something to send and appends it to bufs: all that is there, up to about 256 KiB. The slices
// must not be changed. The error is io.EOF at the end of the stream, what the stream was closed with, or ctx's cause.
func (f *Flow) Take(ctx context.Context, bufs net.Buffers, m *wire.Meter) (net.Buffers, error) {
	f.sent, f.size = f.sent[:0], 0
	for {
		for f.size < maxWrite {
			c, ok := f.reader.Try()
			if !ok {
				break
			}
			if f.reader.Skipped() {
				m.Skip()
				f.resume = true
			}
			bufs = f.add(bufs, c)
		}
		if len(f.sent) > 0 {
			return bufs, nil
		}
		f.caught = true
		if err := egress.Gather(ctx, f.reader, f.Batch); err != nil {
			return bufs, err
		}
	}
}

func (f *Flow) add(bufs net.Buffers, c *transmux.Chunk) net.Buffers {
	if f.header != nil {
		bufs = append(bufs, f.header)
		f.size += len(f.header)
		f.header = nil
	}
	if f.resume {
		for _, b := range c.Init {
			f.size += len(b)
		}
		bufs = append(bufs, c.Init...)
		f.resume = false
	}
	f.size += c.Size
	f.sent = append(f.sent, c)
	return append(bufs, c.Bufs...)
}

// Size is the number of bytes of the last Take.
func (f *Flow) Size() int { return f.size }

// Moved counts in m what the last Take returned, when it has been written.
func (f *Flow) Moved(m *wire.Meter) {
	rest := f.size
	for i, c := range f.sent {
		n := c.Size
		if i == len(f.sent)-1 {
			n = rest // with headers
		}
		rest -= n
		arrived := c.Arrived
		if !f.caught {
			arrived = time.Time{}
		}
		m.Moved(n, arrived)
	}
	clear(f.sent)
}

// Write sends the stream with write until it ends, and returns nil then. write may consume the slice that it is given; a
// timeout of it becomes wire.ErrSlow.
func (f *Flow) Write(ctx context.Context, m *wire.Meter, write func(net.Buffers) error) error {
	var store net.Buffers
	for {
		bufs, err := f.Take(ctx, store[:0], m)
		if errors.Is(err, io.EOF) || errors.Is(err, wire.ErrEnded) {
			return nil
		}
		if err != nil {
			return err
		}
		store = bufs
		if err := write(bufs); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
				return wire.ErrSlow
			}
			return err
		}
		f.Moved(m)
	}
}

// WriteConn is for Write: it writes to c with one system call, if c can, and fails when nothing moves for SlowAfter.
func WriteConn(c net.Conn) func(net.Buffers) error {
	gather, ok := c.(interface {
		WriteBuffers(*net.Buffers) (int64, error)
	})
	return func(b net.Buffers) error {
		if err := c.SetWriteDeadline(time.Now().Add(SlowAfter)); err != nil {
			return err
		}
		if ok {
			_, err := gather.WriteBuffers(&b)
			return err
		}
		_, err := b.WriteTo(c)
		return err
	}
}
