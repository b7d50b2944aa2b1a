package rtsp

import (
	"context"
	"log/slog"
	"net/url"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	wirertsp "weir/wire/rtsp"
)

// door is a gateway in memory: every name may be published, by whom it asks for.
type door struct {
	user, password string // empty: anybody
	limits         ring.Limits

	mu      sync.Mutex
	streams map[string]*transmux.Stream
	ended   chan error // one for each grant that ended
	revoke  context.CancelCauseFunc
	peer    wire.Peer
}

func newDoor() *door {
	return &door{streams: make(map[string]*transmux.Stream), ended: make(chan error, 64), limits: ring.Limits{Span: time.Hour, Bytes: 256 << 20}}
}

func (d *door) Password(user string) (string, bool) { return d.password, user == d.user && user != "" }

func (d *door) stream(name string) *transmux.Stream {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streams[name]
	if s == nil {
		s = transmux.NewStream(name, d.limits)
		d.streams[name] = s
	}
	return s
}

func (d *door) Publish(_ context.Context, p wire.Peer, name string) (*wire.Grant, error) {
	if d.user != "" && !(p.Verified && p.User == d.user) {
		return nil, &wire.Refusal{Err: wire.ErrNeedUser}
	}
	switch name {
	case "busy":
		return nil, &wire.Refusal{Err: wire.ErrBusy, Reason: "taken"}
	case "denied":
		return nil, &wire.Refusal{Err: wire.ErrNotAllowed}
	}
	s := d.stream(name)
	ctx, cancel := context.WithCancelCause(context.Background())
	d.mu.Lock()
	d.revoke, d.peer = cancel, p
	d.mu.Unlock()
	g := wire.NewGrant(ctx, func(err error) { d.ended <- err })
	g.Name, g.Writer = name, s.NewWriter()
	return g, nil
}

func (d *door) Play(context.Context, wire.Peer, string) (*wire.Grant, error) {
	return nil, &wire.Refusal{Err: wire.ErrNotFound}
}

// serve runs a server until the test ends.
func serve(t *testing.T, d *door, cfg wirertsp.Config) *wirertsp.Server {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	cfg.Door, cfg.Log, cfg.Record = d, log, Record(log)
	if cfg.Listener == nil && cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	s, err := wirertsp.New(cfg)
	if err != nil {
		t.Fatalf("new server: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Error("the server did not stop")
		}
	})
	return s
}

// need returns the path of a program, or fails with the package that has it.
func need(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is needed: apt-get install %s", program, pkg)
	}
	return path
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// collector keeps every unit of a stream from the beginning, which a reader of the ring need not see.
type collector struct {
	mu    sync.Mutex
	units []*transmux.AccessUnit
}

var _ transmux.Muxer = (*collector)(nil)

func collect(s *transmux.Stream) *collector {
	c := &collector{}
	s.Feed("collect", nil, func() transmux.Muxer { return c })
	return c
}

func (c *collector) Tracks([]*transmux.Track) {}

func (c *collector) Mux(au *transmux.AccessUnit, _ func(*transmux.Chunk)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.units = append(c.units, au)
}

func (c *collector) all() []*transmux.AccessUnit {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.units)
}
