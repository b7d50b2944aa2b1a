// Package rtsp takes streams in over RTSP: cameras that are pulled, and publishers that come to the server of wire/rtsp.
package rtsp

import (
	"log/slog"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/wire"
	rtpwire "weir/wire/rtp"
	wirertsp "weir/wire/rtsp"
)

// A Recorder writes what a publisher sends to the stream of its grant.
type Recorder struct {
	in    *rtpwire.Receiver
	meter *wire.Meter
}

var _ wirertsp.Recorder = (*Recorder)(nil)

// Record returns what Config.Record of wire/rtsp asks for. Media that cannot be carried are logged and left out; the
// error is a refusal that wraps wire.ErrNoTrack if nothing remains.
func Record(log *slog.Logger) func(*wire.Grant, *description.Session) (wirertsp.Recorder, error) {
	return func(g *wire.Grant, d *description.Session) (wirertsp.Recorder, error) {
		in, skipped, err := rtpwire.NewReceiver(g.Writer, d.Medias, nil, 0)
		for _, why := range skipped {
			log.Warn("media left out", "stream", g.Name, "reason", why)
		}
		if err != nil {
			return nil, err
		}
		return &Recorder{in, g.Meter}, nil
	}
}

// Packet implements the server's Recorder.
func (r *Recorder) Packet(f format.Format, p *rtp.Packet, arrived time.Time) error {
	r.meter.Moved(rtpHeader+len(p.Payload), time.Time{})
	return r.in.Packet(f, p, arrived)
}

// Report implements the server's Recorder.
func (r *Recorder) Report(m *description.Media, p rtcp.Packet) { r.in.Report(m, p) }

// rtpHeader is the size of an RTP header without extensions (RFC 3550 5.1).
const rtpHeader = 12
