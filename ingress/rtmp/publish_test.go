package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux"
	"weir/transmux/amf"
	"weir/transmux/ring"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
	"weir/wire/rtmp/chunk"
)

// door lets everybody publish its stream, unless err is set.
type door struct {
	stream *transmux.Stream
	err    error
	ctx    context.Context
	revoke context.CancelCauseFunc // takes all grants back

	mu    sync.Mutex
	peers []wire.Peer
	ends  []error
	meter *wire.Meter
}

var _ wire.Door = (*door)(nil)

func newDoor() *door {
	d := &door{stream: transmux.NewStream("live/cam", ring.Limits{})}
	d.ctx, d.revoke = context.WithCancelCause(context.Background())
	return d
}

func (d *door) Password(string) (string, bool) { return "", false }

func (d *door) Play(context.Context, wire.Peer, string) (*wire.Grant, error) {
	return nil, &wire.Refusal{Err: wire.ErrNotFound}
}

func (d *door) Publish(_ context.Context, p wire.Peer, name string) (*wire.Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peers = append(d.peers, p)
	if d.err != nil {
		return nil, d.err
	}
	g := wire.NewGrant(d.ctx, func(err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ends = append(d.ends, err)
	})
	g.Name, g.Writer = name, d.stream.NewWriter()
	d.meter = g.Meter
	return g, nil
}

// handler is a door as wirertmp.Handler.
type handler struct{ d *door }

var _ wirertmp.Handler = handler{}

func (h handler) Publish(ctx context.Context, s *wirertmp.ServerStream, req *wirertmp.PublishRequest) (wirertmp.Publication, error) {
	return Publish(ctx, h.d, wire.Peer{Protocol: "rtmp"}, s, req)
}

func (h handler) Play(context.Context, *wirertmp.ServerStream, *wirertmp.PlayRequest) error {
	return wire.ErrNotFound
}

// publisher is an encoder at a door, within a synctest bubble.
type publisher struct {
	*wirertmp.ClientConn
	t      *testing.T
	nc     net.Conn
	served chan error // gets what Serve returned
}

func (d *door) encoder(t *testing.T) (*publisher, error) {
	t.Helper()
	a, b := net.Pipe()
	p := &publisher{t: t, nc: a, served: make(chan error, 1)}
	go func() {
		p.served <- wirertmp.NewServerConn(b, wirertmp.ServerConfig{}).Serve(context.Background(), handler{d})
	}()
	var err error
	p.ClientConn, err = wirertmp.Publish(t.Context(), &url.URL{Scheme: "rtmp", Host: "it", Path: "/live/cam"}, wirertmp.ClientConfig{
		// Two ends that ping at the same instant would wait for each other: a pipe has no buffer.
		Limits: wirertmp.Limits{Ping: time.Hour, Idle: 10 * time.Hour},
		Dial:   func(context.Context, string, string) (net.Conn, error) { return a, nil },
	})
	return p, err
}

func (p *publisher) send(typ uint8, at uint32, payload string) {
	p.t.Helper()
	if err := p.WriteMessage(chunk.Message{Type: typ, Timestamp: at, Payload: []byte(payload)}); err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait()
}

// leave says goodbye and stays for the answers.
func (p *publisher) leave() {
	p.t.Helper()
	m, err := (wirertmp.Command{Name: "deleteStream", Args: []amf.Value{nil, float64(p.ID())}}).Message(0)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(m.Type, 0, string(m.Payload))
}

// Bodies of messages.
const (
	avcHeader = "\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x04\x67\x64\x00\x1f\x01\x00\x02\x68\xee"
	key       = "\x17\x01\x00\x00\x28\x00\x00\x00\x02\x65\x88"
	inter     = "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a"
	ascHeader = "\xaf\x00\x12\x10"
	sound     = "\xaf\x01\x21\x10"
)

// units are those that a stream holds from its newest key frame on.
func units(s *transmux.Stream) (out []*transmux.AccessUnit) {
	for r := s.Reader(); ; {
		au, ok := r.Try()
		if !ok {
			return out
		}
		out = append(out, au)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(t *testing.T, d *door, p *publisher)
		want error // the cause that the grant ends with
	}{
		{"it writes what is published", func(t *testing.T, d *door, p *publisher) {
			cue, err := amf.Append(nil, "onCuePoint", "advert")
			if err != nil {
				t.Fatal(err)
			}
			p.send(chunk.Video, 0, avcHeader)
			p.send(chunk.Audio, 0, ascHeader)
			p.send(chunk.Video, 100, key)
			p.send(chunk.Audio, 105, sound)
			p.send(chunk.DataAMF0, 110, string(cue))
			p.send(chunk.Video, 140, inter)
			var got []string
			for _, au := range units(d.stream) {
				got = append(got, fmt.Sprintf("%s %v+%v %v %q", au.Track.Codec, au.DTS-time.Second, au.PTS-au.DTS, au.Key, au.Data))
				if au.Arrived != time.Now() {
					t.Errorf("got it arrived at %v; want now", au.Arrived)
				}
			}
			want := []string{
				`h264 0s+40ms true "\x00\x00\x00\x02e\x88"`, `aac 5ms+0s true "!\x10"`,
				fmt.Sprintf(`amf 10ms+0s true %q`, cue), `h264 40ms+0s false "\x00\x00\x00\x02A\x9a"`,
			}
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got -; want +\n%s", diff)
			}
			if bytes, n, _ := d.meter.Totals(); n != 6 || bytes != uint64(len(avcHeader+ascHeader+key+sound+inter)+len(cue)) {
				t.Errorf("got %d bytes in %d messages; want all", bytes, n)
			}
			p.leave()
		}, io.EOF},
		{"it ends when the grant is taken back", func(t *testing.T, d *door, p *publisher) {
			p.send(chunk.Video, 0, avcHeader)
			d.revoke(wire.ErrDenied)
			if err := <-p.served; !errors.Is(err, wire.ErrDenied) {
				t.Errorf("got %v; want %v", err, wire.ErrDenied)
			}
		}, wire.ErrDenied},
		{"it ends a publisher that sends nothing, though it answers", func(t *testing.T, d *door, p *publisher) {
			p.send(chunk.Video, 0, avcHeader)
			begun := time.Now()
			err := <-p.served
			if took := time.Since(begun); !errors.Is(err, wire.ErrIdle) || took < idleAfter || took > 2*idleAfter {
				t.Errorf("got %v after %v; want %v", err, took, wire.ErrIdle)
			}
		}, wire.ErrIdle},
		{"it keeps a publisher that sends little", func(t *testing.T, d *door, p *publisher) {
			for i := range uint32(10) {
				p.send(chunk.Audio, i*20, ascHeader)
				time.Sleep(idleAfter - time.Second)
			}
			p.leave()
		}, io.EOF},
		{"it ends when the publisher breaks off within a message", func(t *testing.T, d *door, p *publisher) {
			whole := chunk.Append(nil, chunk.Message{Type: chunk.Video, StreamID: 1, Payload: make([]byte, 1000)}, chunk.OutChunkSize)
			if _, err := p.nc.Write(whole[:500]); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			_ = p.nc.Close()
		}, io.ErrUnexpectedEOF},
		{"it ends a publisher that stops within a message", func(t *testing.T, d *door, p *publisher) {
			whole := chunk.Append(nil, chunk.Message{Type: chunk.Video, StreamID: 1, Payload: make([]byte, 1000)}, chunk.OutChunkSize)
			if _, err := p.nc.Write(whole[:500]); err != nil {
				t.Fatal(err)
			}
			<-p.served // in the end
		}, wire.ErrIdle},
		{"it ends when another takes over", func(t *testing.T, d *door, p *publisher) {
			p.send(chunk.Video, 0, avcHeader)
			d.stream.NewWriter()
			p.send(chunk.Video, 0, key)
		}, wire.ErrReplaced},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor()
				defer d.revoke(nil)
				p, err := d.encoder(t)
				if err != nil {
					t.Fatal(err)
				}
				left := make(chan struct{})
				go func() { defer close(left); _ = p.Wait() }() // answers pings
				c.run(t, d, p)
				synctest.Wait()
				if len(d.ends) != 1 || !errors.Is(d.ends[0], c.want) {
					t.Errorf("got ends %v; want %v once", d.ends, c.want)
				}
				_ = p.nc.Close()
				<-left
			})
		})
	}
	t.Run("it passes the door's no on", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d := newDoor()
			defer d.revoke(nil)
			d.err = &wire.Refusal{Err: wire.ErrBusy}
			p, err := d.encoder(t)
			if !errors.Is(err, wire.ErrBusy) {
				t.Errorf("got %v; want %v", err, wire.ErrBusy)
			}
			_ = p.nc.Close()
			<-p.served
			if len(d.ends) != 0 {
				t.Errorf("got ends %v; want none", d.ends)
			}
		})
	})
}
