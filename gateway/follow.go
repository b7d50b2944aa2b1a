package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"weir/ingress"
	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

// follow copies units that r reads from s, from a unit on where a reader may start, until s or ctx ends. Units keep their
// tracks and share their data. The writer is asked for when the first of them is there, so that nobody is disturbed before.
func follow(ctx context.Context, s *transmux.Stream, r *ring.Reader[*transmux.AccessUnit], choose transmux.Selection, m *wire.Meter, begin func() *transmux.Writer) error {
	var w *transmux.Writer
	var changed <-chan struct{}
	var ids map[int]bool
	for {
		au, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if w == nil && !starts(s, au) {
			continue
		}
		if w == nil || ended(changed) {
			var tracks []*transmux.Track
			tracks, changed = s.TracksChanged()
			picked := choose.Pick(tracks)
			ids = make(map[int]bool, len(picked))
			for _, t := range picked {
				ids[t.ID] = true
			}
			if w == nil {
				w = begin()
			}
			w.SetTracks(picked)
		}
		if !ids[au.Track.ID] {
			continue
		}
		copied := *au
		copied.Gap = copied.Gap || r.Skipped()
		if err := w.Write(copied); err != nil {
			return err
		}
		m.Moved(len(au.Data), time.Time{})
	}
}

// starts reports whether the picture, or the sound of a stream without pictures, may begin at au.
func starts(s *transmux.Stream, au *transmux.AccessUnit) bool {
	if au.Track.Kind() == transmux.KindVideo {
		return au.Key
	}
	return !slices.ContainsFunc(s.Tracks(), func(t *transmux.Track) bool { return t.Kind() == transmux.KindVideo })
}

// follower is the source `stream:NAME`: another stream of this gateway.
type follower struct {
	g      *Gateway
	name   string
	tracks transmux.Selection
}

var _ ingress.Source = (*follower)(nil)

// Run waits until the other stream is live, counts as its player while it runs, and ends with it.
func (f *follower) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	l, release, err := f.g.hub.await(ctx, f.name)
	if err != nil {
		return fmt.Errorf("follow stream %q: %w", f.name, err)
	}
	defer release()
	return follow(ctx, l.stream, l.stream.Reader(), f.tracks, m, func() *transmux.Writer { return w })
}

// mediaTimeout is how long a source may run without an access unit.
const mediaTimeout = 10 * time.Second

var errNoMedia = fmt.Errorf("no picture and no sound for %v", mediaTimeout)

// tryOnce runs a source once into s, calls up when media come, and ends it when none do. A patient one may wait for ever.
func (g *Gateway) tryOnce(ctx context.Context, src ingress.Source, s *transmux.Stream, patient bool, m *wire.Meter, up func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer cancel(nil)
	watcher.Go(func() { watch(ctx, s, patient, up, cancel) })
	err := src.Run(ctx, s.NewWriter(), m)
	if cause := context.Cause(ctx); cause != nil && err != nil {
		err = cause
	}
	return err
}

// watch ends a run (by cancel) whose stream got no unit for mediaTimeout, and calls up at the first one. It returns when
// ctx ends.
func watch(ctx context.Context, s *transmux.Stream, patient bool, up func(), cancel context.CancelCauseFunc) {
	last, _, _ := s.Stats()
	since := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for running := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		units, _, _ := s.Stats()
		switch {
		case units != last:
			if !running {
				running = true
				up()
				if patient {
					return
				}
				tick.Reset(mediaTimeout / 20)
			}
			last, since = units, time.Now()
		case !patient && time.Since(since) > mediaTimeout:
			cancel(errNoMedia)
			return
		}
	}
}
