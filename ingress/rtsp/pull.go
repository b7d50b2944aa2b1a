package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/transmux"
	"weir/wire"
	rtpwire "weir/wire/rtp"
	wirertsp "weir/wire/rtsp"
)

// A pull is one connection to an origin over one transport.
type pull struct {
	remote    wire.Remote
	transport string
	last      bool // no other transport will be tried
	out       *transmux.Writer
	meter     *wire.Meter
	log       *slog.Logger
	flowing   func() // called once, with the first packet

	in    *rtpwire.Receiver
	fatal chan error // one error that ends the session

	mu      sync.Mutex
	playing bool     // PLAY was answered: what comes is decoded
	early   []func() // what came before
	info    headers.RTPInfo
	packets uint64
}

// maxEarly bounds what may come before the answer to PLAY.
const maxEarly = 4096

func (p *pull) run(ctx context.Context) error {
	p.fatal = make(chan error, 1)
	c, u, err := wirertsp.NewClient(p.remote)
	if err != nil {
		return err
	}
	user := p.remote.URL.User != nil
	c.Protocol, c.Tunnel = protocol(p.transport)
	c.OnResponse = p.response
	if err := c.Start(); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close() // with TEARDOWN
	defer context.AfterFunc(ctx, c.Close)()

	desc, _, err := c.Describe(u)
	if err != nil {
		return wirertsp.ClientError(fmt.Errorf("describe: %w", err), user)
	}
	var skipped []error
	p.in, skipped, err = rtpwire.NewReceiver(p.out, desc.Medias, p.remote.Tracks, p.remote.Program)
	for _, why := range skipped {
		p.log.Debug("media left out", "reason", why)
	}
	if err != nil {
		return err
	}
	if err := p.setup(&c.Client, desc); err != nil {
		return wirertsp.ClientError(err, user)
	}
	if _, err := c.Play(nil); err != nil {
		return wirertsp.ClientError(byTransport(fmt.Errorf("play: %w", err)), user)
	}
	p.begin(desc)
	return p.watch(ctx, c)
}

func (p *pull) setup(c *gortsplib.Client, desc *description.Session) error {
	for _, m := range desc.Medias {
		if !p.in.Wants(m) {
			continue
		}
		if _, err := c.Setup(desc.BaseURL, m, 0, 0); err != nil {
			if err := byTransport(fmt.Errorf("set up %s over %s: %w", m.Type, p.transport, err)); !errors.Is(err, errTransport) || p.last {
				return err
			}
			return &fallback{err}
		}
		for _, f := range m.Formats {
			c.OnPacketRTP(m, f, func(pkt *rtp.Packet) { p.packet(f, pkt) })
		}
		c.OnPacketRTCP(m, func(pkt rtcp.Packet) { p.report(m, pkt) })
	}
	return nil
}

// fallback hides the status of a SETUP from those who decide whether the stream exists.
type fallback struct{ err error }

func (e *fallback) Error() string        { return e.err.Error() }
func (e *fallback) Is(target error) bool { return target == errTransport }

// response sees each response before the client reads it.
func (p *pull) response(res *base.Response) {
	res.Body = wirertsp.Repair(res.Header, res.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if res.StatusCode == base.StatusUnauthorized && p.playing {
		// The client logs in once; a nonce that has expired would go unseen until the session times out.
		p.fail(errors.New("the origin asks for a new login"))
	}
	var info headers.RTPInfo
	if h, ok := res.Header["RTP-Info"]; ok && info.Unmarshal(h) == nil {
		p.info = info
	}
}

// fail ends the session. The first error counts.
func (p *pull) fail(err error) {
	select {
	case p.fatal <- err:
	default:
	}
}

func (p *pull) packet(f format.Format, pkt *rtp.Packet) {
	now := time.Now()
	p.meter.Moved(rtpHeader+len(pkt.Payload), time.Time{})
	p.arrived(func() {
		if err := p.in.Packet(f, pkt, now); err != nil {
			p.fail(err)
		}
	})
}

func (p *pull) report(m *description.Media, pkt rtcp.Packet) {
	p.arrived(func() { p.in.Report(m, pkt) })
}

// arrived hands on what came in, but not before the answer to PLAY was read, which tells how the tracks stand to each
// other.
func (p *pull) arrived(hand func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.packets++
	if p.playing {
		hand()
	} else if len(p.early) < maxEarly {
		p.early = append(p.early, hand)
	}
}

// begin takes the answer to PLAY and what came before it.
func (p *pull) begin(desc *description.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.info {
		if m := mediaOf(desc, e.URL, i, len(p.info)); m != nil && e.Timestamp != nil {
			p.in.Info(m, *e.Timestamp)
		}
	}
	for _, hand := range p.early {
		hand()
	}
	p.playing, p.early = true, nil
}

// mediaOf finds the media that an entry of RTP-Info means: by its URL, by the end of it, or by its place.
func mediaOf(desc *description.Session, url string, i, n int) *description.Media {
	var byEnd *description.Media
	for _, m := range desc.Medias {
		if u, err := m.URL(desc.BaseURL); err == nil && u.CloneWithoutCredentials().String() == url {
			return m
		}
		if m.Control != "" && m.Control != "*" && strings.HasSuffix(url, m.Control) {
			byEnd = m
		}
	}
	if byEnd == nil && n == len(desc.Medias) {
		return desc.Medias[i]
	}
	return byEnd
}

// watch waits for the end of the session.
func (p *pull) watch(ctx context.Context, c *wirertsp.Client) error {
	ended := make(chan error, 1)
	var waiting sync.WaitGroup
	waiting.Go(func() { ended <- c.Wait() })
	defer waiting.Wait()
	defer c.Close()
	patience := idle
	if (p.transport == "udp" || p.transport == "multicast") && !p.last {
		patience = firstPacket
	}
	first := time.NewTimer(patience)
	defer first.Stop()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	newest, seen, flowing := time.Now(), uint64(0), false
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("receive over %s: %w", p.transport, err)
		case err := <-p.fatal:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-first.C:
			if !flowing && p.count() == 0 {
				return fmt.Errorf("receive over %s: %w: no packet came within %v", p.transport, errTransport, patience)
			}
		case now := <-tick.C:
			if !flowing && p.count() > 0 {
				flowing = true
				p.flowing()
			}
			if units, _, _ := p.in.Stats(); units != seen {
				newest, seen = now, units
			} else if now.Sub(newest) > idle {
				return fmt.Errorf("receive over %s: %w", p.transport, wire.ErrIdle)
			}
		}
	}
}

func (p *pull) count() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.packets
}
