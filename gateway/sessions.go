package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"weir/rules"
	"weir/wire"
	"weir/wire/rtmp"
)

// session is one peer that publishes, plays, or waits to play.
type session struct {
	id      uint64
	action  string // "publish" or "play"
	name    string
	peer    wire.Peer
	entry   int // of the access list
	started time.Time
	bitrate int64           // limit in bits per second, 0 is none
	ctx     context.Context // ends when the grant is taken back; grants are made of it
	cancel  context.CancelCauseFunc

	// Guarded by hub.mu.
	meter   *wire.Meter // nil while it waits
	live    *live       // nil while it waits
	counted bool        // among what its entry admitted
	rate    rateMeter
}

// admitted counts what one access entry let in.
type admitted struct{ streams, sessions int }

// newSession notes a session if its entry's limits allow; the error is a refusal. The caller holds mu.
func (h *hub) newSession(action string, d rules.Decision, user string, p wire.Peer) (*session, error) {
	a := h.admitted[d.Entry]
	if a == nil {
		a = new(admitted)
		h.admitted[d.Entry] = a
	}
	if n := d.Limit.Sessions; n > 0 && a.sessions >= n {
		return nil, &wire.Refusal{Err: wire.ErrLimit, Reason: fmt.Sprintf("%d sessions are admitted already", n)}
	}
	if n := d.Limit.Streams; action == "publish" && n > 0 && a.streams >= n {
		return nil, &wire.Refusal{Err: wire.ErrLimit, Reason: fmt.Sprintf("%d streams are admitted already", n)}
	}
	h.lastID++
	p.Password, p.User = "", user
	s := &session{id: h.lastID, action: action, name: d.As, peer: p, entry: d.Entry, started: time.Now(), bitrate: d.Limit.Bitrate}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	h.sessions[s.id] = s
	h.recount(s)
	return s, nil
}

// recount adds a session to what its entry admitted. The caller holds mu.
func (h *hub) recount(s *session) {
	if s.counted {
		return
	}
	s.counted = true
	a := h.admitted[s.entry]
	a.sessions++
	if s.action == "publish" {
		a.streams++
	}
}

// uncount is the opposite of recount.
func (h *hub) uncount(s *session) {
	if !s.counted {
		return
	}
	s.counted = false
	a := h.admitted[s.entry]
	a.sessions--
	if s.action == "publish" {
		a.streams--
	}
}

// forget undoes newSession, and keeps the totals. The caller holds mu.
func (h *hub) forget(s *session) {
	delete(h.sessions, s.id)
	h.uncount(s)
	if s.meter != nil {
		h.g.metrics.keep(s.action == "publish", s.peer.Protocol, s.meter)
	}
	h.wake()
}

// drop is forget for a session that was refused.
func (h *hub) drop(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.cancel(nil)
	h.forget(s)
}

// errLeft is the cause of sessions whose peer went away, with or without a goodbye.
var errLeft = errors.New("the peer left")

// end frees the session's context, and returns what the log says of a cause: why the grant was taken back if it was, and
// errLeft however the connection of a peer that went away noticed.
func (s *session) end(cause error) error {
	if taken := context.Cause(s.ctx); taken != nil {
		return taken
	}
	s.cancel(cause)
	for _, left := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, context.Canceled, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, rtmp.ErrClosed,
	} {
		if errors.Is(cause, left) {
			return errLeft
		}
	}
	return cause
}

// tick is called once a second: it closes publishers that send more than their entry admits.
func (h *hub) tick(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		if s.action != "publish" || s.bitrate == 0 || s.live == nil {
			continue
		}
		_, bytes, _ := s.live.stream.Stats()
		if rate, ok := s.rate.add(now, bytes); ok && rate > s.bitrate {
			s.cancel(&wire.Refusal{Err: wire.ErrLimit, Reason: fmt.Sprintf("%d kbit/s are more than the %d kbit/s allowed", rate/1000, s.bitrate/1000)})
		}
	}
}

// drain ends all sessions of an action with wire.ErrDrain, and refuses new ones.
func (h *hub) drain(action string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
	for _, s := range h.sessions {
		if s.action == action {
			s.cancel(wire.ErrDrain)
		}
	}
	h.wake()
}

// has reports whether a session of an action is left. The caller holds mu.
func (h *hub) has(action string) bool {
	for _, s := range h.sessions {
		if s.action == action {
			return true
		}
	}
	return false
}

// rateMeter averages a byte counter over five seconds.
type rateMeter struct {
	at    [6]time.Time
	bytes [6]uint64
	n     int
}

// add takes the counter at a time, once a second, and returns bits per second when five seconds are covered.
func (r *rateMeter) add(now time.Time, bytes uint64) (bitsPerSecond int64, ok bool) {
	i := r.n % len(r.at)
	r.at[i], r.bytes[i] = now, bytes
	r.n++
	if r.n < len(r.at) {
		return 0, false
	}
	old := r.n % len(r.at)
	d := now.Sub(r.at[old]).Seconds()
	if d <= 0 || bytes < r.bytes[old] {
		return 0, false
	}
	return int64(float64(bytes-r.bytes[old]) * 8 / d), true
}
