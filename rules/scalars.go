package rules

import (
	"encoding"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// duration is a time.Duration written with its unit, from 0 to 8760 h.
type duration time.Duration

var _ encoding.TextUnmarshaler = (*duration)(nil)

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration like 500ms or 3s", clip(string(b)))
	}
	if v < 0 || v > 8760*time.Hour {
		return fmt.Errorf("%q is not between 0 and a year", clip(string(b)))
	}
	*d = duration(v)
	return nil
}

// bitrate is in bits per second, written with a k, M or G of 1000.
type bitrate int64

var _ encoding.TextUnmarshaler = (*bitrate)(nil)

func (r *bitrate) UnmarshalText(b []byte) error {
	s := string(b)
	wrong := fmt.Errorf("%q is not a bit rate like 800k or 12M", clip(s))
	if len(s) < 2 {
		return wrong
	}
	unit, ok := map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'G': 1e9}[s[len(s)-1]]
	number := s[:len(s)-1]
	if !ok || strings.Trim(number, "0123456789.") != "" {
		return wrong
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v*unit < 1 || v*unit > 1e12 {
		return wrong
	}
	*r = bitrate(math.Round(v * unit))
	return nil
}

// prefix is an address or a CIDR.
type prefix netip.Prefix

var _ encoding.TextUnmarshaler = (*prefix)(nil)

func (p *prefix) UnmarshalText(b []byte) error {
	s := string(b)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		*p = prefix(netip.PrefixFrom(a, a.BitLen()))
		return nil
	}
	v, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is not an address or a CIDR", clip(s))
	}
	*p = prefix(v.Masked())
	return nil
}

// truth is true or false.
type truth bool

var _ encoding.TextUnmarshaler = (*truth)(nil)

func (t *truth) UnmarshalText(b []byte) error {
	switch string(b) {
	case "true":
		*t = true
	case "false":
		*t = false
	default:
		return fmt.Errorf("%q is not true or false", clip(string(b)))
	}
	return nil
}

// hostPort is where a listener listens.
type hostPort string

var _ encoding.TextUnmarshaler = (*hostPort)(nil)

func (h *hostPort) UnmarshalText(b []byte) error {
	s := string(b)
	host, port, err := net.SplitHostPort(s)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || !digits(port) || strings.ContainsAny(host, " /@?#") {
		if digits(s) && s != "" {
			return fmt.Errorf("%q is not an address like :%s", clip(s), clip(s))
		}
		return fmt.Errorf("%q is not an address like :1935 or 127.0.0.1:1935", clip(s))
	}
	*h = hostPort(net.JoinHostPort(host, strconv.FormatUint(n, 10)))
	return nil
}

// oneOf is a word of a list.
type oneOf struct {
	word  string
	known []string
}

var _ encoding.TextUnmarshaler = (*oneOf)(nil)

func (o *oneOf) UnmarshalText(b []byte) error {
	for _, k := range o.known {
		if k == string(b) {
			o.word = k
			return nil
		}
	}
	return fmt.Errorf("unknown %q%s", clip(string(b)), didYouMean(string(b), o.known))
}

// track is one element of `tracks`: a kind, then a language or a number.
type track string

var _ encoding.TextUnmarshaler = (*track)(nil)

func (t *track) UnmarshalText(b []byte) error {
	s := string(b)
	kind, which, has := strings.Cut(s, ":")
	kinds := []string{"video", "audio", "data"}
	if (&oneOf{known: kinds}).UnmarshalText([]byte(kind)) != nil {
		return fmt.Errorf("unknown %q%s", clip(kind), didYouMean(kind, kinds))
	}
	if n, ok := strings.CutPrefix(which, "#"); ok {
		i, err := strconv.ParseUint(n, 10, 16)
		if err != nil || i < 1 {
			return fmt.Errorf("%q: what follows # counts from 1", clip(s))
		}
		s = kind + ":#" + strconv.FormatUint(i, 10)
	} else if has && (len(which) != 3 || strings.Trim(which, "abcdefghijklmnopqrstuvwxyz") != "") {
		return fmt.Errorf("%q: %q is not a language of three letters like eng, or a number like #2", clip(s), clip(which))
	}
	*t = track(s)
	return nil
}
