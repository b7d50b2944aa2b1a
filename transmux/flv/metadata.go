package flv

import (
	"strconv"

	"weir/transmux"
	"weir/transmux/amf"
)

// metadata returns the body of an onMetaData message (FLV 10.1 E.5, Enhanced RTMP v2). Duration 0 says that the stream
// is live; several players do not start without width and height.
func (b *Bodies) metadata() []byte {
	fields := []amf.Field{{Name: "duration", Value: 0.0}}
	add := func(name string, v amf.Value) { fields = append(fields, amf.Field{Name: name, Value: v}) }
	var video, audio []amf.Field
	for _, l := range b.lanes {
		if !l.track.Configured() {
			continue
		}
		id := amf.Field{Name: strconv.Itoa(int(l.num)), Value: &amf.Object{Fields: l.describe()}}
		switch kind := l.track.Kind(); {
		case kind == transmux.KindVideo && l.num == 0:
			if l.info.Width > 0 && l.info.Height > 0 {
				add("width", float64(l.info.Width))
				add("height", float64(l.info.Height))
			}
			if l.info.FPS > 0 {
				add("framerate", l.info.FPS)
			}
			add("videocodecid", l.number())
		case kind == transmux.KindVideo:
			video = append(video, id)
		case kind == transmux.KindAudio && l.num == 0:
			add("audiocodecid", l.number())
			if l.info.Rate > 0 {
				add("audiosamplerate", float64(l.info.Rate))
			}
			add("audiosamplesize", 16.0)
			add("stereo", l.info.Channels != 1)
		case kind == transmux.KindAudio:
			audio = append(audio, id)
		}
	}
	if video != nil {
		add("videoTrackIdInfoMap", &amf.Object{Fields: video})
	}
	if audio != nil {
		add("audioTrackIdInfoMap", &amf.Object{Fields: audio})
	}
	add("encoder", "weir")
	body, err := amf.Append(nil, "onMetaData", &amf.ECMAArray{Fields: fields})
	if err != nil {
		return nil // there is nothing in it that cannot be written
	}
	return body
}

// number is what onMetaData calls the lane's codec.
func (l *lane) number() float64 {
	if l.track.Kind() == transmux.KindVideo {
		if id, ok := classicVideo(l.track.Codec); ok {
			return float64(id)
		}
		f, _ := videoFourCC(l.track.Codec)
		return f.number()
	}
	if first, ok := classicAudio(l.track); ok {
		return float64(first >> 4)
	}
	f, _ := audioFourCC(l.track.Codec)
	return f.number()
}

// describe is the lane's entry in a map of tracks.
func (l *lane) describe() []amf.Field {
	var out []amf.Field
	add := func(name string, n int) {
		if n > 0 {
			out = append(out, amf.Field{Name: name, Value: float64(n)})
		}
	}
	add("width", l.info.Width)
	add("height", l.info.Height)
	add("samplerate", l.info.Rate)
	add("channels", l.info.Channels)
	if l.track.Lang != "" {
		out = append(out, amf.Field{Name: "language", Value: l.track.Lang})
	}
	return out
}
