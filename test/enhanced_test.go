package test

import (
	"context"
	"net/url"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"

	"weir/test/units"
)

// enhancedPlayer plays RTMP with gortmplib, an independent library that announces Enhanced RTMP, as no program in Debian 12
// does.
func enhancedPlayer(r *row, o wayOut) *player {
	p := &player{name: "gortmplib"}
	p.run = func(ctx context.Context) error {
		u, err := url.Parse(r.fill("rtmp://127.0.0.1:RTMP/live/cam", o))
		if err != nil {
			return err
		}
		c := &gortmplib.Client{URL: u, DialContext: r.world.dial}
		if err := c.Initialize(ctx); err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, c.Close)
		defer func() {
			if stop() {
				c.Close()
			}
		}()
		reader := &gortmplib.Reader{Conn: c}
		if err := reader.Initialize(); err != nil {
			return err
		}
		for _, track := range reader.Tracks() {
			switch track.Codec.(type) {
			case *codecs.H264:
				reader.OnDataH264(track, p.pictures("h264"))
			case *codecs.H265:
				reader.OnDataH265(track, p.pictures("h265"))
			case *codecs.MPEG4Audio:
				reader.OnDataMPEG4Audio(track, p.sound)
			case *codecs.MPEG1Audio:
				reader.OnDataMPEG1Audio(track, p.sound)
			}
		}
		for {
			c.NetConn().SetReadDeadline(time.Now().Add(20 * time.Second))
			if err := reader.Read(); err != nil {
				return nil // the end of the stream
			}
		}
	}
	return p
}

// pictures gathers what the library hands out; a key frame is one by its NAL unit type.
func (p *player) pictures(codec string) func(pts, dts time.Duration, au [][]byte) {
	return func(pts, dts time.Duration, au [][]byte) {
		u := units.Unit{Kind: units.Video, PTS: pts, DTS: dts}
		var data []byte
		for _, n := range au {
			if t := n[0] & 0x1f; codec == "h264" && t == 5 {
				u.Key = true
			}
			if t := n[0] >> 1 & 0x3f; codec == "h265" && t >= 16 && t <= 21 {
				u.Key = true
			}
			data = append(append(data, 0, 0, 0, 1), n...)
		}
		u.Data = units.Normal(codec, data)
		if len(u.Data) > 0 {
			p.list = append(p.list, u)
		}
	}
}

func (p *player) sound(pts time.Duration, frame []byte) {
	p.list = append(p.list, units.Unit{Kind: units.Audio, PTS: pts, DTS: pts, Key: true, Data: append([]byte(nil), frame...)})
}
