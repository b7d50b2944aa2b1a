package transmux

import (
	"io"
	"slices"

	"weir/transmux/ring"
)

// A Feed is a stream in one container format, muxed once for all who receive it. Close it when done. Its methods are safe
// for concurrent use.
type Feed struct {
	s    *Stream
	key  string
	ring *ring.Ring[*Chunk]
	push func(*Chunk) // into ring

	// guarded by s.mu
	muxer  Muxer
	choose Selection
	tracks []*Track // as the muxer knows them
	told   bool     // the muxer knows tracks
	users  int
}

// Feed joins the feed of a format, and makes it when nobody had it: format names it, choose the tracks in it, and
// newMuxer is called at most once; it must not call methods of s. A new feed begins with what the stream's ring holds
// from the newest key frame on, so its first reader starts at once.
func (s *Stream) Feed(format string, choose Selection, newMuxer func() Muxer) *Feed {
	key := format + " " + choose.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[key]
	if f == nil {
		f = &Feed{s: s, key: key, ring: ring.New[*Chunk](s.limits), muxer: newMuxer(), choose: choose}
		f.push = func(c *Chunk) { f.ring.Push(c, c.Size, c.Key, c.DTS) }
		s.feeds[key] = f
		f.replay()
		if s.endErr != nil {
			f.ring.Close(s.endErr)
		}
	}
	f.users++
	return f
}

// Reader returns a cursor that starts at the newest key chunk, or waits for one.
func (f *Feed) Reader() *ring.Reader[*Chunk] { return f.ring.Reader() }

// Close leaves the feed; the last one out ends it, and readers that are left get io.EOF. Call it once.
func (f *Feed) Close() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.users--
	if f.users == 0 {
		delete(f.s.feeds, f.key)
		f.ring.Close(io.EOF)
	}
}

// replay muxes what the stream's ring holds. A track that has changed meanwhile is told to the muxer as it was then, so
// that each unit stands behind its own configuration. Only for the holder of s.mu, so that no unit is missed or doubled.
func (f *Feed) replay() {
	now := f.s.Tracks()
	var units []*AccessUnit
	for r := f.s.ring.Reader(); ; {
		au, ok := r.Try()
		if !ok {
			break
		}
		units = append(units, au)
	}
	then := slices.Clone(now)
	for _, au := range slices.Backward(units) {
		if i := index(then, au.Track.ID); i >= 0 {
			then[i] = au.Track
		}
	}
	f.setTracks(then)
	for _, au := range units {
		if i := index(then, au.Track.ID); i >= 0 && then[i] != au.Track {
			then = slices.Clone(then)
			then[i] = au.Track
			f.setTracks(then)
		}
		f.mux(au)
	}
	f.setTracks(now)
}

func (f *Feed) setTracks(all []*Track) {
	picked := f.choose.Pick(all)
	if f.told && slices.Equal(picked, f.tracks) {
		return
	}
	f.tracks, f.told = picked, true
	f.muxer.Tracks(picked)
}

func (f *Feed) mux(au *AccessUnit) {
	if index(f.tracks, au.Track.ID) >= 0 {
		f.muxer.Mux(au, f.push)
	}
}
