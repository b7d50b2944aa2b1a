// Package egress is the contract of everything that sends a stream on its own; each folder below is one protocol.
package egress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/transmux"
	"weir/wire"
)

// A Sink sends one stream to one destination.
type Sink interface {
	// Run connects, sends s until the stream or ctx ends or something is wrong, and says goodbye as the protocol does.
	// It never retries: whoever runs it does. Errors are as those of ingress.Source. It returns wire.ErrSlow when nothing
	// could be written for 10 s, an error that wraps wire.ErrNoTrack when no chosen track can be carried, and nil when
	// the stream ended.
	Run(ctx context.Context, s *transmux.Stream, m *wire.Meter) error
}

// Settle is how long a stream may take from its first unit to tell all its tracks.
const Settle = 200 * time.Millisecond

// Gather waits until r has something, and then for d more, so that one write takes all that comes meanwhile. The error is
// that of r or the cause of ctx. A d of 0 only waits for r.
func Gather(ctx context.Context, r interface{ Wait(context.Context) error }, d time.Duration) error {
	if err := r.Wait(ctx); err != nil || d <= 0 {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// SilentAfter is how long Ready waits for announced tracks that send nothing.
const SilentAfter = 2 * time.Second

// Ready waits until s has tracks and all that choose picks are configured, and returns them. Tracks that are not
// configured SilentAfter the call are left out. carries, if not nil, says why a format cannot carry a track; such tracks
// are left out too and returned in dropped with the reason. The error wraps wire.ErrNoTrack if nothing remains; that is
// known only SilentAfter the call, because the set may still grow. When ctx ends before, the error is its cause.
//
// A set with pictures and sound that is configured is returned at once. One with only either is held back while the
// stream is younger than Settle: many origins tell their tracks one after the other, as each begins.
func Ready(ctx context.Context, s *transmux.Stream, choose transmux.Selection, carries func(*transmux.Track) error) (tracks []*transmux.Track, dropped []error, err error) {
	timeout := time.NewTimer(SilentAfter)
	defer timeout.Stop()
	settled := time.NewTimer(Settle)
	defer settled.Stop()
	look := time.NewTicker(Settle / 10)
	defer look.Stop()
	young := s.Age() < Settle
	for late := false; ; {
		all, changed := s.TracksChanged()
		var silent []error
		tracks, dropped, silent = sift(choose.Pick(all), carries)
		if len(tracks) > 0 && (len(silent) == 0 && (!young || both(all)) || late) {
			return tracks, dropped, nil
		}
		if late {
			return nil, dropped, noTrack(len(all), append(silent, dropped...))
		}
		select {
		case <-changed:
		case <-look.C:
			young = young && s.Age() < Settle
		case <-settled.C:
			young = false
		case <-timeout.C:
			late = true
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

func both(tracks []*transmux.Track) bool {
	has := func(k transmux.Kind) bool {
		return slices.ContainsFunc(tracks, func(t *transmux.Track) bool { return t.Kind() == k })
	}
	return has(transmux.KindVideo) && has(transmux.KindAudio)
}

// sift parts tracks into those that are ready, and why the others are not: what cannot be carried, and what may come.
func sift(picked []*transmux.Track, carries func(*transmux.Track) error) (ready []*transmux.Track, dropped, silent []error) {
	for _, t := range picked {
		if carries != nil {
			if why := carries(t); why != nil {
				dropped = append(dropped, fmt.Errorf("track %d (%s) is left out: %w", t.ID, t.Codec, why))
				continue
			}
		}
		if !t.Configured() {
			silent = append(silent, fmt.Errorf("track %d (%s) sent no configuration within %v", t.ID, t.Codec, SilentAfter))
			continue
		}
		ready = append(ready, t)
	}
	return ready, dropped, silent
}

func noTrack(all int, reasons []error) error {
	switch {
	case all == 0:
		return fmt.Errorf("%w: the stream has no tracks yet", wire.ErrNoTrack)
	case len(reasons) == 0:
		return fmt.Errorf("%w: none of the stream's tracks is chosen", wire.ErrNoTrack)
	}
	var why []string
	for _, r := range reasons {
		why = append(why, r.Error())
	}
	return fmt.Errorf("%w: %s", wire.ErrNoTrack, strings.Join(why, "; "))
}

// Permanent reports whether an error of a source or a sink will not go away by trying again soon.
func Permanent(err error) bool {
	for _, p := range []error{wire.ErrWrongUser, wire.ErrNeedUser, wire.ErrNotAllowed, wire.ErrNotFound, wire.ErrNoTrack, wire.ErrBadName} {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}
