package gateway

import (
	"strings"

	"weir/transmux"
)

// A Flow is where one stream stands; counters only grow while it is live.
type Flow struct {
	Tracks  string // codecs, "h264+aac"; empty while nothing is known
	In, Out uint64 // bytes of access units received; bytes sent by all cables and players
	Units   uint64 // access units: pictures and audio frames
	Gaps    uint64 // losses and repairs of the time line
}

// Flow tells where the named stream stands; zero if it is not live.
func (g *Gateway) Flow(name string) Flow {
	h := g.hub
	h.mu.Lock()
	l := h.live[name]
	h.mu.Unlock()
	if l == nil {
		return Flow{}
	}
	var f Flow
	var codecs []string
	for _, t := range l.stream.Tracks() {
		if t.Kind() != transmux.KindData {
			codecs = append(codecs, string(t.Codec))
		}
	}
	f.Tracks = strings.Join(codecs, "+")
	f.Units, f.In, f.Gaps = l.stream.Stats()
	f.Out = g.metrics.sent()
	return f
}
