// Package wire says who is at the other end of a connection and what the gateway answers: the words that protocol
// adapters and the gateway share.
package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"weir/transmux"
)

// Causes that end a session. They are the log attribute, the metric label and what the protocol's goodbye is made of.
var (
	ErrReplaced = transmux.ErrReplaced
	ErrDenied   = errors.New("access was taken away")
	ErrIdle     = errors.New("nothing was received for too long")
	ErrSlow     = errors.New("the receiver took nothing for too long")
	ErrDrain    = errors.New("the gateway is shutting down")
	ErrEnded    = errors.New("the stream ended")
)

// Refusals. Adapters turn them into the protocol's own status; a *Refusal says more.
var (
	ErrNeedUser   = errors.New("a user name and a password are needed")
	ErrWrongUser  = errors.New("wrong user name or password")
	ErrNotAllowed = errors.New("not allowed")
	ErrBusy       = errors.New("the name is already live")
	ErrNotFound   = errors.New("no such stream")
	ErrBadName    = errors.New("not a stream name")
	ErrNoTrack    = errors.New("no track that this protocol can carry")
	ErrLimit      = errors.New("limit reached")
)

// A Refusal is the gateway's no. It wraps one of the refusal errors.
type Refusal struct {
	Err    error  // one of the Err… above
	Reason string // short, for the peer; never a secret
}

func (r *Refusal) Error() string {
	if r.Reason == "" {
		return r.Err.Error()
	}
	return r.Err.Error() + ": " + r.Reason
}

// Unwrap returns the refusal error.
func (r *Refusal) Unwrap() error { return r.Err }

// A Peer is who asks to publish or to play.
type Peer struct {
	Protocol string // as rules name it: "rtmp", "rtmps", "http-flv"
	Listener string // key in `listen`
	Addr     netip.AddrPort
	Layers   string // "tcp → tls → rtmp"
	Agent    string // what the peer says of itself (flashVer, User-Agent), cut to 200 bytes by the adapter

	// User and Password are what the peer offered; the Door checks them. Verified is set by an adapter that has checked
	// the password itself against Door.Password (Digest, Adobe authentication).
	User, Password string
	Verified       bool
}

// A Door is the gateway as protocol servers see it. Its methods are safe for concurrent use.
type Door interface {
	// Publish asks for the right to write the named stream. The error is a *Refusal or ctx's.
	Publish(ctx context.Context, p Peer, name string) (*Grant, error)
	// Play asks for the right to read the named stream. It may take up to 10 s, while a stream is fetched on demand. The
	// stream has tracks and a first key frame when it returns. The error is a *Refusal or ctx's.
	Play(ctx context.Context, p Peer, name string) (*Grant, error)
	// Password returns a user's password, for protocols that prove it by a digest.
	Password(user string) (string, bool)
}

// A Grant is the gateway's yes. The session that got it calls End exactly once, when it is over.
type Grant struct {
	Name   string             // the stream's name, after `as`
	Writer *transmux.Writer   // publishers only
	Stream *transmux.Stream   // players only
	Tracks transmux.Selection // players only; nil is all
	Meter  *Meter             // counts what the session moves; never nil

	done  <-chan struct{}
	cause func() error
	end   func(error)
	once  sync.Once
}

// NewGrant is for Doors: ctx ends, with a cause, when the gateway takes the grant back; end is called with the cause of
// the session's end, once.
func NewGrant(ctx context.Context, end func(error)) *Grant {
	return &Grant{Meter: new(Meter), done: ctx.Done(), cause: func() error { return context.Cause(ctx) }, end: end}
}

// Done is closed when the gateway takes the grant back; Cause says why.
func (g *Grant) Done() <-chan struct{} { return g.done }

// Cause is why the grant was taken back; nil while it stands.
func (g *Grant) Cause() error { return g.cause() }

// End tells the gateway that the session is over, and why; nil and io.EOF mean that the peer said goodbye.
func (g *Grant) End(err error) {
	if err == nil {
		err = io.EOF
	}
	g.once.Do(func() { g.end(err) })
}

// A Meter counts what one session, source or sink moves. Safe for concurrent use; the zero value is ready.
type Meter struct {
	bytes, units, skips atomic.Uint64
	observe             atomic.Pointer[func(time.Time)]
}

// Moved counts bytes that were written to (or read from) the peer, and observes how long after their arrival; a zero
// arrived is not observed.
func (m *Meter) Moved(bytes int, arrived time.Time) {
	m.bytes.Add(uint64(bytes))
	m.units.Add(1)
	if f := m.observe.Load(); f != nil && !arrived.IsZero() {
		(*f)(arrived)
	}
}

// Skip counts one jump of a slow receiver to the newest key frame.
func (m *Meter) Skip() { m.skips.Add(1) }

// Observe sets the function that takes latencies of what arrives from now on: a receiver that joins late is sent older
// units at first, and their age is not a latency.
func (m *Meter) Observe(f func(time.Duration)) {
	since := time.Now()
	g := func(arrived time.Time) {
		if arrived.After(since) {
			f(time.Since(arrived))
		}
	}
	m.observe.Store(&g)
}

// Totals returns what was counted.
func (m *Meter) Totals() (bytes, units, skips uint64) {
	return m.bytes.Load(), m.units.Load(), m.skips.Load()
}

// A Remote is something that we dial, join or listen for on our own: a source's or a sink's URL with its settings.
type Remote struct {
	URL *url.URL // scheme decides the adapter

	Interface string             // of multicast and UDP: name or address
	Program   int                // MPEG-TS program number; 0 is the first
	Tracks    transmux.Selection // nil is all
	Transport string             // RTSP: tcp, udp, multicast, http; empty tries in order

	TcURL, SwfURL, PageURL, FlashVer string // RTMP connect fields; empty for the usual ones

	Log *slog.Logger // never nil
}

// Redacted is the URL for logs and errors: no user, no password, no values of query keys that carry secrets.
func (r Remote) Redacted() string { return Redact(r.URL) }
