// Package gateway is the running thing: it wires listeners, sources, streams and cables as a rules file says.
package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"weir/ingress/udp"
	"weir/rules"
	"weir/transmux/ring"
	"weir/wire"
)

// Options are what the file does not say.
type Options struct {
	Log     *slog.Logger // nil discards
	Stdin   io.Reader    // for stdin: sources
	Stdout  io.Writer    // for stdout: destinations
	Page    string       // name of the stream that a page on the HTTP listener plays; empty serves none
	Version string
}

// A Gateway runs one file. Its methods are safe for concurrent use, but Run is called once.
type Gateway struct {
	log     *slog.Logger
	opt     Options
	rules   *rules.File
	table   []scheme
	limits  ring.Limits
	hub     *hub
	metrics *metrics
	serves  *line[served, *cables]
	sends   *line[string, *cables]
	sockets udp.Shared
	servers []server
	ready   atomic.Bool

	// What peers begin outlives the request that began it, so these belong to the gateway and end in Run.
	life    context.Context // of everything; ends last
	kill    context.CancelCauseFunc
	feeding context.Context // of the sources; ends before the players are told
	starve  context.CancelCauseFunc
	ends    sync.WaitGroup // sources, and streams that say goodbye
	oneShot chan error

	mu      sync.Mutex
	sources map[string]*source
	aliases map[served]string // names under which exact sources on demand are served; immutable
}

// server is one bound listener.
type server struct {
	name  string
	addr  net.Addr
	port  *port
	run   func(ctx context.Context) error // serves until ctx ends, and waits for its sessions, which end by their grants
	close func()                          // frees what it holds beside the port if it never runs; may be nil
}

// New binds every listener of the file and prepares its sources. Nothing runs yet; if it fails, nothing stays bound. An
// address that cannot be bound is a *ListenError.
func New(file *rules.File, opt Options) (_ *Gateway, err error) {
	g, err := prepare(file, opt, schemes())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.release()
		}
	}()
	for _, l := range file.Listen {
		if len(l.Proxy) > 0 { // ignoring it would judge peers by the balancer's address
			return nil, fmt.Errorf("listen: %s: proxy is not available in this build; leave it out", l.Name)
		}
		p, err := bind(l.Name, l.Address, g.metrics.refusals.WithLabelValues("connections").Inc)
		if err != nil {
			return nil, err
		}
		s, err := g.listen(l, p)
		s.name, s.addr, s.port = l.Name, p.Addr(), p
		g.servers = append(g.servers, s)
		if err != nil {
			return nil, fmt.Errorf("listen: %s: %w", l.Name, err)
		}
	}
	return g, nil
}

// prepare makes a gateway that listens nowhere.
func prepare(file *rules.File, opt Options, table []scheme) (*Gateway, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{
		log: opt.Log, opt: opt, rules: file, table: table, limits: ring.DefaultLimits, serves: newLine[served, *cables](), sends: newLine[string, *cables](),
		sources: make(map[string]*source), aliases: make(map[served]string), oneShot: make(chan error, 1),
	}
	g.life, g.kill = context.WithCancelCause(context.Background())
	g.feeding, g.starve = context.WithCancelCause(g.life)
	g.hub = newHub(g)
	g.metrics = newMetrics(g)
	if err := g.prepareSources(); err != nil {
		return nil, err
	}
	return g, nil
}

// release closes what New has bound.
func (g *Gateway) release() {
	for _, s := range g.servers {
		_ = s.port.Close()
		if s.close != nil {
			s.close()
		}
	}
	g.kill(nil)
}

func (g *Gateway) file() *rules.File { return g.rules }

// Addr returns the address that a listener of the file is bound to; nil if there is none of that name.
func (g *Gateway) Addr(listener string) net.Addr {
	for _, s := range g.servers {
		if s.name == listener {
			return s.addr
		}
	}
	return nil
}

// Ready reports whether every listener is bound and every source was started, and the gateway does not drain.
func (g *Gateway) Ready() bool { return g.ready.Load() }

// oneShotEnded tells Run that a source which cannot run twice (stdin) has ended, and with what.
func (g *Gateway) oneShotEnded(err error) {
	select {
	case g.oneShot <- err:
	default:
	}
}

// Run serves until ctx ends, and then drains: readyz says no and the listeners close 5 s later; sources and publishers
// may go on for the file's drain time as long as somebody plays; then publishers are told, then players. Closing hurry
// cuts that short; nil never does. It returns nil after an orderly end, or the error of a listener that failed. A file
// that has one source, which cannot run twice, and no listener ends with that source, and Run returns what kept its
// stream from being read or delivered.
func (g *Gateway) Run(ctx context.Context, hurry <-chan struct{}) error {
	defer g.kill(wire.ErrDrain)
	serving, stopServing := context.WithCancelCause(context.Background())
	defer stopServing(nil)
	failed := make(chan error, len(g.servers))
	var serve sync.WaitGroup
	for _, s := range g.servers {
		g.log.Info("listening", "listener", s.name, "address", s.addr)
		serve.Go(func() {
			if err := s.run(serving); err != nil && serving.Err() == nil {
				failed <- fmt.Errorf("listener %s: %w", s.name, err)
			}
		})
	}
	g.startSources()
	g.ready.Store(true)
	err := g.watch(ctx, failed)
	g.drain(hurry)
	stopServing(wire.ErrDrain)
	g.kill(wire.ErrDrain)
	g.settleAll(&serve)
	return err
}

// watch keeps the limits until ctx ends, a listener fails, or the only source has ended for good.
func (g *Gateway) watch(ctx context.Context, failed <-chan error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			g.hub.tick(now)
		case err := <-failed:
			return err
		case err := <-g.oneShot:
			if len(g.rules.Sources) == 1 && len(g.servers) == 0 {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}
