package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"weir/rules"
	"weir/transmux"
	"weir/transmux/codec"
	"weir/transmux/ring"
	"weir/wire"
)

// A Report is what a probe found. Durations are in milliseconds, so that other programs can read it.
type Report struct {
	URL     string        `json:"url"` // without credentials
	Seconds float64       `json:"seconds"`
	Bitrate int64         `json:"bitrate"` // bits per second of access units
	Skew    *float64      `json:"av_skew_ms,omitempty"`
	Gaps    uint64        `json:"gaps"`
	Tracks  []TrackReport `json:"tracks"`
}

// A TrackReport is one track of a Report.
type TrackReport struct {
	ID          int     `json:"id"`
	Kind        string  `json:"kind"`
	Codec       string  `json:"codec"`
	Profile     string  `json:"profile,omitempty"`
	Lang        string  `json:"lang,omitempty"`
	Width       int     `json:"width,omitempty"`
	Height      int     `json:"height,omitempty"`
	FPS         float64 `json:"fps,omitempty"`
	Rate        int     `json:"rate,omitempty"`
	Channels    int     `json:"channels,omitempty"`
	Units       int     `json:"units"`
	Bitrate     int64   `json:"bitrate"`
	KeyInterval float64 `json:"key_interval_ms,omitempty"`
	BFrames     bool    `json:"b_frames,omitempty"`
}

// Probe fetches a URL for the given time and reports what came. It stops sooner when ctx ends or the source does.
func Probe(ctx context.Context, rawURL string, d time.Duration, opt Options) (*Report, error) {
	g, err := bare(opt)
	if err != nil {
		return nil, err
	}
	defer g.kill(nil)
	remote, err := g.remote(rules.Plain(rawURL), rules.Settings{}, nil)
	if err != nil {
		return nil, err
	}
	src, err := g.newIngress(remote)
	if err != nil {
		return nil, err
	}
	s := transmux.NewStream("probe", ring.Limits{})
	r := s.Reader()
	probe := newProbe(remote.Redacted())
	ctx, cancel := context.WithTimeoutCause(ctx, d+mediaTimeout, errNoMedia)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		failed <- g.guard("probe", func() error { return g.tryOnce(ctx, src, s, false, new(wire.Meter), func() {}) })
		s.Close(wire.ErrEnded)
	}()
	for probe.seconds() < d.Seconds() {
		au, err := r.Next(ctx)
		if err != nil {
			break
		}
		probe.add(au)
	}
	cancel()
	err = <-failed
	if probe.units == 0 {
		if err == nil || errors.Is(err, context.Canceled) {
			err = errNoMedia
		}
		return nil, fmt.Errorf("probe %s: %w", remote.Redacted(), err)
	}
	_, _, gaps := s.Stats()
	return probe.report(s.Tracks(), gaps), nil
}

// probe gathers what a Report is made of.
type probe struct {
	url    string
	units  int
	bytes  int64
	first  time.Duration
	last   time.Duration
	tracks map[int]*trackProbe
}

type trackProbe struct {
	units              int
	bytes              int64
	first, last        time.Duration
	highPTS            time.Duration
	keys               int
	firstKey, lastKey  time.Duration
	reordered, started bool
	info               codec.Info
	lead               time.Duration // smallest distance of its DTS behind the newest of all tracks
}

func newProbe(url string) *probe { return &probe{url: url, tracks: make(map[int]*trackProbe)} }

func (p *probe) seconds() float64 { return (p.last - p.first).Seconds() }

func (p *probe) add(au *transmux.AccessUnit) {
	if p.units == 0 {
		p.first, p.last = au.DTS, au.DTS
	}
	p.units++
	p.bytes += int64(len(au.Data))
	p.last = max(p.last, au.DTS)
	t := p.tracks[au.Track.ID]
	if t == nil {
		t = &trackProbe{first: au.DTS, highPTS: au.PTS, lead: math.MaxInt64}
		p.tracks[au.Track.ID] = t
	}
	t.units++
	t.bytes += int64(len(au.Data))
	t.last = au.DTS
	t.lead = min(t.lead, p.last-au.DTS)
	if au.PTS < t.highPTS {
		t.reordered = true
	}
	t.highPTS = max(t.highPTS, au.PTS)
	if au.Key && au.Track.Kind() == transmux.KindVideo {
		if t.keys == 0 {
			t.firstKey = au.DTS
		}
		t.lastKey = au.DTS
		t.keys++
	}
	if !t.started {
		t.started = true
		t.info = codec.DescribeUnit(au.Track, au.Data)
	}
}

func (p *probe) report(tracks []*transmux.Track, gaps uint64) *Report {
	r := &Report{URL: p.url, Seconds: round(p.seconds(), 3), Gaps: gaps, Bitrate: rate(p.bytes, p.last-p.first)}
	var video, audio *trackProbe
	for _, t := range tracks {
		tr := TrackReport{ID: t.ID, Kind: t.Kind().String(), Codec: string(t.Codec), Lang: t.Lang}
		info := codec.Describe(t)
		if tp := p.tracks[t.ID]; tp != nil {
			if info.Width == 0 && info.Rate == 0 {
				info = tp.info
			}
			tr.Units, tr.BFrames = tp.units, tp.reordered
			tr.Bitrate = rate(tp.bytes, tp.last-tp.first)
			if tp.keys > 1 {
				tr.KeyInterval = round((tp.lastKey-tp.firstKey).Seconds()*1000/float64(tp.keys-1), 1)
			}
			if span := (tp.last - tp.first).Seconds(); span > 0 && t.Kind() == transmux.KindVideo {
				tr.FPS = round(float64(tp.units-1)/span, 2)
			}
			switch {
			case t.Kind() == transmux.KindVideo && video == nil:
				video = tp
			case t.Kind() == transmux.KindAudio && audio == nil:
				audio = tp
			}
		}
		tr.Width, tr.Height, tr.Rate, tr.Channels, tr.Profile = info.Width, info.Height, info.Rate, info.Channels, info.Profile
		r.Tracks = append(r.Tracks, tr)
	}
	if video != nil && audio != nil {
		skew := round(float64((video.lead-audio.lead).Microseconds())/1000, 1)
		r.Skew = &skew
	}
	slices.SortFunc(r.Tracks, func(a, b TrackReport) int { return a.ID - b.ID })
	return r
}

func rate(bytes int64, d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64(float64(bytes) * 8 / d.Seconds())
}

func round(v float64, digits int) float64 {
	f := math.Pow10(digits)
	return math.Round(v*f) / f
}

// bare is a gateway that only dials: for probes.
func bare(opt Options) (*Gateway, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	file, found := rules.Parse("probe", nil, rules.Options{})
	if rules.Failed(found) {
		return nil, errors.New(found[0].What)
	}
	return New(file, opt)
}
