package rtp

import (
	"errors"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/wire"
)

// fragile is an Out that panics.
type fragile struct{}

func (fragile) SetTracks([]*transmux.Track)     {}
func (fragile) Write(transmux.AccessUnit) error { panic("boom") }

func TestReceiverSurvivesPanics(t *testing.T) {
	t.Parallel()
	f := &format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}
	medias := []*description.Media{{Type: description.MediaTypeAudio, Formats: []format.Format{f}}}
	r, _, err := NewReceiver(fragile{}, medias, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var p *wire.Panic
	for i := range uint16(500) { // the receiver may hold the first ones back
		pkt := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: i, Timestamp: uint32(i) * 160}, Payload: make([]byte, 160)}
		if err = r.Packet(f, pkt, time.Unix(0, int64(i)*int64(20*time.Millisecond))); err != nil {
			break
		}
	}
	if !errors.As(err, &p) || p.Value != "boom" {
		t.Fatalf("got %v; want the panic as an error", err)
	}
	if err := r.Packet(f, &rtp.Packet{Payload: []byte{1}}, time.Now()); !errors.As(err, &p) {
		t.Errorf("got %v for what comes later; want the same error", err)
	}
}
