package rules

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// Settings are what can be said of a URL beside it, in `sources` and `send`. They are comparable.
type Settings struct {
	Interface string // of multicast and UDP: a name or an address
	Program   int    // MPEG-TS program number; 0 is the first. Sources only
	Transport string // RTSP: tcp, udp, multicast or http; empty tries in order. Sources only

	TcURL, SwfURL, PageURL, FlashVer Text // RTMP connect fields; empty for the usual ones
}

func (h hasher) addSettings(s Settings) {
	for _, p := range []string{s.Interface, fmt.Sprint(s.Program), s.Transport, s.TcURL.real, s.SwfURL.real, s.PageURL.real, s.FlashVer.real} {
		h.add(p)
	}
}

// settings returns the keys that write into s.
func (d *decoder) settings(s *Settings, path string) []field {
	text := func(key string, to func(Text)) field {
		return field{key, func(n *yaml.Node) {
			t := d.template(n, path+": "+key)
			if t == nil {
				return
			}
			if !t.constant() {
				d.fail(t.pos, "%s: %s: only ${env:NAME} is filled in here; write $$ for a dollar sign", path, key)
				return
			}
			to(t.expand(&values{}))
		}}
	}
	return []field{
		text("interface", func(t Text) { s.Interface = t.Reveal() }),
		text("tc_url", func(t Text) { s.TcURL = t }), text("swf_url", func(t Text) { s.SwfURL = t }),
		text("page_url", func(t Text) { s.PageURL = t }), text("flash_ver", func(t Text) { s.FlashVer = t }),
	}
}
