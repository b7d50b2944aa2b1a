package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"weir/ingress"
	"weir/transmux"
	"weir/wire"
	wirertsp "weir/wire/rtsp"
)

const (
	// firstPacket is how long the first packet may take over UDP, where a firewall may swallow it, before the next
	// transport is tried.
	firstPacket = 3 * time.Second
	// idle is how long no access unit may come.
	idle = 10 * time.Second
)

// A Source pulls one stream from a camera or a server. Run must not be called by two goroutines at once.
type Source struct {
	remote wire.Remote
	order  []string

	mu     sync.Mutex
	worked string // the transport that brought media last
	begin  string // the transport that the next Run tries first; empty for the usual order
}

var _ ingress.Source = (*Source)(nil)

// New returns a source for an rtsp or rtsps URL, with userinfo for Basic or Digest, and ?transport=.
func New(r wire.Remote) (*Source, error) {
	r = wirertsp.Choose(r)
	if err := wirertsp.CheckURL(r.URL); err != nil {
		return nil, err
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	s := &Source{remote: r, order: wirertsp.Transports()}
	if t := r.Transport; t != "" {
		if !slices.Contains(s.order, t) {
			return nil, fmt.Errorf("RTSP has no transport %q; use one of %s", t, strings.Join(s.order, ", "))
		}
		s.order = []string{t}
	}
	return s, nil
}

// Transport is the transport that brought media last; empty if none did yet.
func (s *Source) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worked
}

func (s *Source) first() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begin
}

func (s *Source) startWith(transport string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin = transport
}

// Run implements [ingress.Source]. It tries one transport after the other until one brings media, and begins the
// next time with the one that did, or that stood next.
func (s *Source) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	order := slices.Clone(s.order)
	if t := s.first(); t != "" {
		i := slices.Index(order, t)
		order = slices.Insert(slices.Delete(order, i, i+1), 0, t)
	}
	var first error
	for i, transport := range order {
		p := &pull{remote: s.remote, transport: transport, out: w, meter: m, log: s.remote.Log, last: i == len(order)-1}
		p.flowing = func() {
			s.mu.Lock()
			s.worked, s.begin = transport, transport
			s.mu.Unlock()
		}
		err := p.run(ctx)
		for tries := 0; i > 0 && wirertsp.Status(err) == http.StatusServiceUnavailable && tries < busyTries && pause(ctx, busyPause); tries++ {
			err = p.run(ctx)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil || !errors.Is(err, errTransport) {
			return err
		}
		if first == nil {
			first = err
		}
		if !p.last {
			// Also if the next one fails for another reason: a camera may be busy with ending the session it refused.
			s.startWith(order[i+1])
			s.remote.Log.Info("next transport", "failed", transport, "next", order[i+1], "reason", err)
		}
	}
	s.startWith("")
	return first
}

// A camera that refused a transport may be busy with ending that session, and says 503 meanwhile.
const (
	busyTries = 8
	busyPause = 250 * time.Millisecond
)

// pause waits for d, and reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errTransport marks errors that another transport may mend.
var errTransport = errors.New("this transport does not work")

// byTransport marks err if another transport may mend it.
func byTransport(err error) error {
	if err == nil || !transportProblem(err) {
		return err
	}
	return fmt.Errorf("%w: %w", errTransport, err)
}

func transportProblem(err error) bool {
	switch wirertsp.Status(err) {
	case 461, // unsupported transport
		454, // session not found: servers that forget it when they refuse
		http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, 459, 460,
		http.StatusInternalServerError, http.StatusNotImplemented:
		return true
	}
	var (
		tcp      liberrors.ErrClientServerRequestedTCP
		udp      liberrors.ErrClientServerRequestedUDP
		ports    liberrors.ErrClientServerPortsNotProvided
		delivery liberrors.ErrClientTransportHeaderInvalidDelivery
		noPorts  liberrors.ErrClientTransportHeaderNoPorts
		noDest   liberrors.ErrClientTransportHeaderNoDestination
		noIDs    liberrors.ErrClientTransportHeaderNoInterleavedIDs
		header   liberrors.ErrClientTransportHeaderInvalid
	)
	return errors.As(err, &tcp) || errors.As(err, &udp) || errors.As(err, &ports) || errors.As(err, &delivery) ||
		errors.As(err, &noPorts) || errors.As(err, &noDest) || errors.As(err, &noIDs) || errors.As(err, &header)
}

// protocol puts a transport into the client's words.
func protocol(transport string) (*gortsplib.Protocol, gortsplib.Tunnel) {
	p, tunnel := gortsplib.ProtocolTCP, gortsplib.TunnelNone
	switch transport {
	case "udp":
		p = gortsplib.ProtocolUDP
	case "multicast":
		p = gortsplib.ProtocolUDPMulticast
	case "http":
		tunnel = gortsplib.TunnelHTTP
	}
	return &p, tunnel
}
