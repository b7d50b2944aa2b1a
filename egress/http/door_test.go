package http

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/sniff"
	"weir/wire/web"
)

// door lets everybody play its stream, unless err is set.
type door struct {
	stream *transmux.Stream
	err    error
	revoke context.CancelCauseFunc // takes all grants back
	ctx    context.Context
	ended  chan error // by each session

	mu    sync.Mutex
	peer  wire.Peer
	name  string
	meter *wire.Meter
}

var _ wire.Door = (*door)(nil)

func newDoor(limits ring.Limits) *door {
	d := &door{stream: transmux.NewStream("it", limits), ended: make(chan error, 1000)}
	d.ctx, d.revoke = context.WithCancelCause(context.Background())
	return d
}

func (d *door) Publish(context.Context, wire.Peer, string) (*wire.Grant, error) {
	return nil, &wire.Refusal{Err: wire.ErrNotAllowed}
}

func (d *door) Password(string) (string, bool) { return "", false }

func (d *door) Play(_ context.Context, p wire.Peer, name string) (*wire.Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peer, d.name = p, name
	if d.err != nil {
		return nil, d.err
	}
	g := wire.NewGrant(d.ctx, func(err error) { d.ended <- err })
	g.Stream = d.stream
	d.meter = g.Meter
	return g, nil
}

func (d *door) last() (wire.Peer, string, *wire.Meter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peer, d.name, d.meter
}

// serve runs a server on loopback until the test ends, and returns its address.
func serve(t testing.TB, d *door) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, d, sniff.NewListener(l, sniff.Options{}))
	return l.Addr().String()
}

func serveOn(t testing.TB, d *door, l net.Listener) {
	t.Helper()
	s := web.NewServer(NewHandler(Options{Door: d, Listener: "http", Log: slog.New(slog.DiscardHandler)}), slog.New(slog.DiscardHandler))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		d.revoke(wire.ErrDrain)
		_ = s.Close()
		<-done
	})
}

// record answers one request without a connection.
func record(d *door, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	NewHandler(Options{Door: d, Log: slog.New(slog.DiscardHandler)}).ServeHTTP(w, httptest.NewRequest(method, target, http.NoBody))
	return w
}

var (
	flvTracks = []*transmux.Track{{ID: 1, Codec: transmux.SorensonH263}, {ID: 2, Codec: transmux.MP3, Rate: 44100, Channels: 2}}
	tsTracks  = []*transmux.Track{{ID: 1, Codec: transmux.MPEG2Video}, {ID: 2, Codec: transmux.MP2, Rate: 48000, Channels: 2}}
)

// write writes pictures from number n to number end, 25 a second with a key picture each second, with audio between. The
// first byte of each counts.
func write(w *transmux.Writer, tracks []*transmux.Track, n, end, size int) {
	for ; n < end; n++ {
		at := time.Duration(n) * 40 * time.Millisecond
		data := make([]byte, size)
		data[0] = byte(n)
		_ = w.Write(transmux.AccessUnit{Track: tracks[0], DTS: at, PTS: at, Key: n%25 == 0, Data: data, Arrived: time.Now()})
		sound := make([]byte, 100)
		sound[0], sound[1] = 0xff, 0xfb
		_ = w.Write(transmux.AccessUnit{Track: tracks[1], DTS: at, PTS: at, Data: sound, Arrived: time.Now()})
	}
}

// found collects what a demuxer finds.
type found struct {
	pictures []byte // first byte of each picture
	keys     []bool
	sounds   int
}

func (f *found) SetTracks([]*transmux.Track) {}

func (f *found) Write(au transmux.AccessUnit) error {
	if au.Track.Kind() != transmux.KindVideo {
		f.sounds++
		return nil
	}
	f.pictures = append(f.pictures, au.Data[0])
	f.keys = append(f.keys, au.Key)
	return nil
}

var _ transmux.Out = (*found)(nil)
