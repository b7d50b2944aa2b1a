// Package udp fetches MPEG-TS that is sent by UDP, raw or in RTP.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"weir/ingress"
	"weir/ingress/container"
	"weir/transmux"
	"weir/transmux/mpegts"
	"weir/wire"
	"weir/wire/udp"
)

// silentAfter is how long a source may bring nothing.
const silentAfter = 10 * time.Second

// A Source receives one program from a group or a port.
//
// Its URL is udp://ADDRESS:PORT or rtp://ADDRESS:PORT; both take raw and RTP datagrams. Without ADDRESS it is any local
// one. The query may hold interface=NAME or address, and source=ADDRESS (repeatedly, or separated by commas) for
// source-specific multicast. The forms udp://@GROUP:PORT and udp://SOURCE@GROUP:PORT of other programs are understood.
type Source struct {
	remote wire.Remote
	host   string
	port   uint16
	addr   udp.Address // without Local while host is a name
	shared *Shared
}

var _ ingress.Source = (*Source)(nil)

// New checks r's URL. Sources that shall share sockets are given the same shared.
func New(r wire.Remote, shared *Shared) (*Source, error) {
	s := &Source{remote: r, shared: shared}
	u := r.URL
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%s: a port is missing; write it like udp://239.1.1.7:5000", r.Redacted())
	}
	s.port = uint16(port)
	s.host = u.Hostname()
	q := u.Query()
	s.addr.Interface = r.Interface
	if s.addr.Interface == "" {
		s.addr.Interface = q.Get("interface")
	}
	sources := q["source"]
	if name := u.User.Username(); name != "" {
		sources = append(sources, name)
	}
	for _, list := range sources {
		for text := range strings.SplitSeq(list, ",") {
			a, err := netip.ParseAddr(strings.TrimSpace(text))
			if err != nil {
				return nil, fmt.Errorf("%s: source %q is not an address", r.Redacted(), text)
			}
			s.addr.Sources = append(s.addr.Sources, a.Unmap())
		}
	}
	if err := unknownKey(q, "interface", "source", "program"); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Redacted(), err)
	}
	if text := q.Get("program"); text != "" && r.Program == 0 {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("%s: program %q is not a number from 1 to 65535", r.Redacted(), text)
		}
		s.remote.Program = n
	}
	if len(s.addr.Sources) > 0 {
		if a, err := netip.ParseAddr(s.host); err == nil && !a.IsMulticast() {
			return nil, fmt.Errorf("%s: a source can be chosen for multicast groups only", r.Redacted())
		}
	}
	return s, nil
}

// unknownKey names a key of q that is not among the known ones.
func unknownKey(q url.Values, known ...string) error {
	for k := range q {
		found := false
		for _, n := range known {
			found = found || k == n
		}
		if !found {
			return fmt.Errorf("unknown setting %q; there are %s", k, strings.Join(known, ", "))
		}
	}
	return nil
}

// Run implements ingress.Source.
func (s *Source) Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error {
	a, err := s.address(ctx)
	if err != nil {
		return err
	}
	var last atomic.Int64 // nanoseconds after begin
	begin := time.Now()
	failed := make(chan error, 1)
	d := mpegts.New(container.Only(w, s.remote.Tracks), mpegts.Options{Program: s.remote.Program})
	take := func(packets []byte, now time.Time) {
		last.Store(int64(now.Sub(begin)))
		m.Moved(len(packets), time.Time{})
		if err := d.Write(packets, now); err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	sock, place, err := s.shared.join(ctx, a, s.remote.Log, take)
	if err != nil {
		return err
	}
	defer s.shared.leave(sock, place)
	timer := time.NewTimer(senderPatience)
	defer timer.Stop()
	var flushed int64 // the last datagram before the newest flush
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-failed:
			return err
		case <-sock.done:
			if errors.Is(sock.err, net.ErrClosed) {
				return nil
			}
			return sock.err
		case <-timer.C:
			heard := last.Load()
			silent := time.Since(begin) - time.Duration(heard)
			if silent >= silentAfter {
				return fmt.Errorf("%w in %s: %w", sock.silence(a), silentAfter, wire.ErrIdle)
			}
			// A picture of unknown length is complete when the next one begins, and the last one when nobody goes on.
			if silent >= senderPatience && heard != flushed {
				flushed = heard
				if err := place.do(d.Flush); err != nil {
					return err
				}
			}
			next := silentAfter - silent
			if silent < senderPatience {
				next = senderPatience - silent
			}
			timer.Reset(min(next, senderPatience))
		}
	}
}

// address finds out what host stands for.
func (s *Source) address(ctx context.Context) (udp.Address, error) {
	a := s.addr
	if s.host == "" {
		a.Local = netip.AddrPortFrom(netip.IPv6Unspecified(), s.port)
		return a, nil
	}
	ip, err := netip.ParseAddr(s.host)
	if err != nil {
		all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", s.host)
		if err != nil {
			return a, fmt.Errorf("look up %s: %w", s.host, err)
		}
		ip = all[0]
	}
	if zone := ip.Zone(); zone != "" && a.Interface == "" {
		a.Interface = zone
	}
	a.Local = netip.AddrPortFrom(ip.Unmap().WithZone(""), s.port)
	return a, nil
}
