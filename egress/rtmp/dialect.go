package rtmp

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"weir/transmux"
	"weir/transmux/flv"
	wirertmp "weir/wire/rtmp"
)

// A dialect is what a receiver understands beyond classic RTMP. Receivers with equal dialects share their chunks.
type dialect struct {
	multitrack bool
	codes      string // FourCCs that it takes of those that only Enhanced RTMP carries, each before a blank
}

// codecs have a FourCC in Enhanced RTMP.
func codecs() []transmux.Codec {
	return []transmux.Codec{
		transmux.H264, transmux.H265, transmux.AV1, transmux.VP8, transmux.VP9,
		transmux.AAC, transmux.MP3, transmux.AC3, transmux.EAC3, transmux.Opus, transmux.FLAC,
	}
}

// FourCCs are the codecs of Enhanced RTMP that our server says it takes and gives.
func FourCCs() []string {
	var list []string
	for _, c := range codecs() {
		list = append(list, flv.FourCC(c))
	}
	return list
}

// ofPlayer is the dialect of a client. One that is sent what it does not know may close the connection, so it gets only
// what it asked for.
func ofPlayer(req *wirertmp.ConnectRequest) dialect {
	if !req.Enhanced() {
		return dialect{}
	}
	d := dialect{multitrack: req.CapsEx&wirertmp.CapsMultitrack != 0}
	for _, code := range FourCCs() {
		if req.Takes(code) {
			d.codes += code + " "
		}
	}
	return d
}

// ofServer is the dialect of a server that we publish to. Enhanced RTMP v1 has H.265, AV1 and VP9, and gives servers no
// way to say that they take them; so one that lists nothing is sent these. What v2 added goes only to servers that say
// they know it.
func ofServer(c wirertmp.Capabilities) dialect {
	said := &wirertmp.ConnectRequest{FourCCs: c.FourCCs, VideoFourCC: c.VideoFourCC, AudioFourCC: c.AudioFourCC, CapsEx: c.CapsEx}
	if !said.Enhanced() {
		said.FourCCs = []string{flv.FourCC(transmux.H265), flv.FourCC(transmux.AV1), flv.FourCC(transmux.VP9)}
	}
	return ofPlayer(said)
}

func (d dialect) options() flv.Options {
	return flv.Options{Enhanced: d.codes != "" || d.multitrack, Multitrack: d.multitrack}
}

// format names the feed of the dialect.
func (d dialect) format() string {
	name := "rtmp " + strings.TrimSpace(d.codes)
	if d.multitrack {
		name += " multitrack"
	}
	return name
}

// carries says why a track cannot be sent, or nil if it can.
func (d dialect) carries(t *transmux.Track) error {
	if flv.Carries(t, false) == nil {
		return nil
	}
	if err := flv.Carries(t, true); err != nil {
		return err
	}
	switch {
	case slices.Contains(strings.Fields(d.codes), flv.FourCC(t.Codec)):
		return nil
	case d == dialect{}:
		return errors.New("it needs Enhanced RTMP, which the receiver does not know")
	}
	return fmt.Errorf("the receiver does not list %s", flv.FourCC(t.Codec))
}
