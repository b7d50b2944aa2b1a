// Package demo is the built-in camera: a short clip that plays for ever, in real time, on a time line without a seam.
package demo

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"weir/ingress"
	"weir/transmux"
	"weir/transmux/flv"
	"weir/wire"
)

// clip is 8 s of H.264 with B-frames and AAC, made by make-clip.sh.
//
//go:embed clip.flv
var clip []byte

// loop is how long the clip plays: a whole number of pictures and of audio frames.
const loop = 8 * time.Second

// late is by how much the camera may be behind, after the machine slept, before it stops hurrying.
const late = time.Second

// A Camera plays the clip. Use New. One Camera may Run several times, also at once.
type Camera struct {
	tracks []*transmux.Track
	units  []transmux.AccessUnit // of one loop, ordered by DTS, which begins at zero
}

var _ ingress.Source = (*Camera)(nil)

// New reads the embedded clip. Of r only Tracks is used.
func New(r wire.Remote) (*Camera, error) {
	found := new(found)
	if err := flv.NewReader(flv.NewDemuxer(found)).Feed(clip, time.Time{}); err != nil {
		return nil, fmt.Errorf("read the built-in clip: %w", err)
	}
	c := &Camera{tracks: r.Tracks.Pick(found.tracks)}
	start := found.units[0].DTS
	for _, t := range c.tracks {
		units, err := onLoop(found.units, t.ID, start)
		if err != nil {
			return nil, fmt.Errorf("the built-in clip: %w", err)
		}
		c.units = append(c.units, units...)
	}
	if len(c.units) == 0 {
		return nil, fmt.Errorf("demo camera: %w", wire.ErrNoTrack)
	}
	slices.SortStableFunc(c.units, func(a, b transmux.AccessUnit) int { return int(a.DTS - b.DTS) })
	return c, nil
}

// Run writes the clip again and again until ctx ends or w takes no more. Every unit is written when its DTS is due after
// the call; a unit's times in round n are those of the clip plus n loops.
func (c *Camera) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	w.SetTracks(c.tracks)
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for round := time.Duration(0); ; round += loop {
		for _, u := range c.units {
			u.DTS += round
			u.PTS += round
			wait := time.Until(start.Add(u.DTS))
			if wait < -late {
				start, wait = start.Add(-wait), 0
			}
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			u.Arrived = time.Now()
			if err := w.Write(u); err != nil {
				return err
			}
			m.Moved(len(u.Data), time.Time{})
		}
	}
}

// found gathers what the demuxer finds.
type found struct {
	tracks []*transmux.Track
	units  []transmux.AccessUnit
}

var _ transmux.Out = (*found)(nil)

func (f *found) SetTracks(tracks []*transmux.Track) { f.tracks = tracks }

func (f *found) Write(u transmux.AccessUnit) error {
	i := slices.IndexFunc(f.tracks, func(t *transmux.Track) bool { return t.ID == u.Track.ID })
	if i < 0 {
		f.tracks = append(slices.Clone(f.tracks), u.Track)
	} else if f.tracks[i] != u.Track {
		f.tracks = slices.Clone(f.tracks)
		f.tracks[i] = u.Track
	}
	f.units = append(f.units, u)
	return nil
}

// onLoop takes one track's units and puts their DTS, counted from start, on a circle as long as the loop, at even
// distances: FLV rounds to milliseconds, and 21⅓ ms of audio would otherwise stumble at the seam. What PTS is above DTS
// stays.
func onLoop(all []transmux.AccessUnit, id int, start time.Duration) ([]transmux.AccessUnit, error) {
	var units []transmux.AccessUnit
	for _, u := range all {
		if u.Track.ID == id {
			units = append(units, u)
		}
	}
	if len(units) == 0 {
		return nil, nil
	}
	first, n := units[0].DTS, time.Duration(len(units))
	for i := range units {
		u := &units[i]
		even := first + time.Duration(i)*loop/n
		if off := u.DTS - even; off < -time.Millisecond || off > time.Millisecond {
			return nil, fmt.Errorf("%s unit %d is %v away from an even distance", u.Track.Codec, i, off)
		}
		above := u.PTS - u.DTS
		u.DTS = (even - start) % loop
		u.PTS = u.DTS + above
	}
	return units, nil
}
