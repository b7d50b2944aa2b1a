package transmux

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/transmux/clock"
	"weir/transmux/ring"
)

// ErrReplaced ends a writer whose stream was given to another origin.
var ErrReplaced = errors.New("another publisher took over")

// patience is how long, on the stream's time line, a stream that announced video (or audio) waits for its first key frame
// (or unit) before readers may start without one.
const patience = 2 * time.Second

// A Stream is one flow of access units: a ring with one writer at a time and any number of readers. Its methods are safe
// for concurrent use.
type Stream struct {
	name string
	ring *ring.Ring[*AccessUnit]

	units, bytes, gaps atomic.Uint64
	tracks             atomic.Pointer[trackSet]

	// mu serializes writers, and the coming and going of feeds. The media path takes it once for a unit and meets
	// nobody there but a feed that begins or ends, or a writer that is being replaced.
	mu     sync.Mutex
	writer *Writer
	line   clock.Line
	limits ring.Limits
	feeds  map[string]*Feed
	first  time.Duration // DTS of the writer's first unit
	any    bool          // the writer wrote a unit
	seen   [3]bool       // by kind: the writer wrote a unit where a reader may start
	endErr error         // nil before Close
}

// trackSet is replaced as a whole, so that readers see one consistent set.
type trackSet struct {
	tracks  []*Track
	changed chan struct{} // closed when this set is replaced
}

// NewStream returns a stream without tracks. Zero limits mean ring.DefaultLimits.
func NewStream(name string, limits ring.Limits) *Stream {
	s := &Stream{name: name, ring: ring.New[*AccessUnit](limits), limits: limits, feeds: make(map[string]*Feed)}
	s.tracks.Store(&trackSet{changed: make(chan struct{})})
	return s
}

// Name is the name under which the stream is published.
func (s *Stream) Name() string { return s.name }

// Tracks returns the present set, ordered by ID. Callers must not change the slice.
func (s *Stream) Tracks() []*Track { return s.tracks.Load().tracks }

// TracksChanged returns the present set and a channel that is closed when it changes.
func (s *Stream) TracksChanged() ([]*Track, <-chan struct{}) {
	set := s.tracks.Load()
	return set.tracks, set.changed
}

// Reader returns a cursor that starts at the newest key frame, or waits for one.
func (s *Stream) Reader() *ring.Reader[*AccessUnit] { return s.ring.Reader() }

// Stats counts what was written so far.
func (s *Stream) Stats() (units, bytes, gaps uint64) {
	return s.units.Load(), s.bytes.Load(), s.gaps.Load()
}

// Age is how much of the stream's time line the present writer has filled.
func (s *Stream) Age() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.any {
		return 0
	}
	return s.line.Now() - s.first
}

// Close ends the stream: readers get what is left and then err (nil stands for io.EOF). The first call counts.
func (s *Stream) Close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endErr != nil {
		return
	}
	if err == nil {
		err = io.EOF
	}
	s.endErr = err
	s.writer = nil
	s.ring.Close(err)
	for _, f := range s.feeds {
		f.ring.Close(err)
	}
}

// NewWriter gives the stream to a new origin. The time line goes on where it was; the writer before gets ErrReplaced.
// The writer of a closed stream gets the error that it was closed with.
func (s *Stream) NewWriter() *Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &Writer{s: s}
	if s.endErr != nil {
		return w
	}
	s.writer = w
	s.line.Rebase()
	s.any, s.seen = false, [3]bool{}
	return w
}

// A Writer is one origin's right to write a stream. It is safe for concurrent use, so that an origin may read each track
// in a goroutine of its own.
type Writer struct{ s *Stream }

var _ Out = (*Writer)(nil)

// Stream is the stream it writes.
func (w *Writer) Stream() *Stream { return w.s }

// SetTracks declares the complete set of tracks. Tracks that are equal to present ones keep their identity: the stream
// stays with the older pointer. Of several tracks with one ID the last counts.
func (w *Writer) SetTracks(tracks []*Track) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == w {
		s.setTracks(tracks)
	}
}

func (s *Stream) setTracks(tracks []*Track) {
	old := s.tracks.Load()
	next := make([]*Track, 0, len(tracks))
	for _, t := range tracks {
		if t == nil {
			continue
		}
		if i := index(old.tracks, t.ID); i >= 0 && old.tracks[i].equal(t) {
			t = old.tracks[i]
		}
		if i := index(next, t.ID); i >= 0 {
			next[i] = t
		} else {
			next = append(next, t)
		}
	}
	slices.SortFunc(next, func(a, b *Track) int { return cmp.Compare(a.ID, b.ID) })
	if slices.Equal(next, old.tracks) {
		return
	}
	s.tracks.Store(&trackSet{next, make(chan struct{})})
	close(old.changed)
	for _, f := range s.feeds {
		f.setTracks(next)
	}
}

func index(tracks []*Track, id int) int {
	return slices.IndexFunc(tracks, func(t *Track) bool { return t.ID == id })
}

// Write puts one unit on the stream's time line and hands it to all readers. The unit's times are the origin's own; they
// are rebased, and jumps are repaired and counted. Units without data are dropped. It returns ErrReplaced when the
// stream belongs to another writer, or the error that the stream was closed with.
func (w *Writer) Write(in AccessUnit) error {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endErr != nil {
		return s.endErr
	}
	if s.writer != w {
		return ErrReplaced
	}
	if len(in.Data) == 0 || in.Track == nil {
		return nil
	}
	au := new(AccessUnit)
	*au = in
	au.Track = s.noteTrack(in.Track)
	kind := au.Track.Kind()
	if kind != KindVideo {
		au.Key = true
	}
	var gap bool
	au.DTS, au.PTS, gap = s.line.Map(au.Track.ID, in.DTS, in.PTS, in.Arrived)
	if gap {
		au.Gap = true
	}
	if au.Gap {
		s.gaps.Add(1)
	}
	if !s.any {
		s.any, s.first = true, au.DTS
	}
	if au.Key {
		s.seen[kind] = true
	}
	s.units.Add(1)
	s.bytes.Add(uint64(len(au.Data)))
	s.ring.Push(au, len(au.Data), s.startsAt(au), au.DTS)
	for _, f := range s.feeds {
		f.mux(au)
	}
	return nil
}

// startsAt reports whether a reader may start at au: a video key frame, or any audio if there is no video (or none ever
// came), or any data if there is neither.
func (s *Stream) startsAt(au *AccessUnit) bool {
	switch au.Track.Kind() {
	case KindVideo:
		return au.Key
	case KindAudio:
		return !s.waitsFor(KindVideo, au)
	}
	return !s.waitsFor(KindVideo, au) && !s.waitsFor(KindAudio, au)
}

// waitsFor reports whether a reader at au should rather start at a unit of kind k.
func (s *Stream) waitsFor(k Kind, au *AccessUnit) bool {
	if !slices.ContainsFunc(s.Tracks(), func(t *Track) bool { return t.Kind() == k }) {
		return false
	}
	return s.seen[k] || au.DTS-s.first < patience
}

// noteTrack makes t a member of the set, in place of another track with its ID, and returns it, or the member that is
// equal to it.
func (s *Stream) noteTrack(t *Track) *Track {
	tracks := s.Tracks()
	i := index(tracks, t.ID)
	switch {
	case i < 0:
		s.setTracks(append(slices.Clone(tracks), t))
	case tracks[i].equal(t):
		return tracks[i]
	default:
		next := slices.Clone(tracks)
		next[i] = t
		s.setTracks(next)
	}
	return t
}
