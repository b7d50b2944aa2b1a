package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"time"

	"weir/egress"
	outrtmp "weir/egress/rtmp"
	outrtsp "weir/egress/rtsp"
	inrtmp "weir/ingress/rtmp"
	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/rtmp"
)

// starts is how often the way to the first picture is measured.
const starts = 7

// latency measures how late pictures come through weir, and how soon the first one comes. Publisher and player are in
// this process, so that one clock says both times; each picture carries the time at which it was given to the publisher.
func (b *bench) latency(ctx context.Context) ([]delay, []waiting, error) {
	var addrs [2]string
	for i := range addrs {
		var err error
		if addrs[i], err = freePort(); err != nil {
			return nil, nil, err
		}
	}
	home, err := os.MkdirTemp(b.dir, "run")
	if err != nil {
		return nil, nil, err
	}
	server, err := startWeir(b.weir, home, "rtmp: "+addrs[0], "rtsp: "+addrs[1])
	if err != nil {
		return nil, nil, err
	}
	defer end(server)
	for _, a := range addrs {
		if err := awaitPort(ctx, a); err != nil {
			return nil, nil, err
		}
	}
	units, err := readClip(b.clip)
	if err != nil {
		return nil, nil, err
	}
	var delays []delay
	for _, way := range []struct{ name, scheme string }{{"RTMP, without weir", ""}, {"RTMP → weir → RTMP", "rtmp"}, {"RTSP → weir → RTMP", "rtsp"}} {
		say("latency: %s", way.name)
		var late []float64
		switch way.scheme {
		case "":
			late, err = direct(ctx, units, b.seconds)
		default:
			from := "rtmp://" + addrs[0] + "/live/" + way.scheme
			to := from
			if way.scheme == "rtsp" {
				to = "rtsp://" + addrs[1] + "/live/" + way.scheme
			}
			late, err = through(ctx, units, b.seconds, to, from)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", way.name, err)
		}
		d := delay{Path: way.name, Median: median(late), P99: quantile(late, 0.99), Units: len(late)}
		if len(delays) > 0 {
			d.Added = d.Median - delays[0].Median
		}
		delays = append(delays, d)
	}
	waits, err := firstPictures(ctx, units, addrs[0])
	return delays, waits, err
}

// readClip returns the units of an FLV file.
func readClip(file string) ([]transmux.AccessUnit, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out collector
	err = flv.NewReader(flv.NewDemuxer(&out)).Feed(b, time.Now())
	return out, err
}

type collector []transmux.AccessUnit

func (c *collector) SetTracks([]*transmux.Track) {}

func (c *collector) Write(au transmux.AccessUnit) error {
	if k := au.Track.Kind(); k != transmux.KindData {
		*c = append(*c, au)
	}
	return nil
}

// mark begins the SEI message that carries a time: user data, unregistered (ITU-T H.264, D.1.6).
var mark = []byte("\x06\x05\x20weir bench stamp")

// stamped is a picture behind an SEI message with the present time, in hexadecimal since zeroes would need escapes.
func stamped(data []byte) []byte {
	now := hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano())))
	sei := append(append(bytes.Clone(mark), now...), 0x80)
	out := binary.BigEndian.AppendUint32(nil, uint32(len(sei)))
	return append(append(out, sei...), data...)
}

// age is how long ago a picture was stamped.
func age(au *transmux.AccessUnit) (time.Duration, bool) {
	now := time.Now()
	_, after, ok := bytes.Cut(au.Data, mark)
	if !ok || len(after) < 16 {
		return 0, false
	}
	at, err := hex.DecodeString(string(after[:16]))
	if err != nil {
		return 0, false
	}
	return now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(at)))), true
}

// publish writes units to w in their own time, again and again until ctx ends; pictures are stamped if stamp is set.
func publish(ctx context.Context, w *transmux.Writer, units []transmux.AccessUnit, stamp bool) {
	began := time.Now()
	for offset := time.Duration(0); ; offset += units[len(units)-1].DTS + time.Second/30 {
		for _, au := range units {
			if pause(ctx, time.Until(began.Add(offset+au.DTS))) != nil {
				return
			}
			au.DTS, au.PTS = au.DTS+offset, au.PTS+offset
			if stamp && au.Track.Kind() == transmux.KindVideo {
				au.Data = stamped(au.Data)
			}
			if w.Write(au) != nil {
				return
			}
		}
	}
}

// watch collects the ages of the pictures in s, but for those of the first second, until ctx ends.
func watch(ctx context.Context, s *transmux.Stream) (late []float64) {
	r := s.Reader()
	began := time.Time{}
	for {
		au, err := r.Next(ctx)
		if err != nil {
			return late
		}
		if began.IsZero() {
			began = time.Now()
		}
		if d, ok := age(au); ok && time.Since(began) > time.Second {
			late = append(late, ms(d))
		}
	}
}

func remote(s string) (wire.Remote, error) {
	u, err := url.Parse(s)
	return wire.Remote{URL: u, Log: slog.New(slog.DiscardHandler)}, err
}

// sink returns the sink of a URL.
func sink(to string) (egress.Sink, error) {
	r, err := remote(to)
	if err != nil {
		return nil, err
	}
	if r.URL.Scheme == "rtsp" {
		return outrtsp.New(r)
	}
	return outrtmp.New(r)
}

// send publishes near to a URL until ctx ends.
func send(ctx context.Context, near *transmux.Stream, to string) error {
	out, err := sink(to)
	if err != nil {
		return err
	}
	return out.Run(ctx, near, new(wire.Meter))
}

// pull plays from a URL into far until ctx ends. A stream that is not there yet is asked for again.
func pull(ctx context.Context, far *transmux.Stream, from string) error {
	r, err := remote(from)
	if err != nil {
		return err
	}
	in, err := inrtmp.New(r)
	if err != nil {
		return err
	}
	for {
		err := in.Run(ctx, far.NewWriter(), new(wire.Meter))
		if !errors.Is(err, wire.ErrNotFound) {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// through measures latencies from a publisher at one URL to a player at another.
func through(ctx context.Context, units []transmux.AccessUnit, d time.Duration, to, from string) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d+2*time.Second)
	defer cancel()
	near, far := newStream(units), transmux.NewStream("far", ring.Limits{})
	failed := make(chan error, 3)
	go func() { failed <- send(ctx, near.stream, to) }()
	go func() { failed <- pull(ctx, far, from) }()
	go func() { publish(ctx, near.writer, units, true); failed <- nil }()
	return finish(ctx, far, failed, 3)
}

// finish watches far to the end and waits for n goroutines.
func finish(ctx context.Context, far *transmux.Stream, failed <-chan error, n int) ([]float64, error) {
	late := watch(ctx, far)
	var errs []error
	for range n {
		if err := <-failed; err != nil && !errors.Is(err, context.DeadlineExceeded) {
			errs = append(errs, err)
		}
	}
	if len(late) == 0 {
		return nil, fmt.Errorf("no picture came through: %w", errors.Join(errs...))
	}
	return late, nil
}

// outlet is a stream to be published, whose tracks are known.
type outlet struct {
	stream *transmux.Stream
	writer *transmux.Writer
}

func newStream(units []transmux.AccessUnit) outlet {
	s := transmux.NewStream("near", ring.Limits{})
	w := s.NewWriter()
	w.SetTracks(tracks(units))
	return outlet{s, w}
}

func tracks(units []transmux.AccessUnit) (out []*transmux.Track) {
	seen := make(map[int]bool)
	for _, au := range units {
		if !seen[au.Track.ID] {
			seen[au.Track.ID] = true
			out = append(out, au.Track)
		}
	}
	return out
}

// direct measures the same publisher and the same way of reading without weir between.
func direct(ctx context.Context, units []transmux.AccessUnit, d time.Duration) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, d+2*time.Second)
	defer cancel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	near, far := newStream(units), transmux.NewStream("far", ring.Limits{})
	failed := make(chan error, 3)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			err = rtmp.NewServerConn(c, rtmp.ServerConfig{}).Serve(ctx, taker{far})
		}
		failed <- err
	}()
	go func() { failed <- send(ctx, near.stream, "rtmp://"+ln.Addr().String()+"/live/cam") }()
	go func() { publish(ctx, near.writer, units, true); failed <- nil }()
	return finish(ctx, far, failed, 3)
}

// taker is a server that takes one stream from whoever comes.
type taker struct{ far *transmux.Stream }

var (
	_ rtmp.Handler = taker{}
	_ wire.Door    = door{}
)

// Publish implements rtmp.Handler.
func (t taker) Publish(ctx context.Context, s *rtmp.ServerStream, req *rtmp.PublishRequest) (rtmp.Publication, error) {
	return inrtmp.Publish(ctx, door(t), wire.Peer{}, s, req)
}

// Play implements rtmp.Handler.
func (t taker) Play(context.Context, *rtmp.ServerStream, *rtmp.PlayRequest) error {
	return wire.ErrNotFound
}

// door is a taker as a wire.Door.
type door struct{ far *transmux.Stream }

func (d door) Publish(ctx context.Context, _ wire.Peer, name string) (*wire.Grant, error) {
	g := wire.NewGrant(ctx, func(error) {})
	g.Name, g.Writer = name, d.far.NewWriter()
	return g, nil
}

func (d door) Play(context.Context, wire.Peer, string) (*wire.Grant, error) {
	return nil, &wire.Refusal{Err: wire.ErrNotFound}
}

func (d door) Password(string) (string, bool) { return "", false }
