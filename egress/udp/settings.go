package udp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir/wire"
	"weir/wire/udp"
)

const (
	usualPackets = 7 // of 188 bytes fit into an Ethernet frame
	maxPackets   = 64
	minBitrate   = 32_000
	maxBitrate   = 1_000_000_000
)

// settings are what a URL says.
type settings struct {
	host    string
	to      udp.Destination // without address while host is not looked up
	port    uint16
	rtp     bool
	bitrate int // bits a second of TS packets; 0 is variable
	packets int // TS packets a datagram
}

func parse(r wire.Remote) (settings, error) {
	u := r.URL
	s := settings{host: u.Hostname(), rtp: u.Scheme == "rtp", packets: usualPackets}
	fail := func(format string, args ...any) (settings, error) {
		return s, fmt.Errorf("%s: %w", r.Redacted(), fmt.Errorf(format, args...))
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 || s.host == "" {
		return fail("an address and a port are needed; write it like %s://239.1.1.7:5000", u.Scheme)
	}
	s.port = uint16(port)
	q := u.Query()
	known := []string{"ttl", "dscp", "interface", "bitrate", "pkt", "pkt_size"}
	for k := range q {
		if !slices.Contains(known, k) {
			return fail("unknown setting %q; there are %s", k, strings.Join(known, ", "))
		}
	}
	s.to.Interface = r.Interface
	if s.to.Interface == "" {
		s.to.Interface = q.Get("interface")
	}
	for _, n := range []struct {
		key      string
		low, top int
		to       *int
	}{
		{"ttl", 1, 255, &s.to.TTL},
		{"dscp", 0, 63, &s.to.DSCP},
		{"pkt", 1, maxPackets, &s.packets},
	} {
		text := q.Get(n.key)
		if text == "" {
			continue
		}
		v, err := strconv.Atoi(text)
		if err != nil || v < n.low || v > n.top {
			return fail("%s %q is not a number from %d to %d", n.key, text, n.low, n.top)
		}
		*n.to = v
	}
	if text := q.Get("pkt_size"); text != "" {
		v, err := strconv.Atoi(text)
		if err != nil || v < packetSize || v > maxPackets*packetSize {
			return fail("pkt_size %q is not a number of bytes from %d to %d", text, packetSize, maxPackets*packetSize)
		}
		s.packets = v / packetSize
	}
	if text := q.Get("bitrate"); text != "" {
		if s.bitrate, err = parseBitrate(text); err != nil {
			return fail("%w", err)
		}
	}
	return s, nil
}

// parseBitrate reads "8000000", "8000k" or "8M", in bits a second.
func parseBitrate(text string) (int, error) {
	digits, factor := text, 1.0
	switch text[len(text)-1] {
	case 'k':
		digits, factor = text[:len(text)-1], 1e3
	case 'M':
		digits, factor = text[:len(text)-1], 1e6
	}
	v, err := strconv.ParseFloat(digits, 64)
	if v *= factor; err != nil || v < minBitrate || v > maxBitrate || v != v {
		return 0, fmt.Errorf("bitrate %q is not a bit rate like 800k or 12M, from 32k to 1000M", text)
	}
	return int(v), nil
}

// destination looks the host up.
func (s *settings) destination(ctx context.Context) (udp.Destination, error) {
	d := s.to
	ip, err := netip.ParseAddr(s.host)
	if err != nil {
		all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", s.host)
		if err != nil {
			return d, fmt.Errorf("look up %s: %w", s.host, err)
		}
		ip = all[0]
	}
	if zone := ip.Zone(); zone != "" && d.Interface == "" && ip.IsMulticast() {
		d.Interface = zone
	}
	d.To = netip.AddrPortFrom(ip.Unmap(), s.port)
	return d, nil
}
