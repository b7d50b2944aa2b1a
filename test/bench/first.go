package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
)

// firstPictures measures how soon players of weir at addr see something.
func firstPictures(ctx context.Context, units []transmux.AccessUnit, addr string) ([]waiting, error) {
	mute := slices.DeleteFunc(slices.Clone(units), func(au transmux.AccessUnit) bool { return au.Track.Kind() != transmux.KindVideo })
	kinds := []struct {
		waiting
		units []transmux.AccessUnit
		late  bool
	}{
		{waiting{What: "waits, pictures and sound", Goal: "< 300 ms after the key frame"}, units, false},
		{waiting{What: "waits, pictures alone", Goal: "< 300 ms after the key frame"}, mute, false},
		{waiting{What: "joins late", Goal: "at once after the connect"}, units, true},
	}
	var out []waiting
	for k, kind := range kinds {
		var took []float64
		for i := range starts {
			say("first picture: %s, %d of %d", kind.What, i+1, starts)
			d, err := firstPicture(ctx, kind.units, fmt.Sprintf("rtmp://%s/live/first-%d-%d", addr, k, i), kind.late)
			if err != nil {
				return nil, fmt.Errorf("first picture: %s: %w", kind.What, err)
			}
			took = append(took, ms(d))
		}
		kind.Median, kind.Max = median(took), slices.Max(took)
		out = append(out, kind.waiting)
	}
	return out, nil
}

// firstPicture is the time from the first key frame, given to the publisher while the player waits already, to the
// player's first picture; or, for a late joiner, from its dialling.
func firstPicture(ctx context.Context, units []transmux.AccessUnit, at string, late bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	near, far := newStream(units), transmux.NewStream("far", ring.Limits{})
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	var sent, pulled error
	all.Go(func() { sent = send(ctx, near.stream, at) })
	begin := func() { all.Go(func() { publish(ctx, near.writer, units, true) }) }
	if late {
		begin()
		// In the middle of a group, which is two seconds long.
		if err := pause(ctx, 1300*time.Millisecond); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	all.Go(func() { pulled = pull(ctx, far, at) })
	if !late {
		// By then the publisher is connected, and the player waits for it.
		if err := pause(ctx, time.Second); err != nil {
			return 0, err
		}
		began = time.Now()
		begin()
	}
	r := far.Reader()
	for {
		au, err := r.Next(ctx)
		if err != nil {
			cancel()
			all.Wait()
			return 0, fmt.Errorf("no picture came: %w", errors.Join(err, sent, pulled))
		}
		if au.Track.Kind() == transmux.KindVideo {
			return time.Since(began), nil
		}
	}
}
