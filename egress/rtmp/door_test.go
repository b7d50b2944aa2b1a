package rtmp

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/transmux/amf"
	"weir/transmux/ring"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
	"weir/wire/rtmp/chunk"
	"weir/wire/rtmp/handshake"
)

// door lets everybody play its stream, unless err is set.
type door struct {
	stream *transmux.Stream
	choose transmux.Selection
	err    error
	ctx    context.Context
	revoke context.CancelCauseFunc // takes all grants back
	log    *strings.Builder

	mu    sync.Mutex
	peers []wire.Peer
	ends  []error // causes of all sessions that ended
	meter *wire.Meter
}

var _ wire.Door = (*door)(nil)

func newDoor(limits ring.Limits) *door {
	d := &door{stream: transmux.NewStream("live/cam", limits), log: new(strings.Builder)}
	d.ctx, d.revoke = context.WithCancelCause(context.Background())
	return d
}

func (d *door) Password(string) (string, bool) { return "", false }

func (d *door) Play(_ context.Context, p wire.Peer, _ string) (*wire.Grant, error) {
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
	g.Name, g.Stream, g.Tracks = "live/cam", d.stream, d.choose
	d.meter = g.Meter
	return g, nil
}

func (d *door) Publish(context.Context, wire.Peer, string) (*wire.Grant, error) {
	return nil, &wire.Refusal{Err: wire.ErrNotAllowed}
}

// handler is d as wirertmp.Handler.
type handler struct{ d *door }

var _ wirertmp.Handler = handler{}

func (h handler) Publish(context.Context, *wirertmp.ServerStream, *wirertmp.PublishRequest) (wirertmp.Publication, error) {
	return nil, wire.ErrNotAllowed
}

func (h handler) Play(ctx context.Context, s *wirertmp.ServerStream, req *wirertmp.PlayRequest) error {
	return Play(ctx, h.d, wire.Peer{Protocol: "rtmp"}, s, req, 0, slog.New(slog.NewTextHandler(h.d.log, nil)))
}

// client is a scripted player of a door, within a synctest bubble.
type client struct {
	t    *testing.T
	nc   net.Conn
	done chan error // gets what Serve returned, and is closed

	mu   sync.Mutex
	got  []string
	hold chan struct{} // nothing is read until it is closed, unless nil
}

// join connects to d, and says so to the server with further fields.
func (d *door) join(t *testing.T, fields ...amf.Field) *client {
	t.Helper()
	a, b := net.Pipe()
	c := &client{t: t, nc: a, done: make(chan error, 1)}
	server := wirertmp.NewServerConn(b, wirertmp.ServerConfig{})
	go func() {
		defer close(c.done)
		c.done <- server.Serve(context.Background(), handler{d})
	}()
	if err := handshake.Client(a); err != nil {
		t.Fatal(err)
	}
	go c.listen()
	o := &amf.Object{Fields: append([]amf.Field{{Name: "app", Value: "live"}}, fields...)}
	c.command(0, wirertmp.Command{Name: "connect", Transaction: 1, Args: []amf.Value{o}})
	return c
}

func (c *client) listen() {
	r := chunk.NewReader(c.nc)
	for {
		c.mu.Lock()
		hold := c.hold
		c.mu.Unlock()
		if hold != nil {
			<-hold
		}
		m, err := r.Read()
		if err != nil {
			return
		}
		if line := say(m); line != "" {
			c.mu.Lock()
			c.got = append(c.got, line)
			c.mu.Unlock()
		}
	}
}

// stop makes the client read nothing until the returned function is called.
func (c *client) stop() (proceed func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hold := make(chan struct{})
	c.hold = hold
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.hold = nil
		close(hold)
	}
}

func (c *client) command(id uint32, cmd wirertmp.Command) {
	c.t.Helper()
	m, err := cmd.Message(id)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.nc.Write(chunk.Append(nil, m, chunk.DefaultChunkSize)); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

func (c *client) call(id uint32, name string, args ...amf.Value) {
	c.t.Helper()
	c.command(id, wirertmp.Command{Name: name, Args: append([]amf.Value{nil}, args...)})
}

// play creates streams up to the given one and plays on it.
func (c *client) play(id uint32) {
	c.t.Helper()
	for range id {
		c.command(0, wirertmp.Command{Name: "createStream", Transaction: 2, Args: []amf.Value{nil}})
	}
	c.call(id, "play", "cam")
}

// take returns what came since, in short.
func (c *client) take() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// leave closes the client's end and waits for the session's.
func (c *client) leave() {
	_ = c.nc.Close()
	<-c.done
}

// lineBegin is where a stream's time line begins, in ms; the tests count from there.
const lineBegin = 1000

// say writes in short what matters of a message, or nothing.
func say(m chunk.Message) string {
	switch m.Type {
	case chunk.Video, chunk.Audio:
		return fmt.Sprintf("%d: %s at %d", m.StreamID, body(m), m.Timestamp-lineBegin)
	case chunk.DataAMF0:
		name, rest, err := amf.Decode(m.Payload)
		if err != nil || name == "|RtmpSampleAccess" || name == "onStatus" || name == "onPlayStatus" {
			return ""
		}
		value, _, _ := amf.Decode(rest)
		if name == "onMetaData" {
			return fmt.Sprintf("%d: onMetaData", m.StreamID)
		}
		return fmt.Sprintf("%d: %v %v at %d", m.StreamID, name, value, m.Timestamp-lineBegin)
	case chunk.CommandAMF0:
		cmd, err := wirertmp.ParseCommand(m)
		if err != nil || cmd.Name != "onStatus" || len(cmd.Args) < 2 {
			return ""
		}
		words := ""
		for _, f := range amf.Members(cmd.Args[1]) {
			if f.Name == "code" || f.Name == "description" && strings.Contains(fmt.Sprint(f.Value), "track") {
				words += fmt.Sprint(" ", f.Value)
			}
		}
		return fmt.Sprintf("%d:%s", m.StreamID, words)
	}
	return ""
}

// body says what a media message holds.
func body(m chunk.Message) string {
	b := m.Payload
	switch {
	case m.Type == chunk.Video && b[0]&0x80 != 0:
		kind, rest := b[0]&0xf, string(b[5:])
		if kind == 1 && string(b[1:5]) == "hvc1" {
			rest = rest[3:]
		}
		if kind == 6 {
			return fmt.Sprintf("%s track %d %q", b[2:6], b[6], rest[2:])
		}
		return fmt.Sprintf("%s type %d %q", b[1:5], kind, rest)
	case m.Type == chunk.Video:
		cts := int32(binary.BigEndian.Uint32(b[1:])<<8) >> 8
		word := map[byte]string{0x17: "key", 0x27: "inter"}[b[0]]
		if b[1] == 0 {
			return fmt.Sprintf("avcC %q", b[5:])
		}
		if cts != 0 {
			word += fmt.Sprintf("%+d", cts)
		}
		return fmt.Sprintf("%s %q", word, b[5:])
	case b[0]>>4 == 9:
		return fmt.Sprintf("%s type %d %q", b[1:5], b[0]&0xf, b[5:])
	case b[0]>>4 == 10 && b[1] == 0:
		return fmt.Sprintf("ASC %q", b[2:])
	case b[0]>>4 == 10:
		return fmt.Sprintf("aac %q", b[2:])
	}
	return fmt.Sprintf("sound %x %q", b[0], b[1:])
}

// Tracks of the tests. Their configurations are words that nobody looks into.
var (
	h264 = &transmux.Track{ID: 0, Codec: transmux.H264, Config: []byte("avc")}
	next = &transmux.Track{ID: 0, Codec: transmux.H264, Config: []byte("new")}
	h265 = &transmux.Track{ID: 0, Codec: transmux.H265, Config: []byte("hevc")}
	av1  = &transmux.Track{ID: 1, Codec: transmux.AV1, Config: []byte("av1c")}
	aac  = &transmux.Track{ID: 256, Codec: transmux.AAC, Config: []byte{0x12, 0x10}, Rate: 44100, Channels: 2}
	opus = &transmux.Track{ID: 256, Codec: transmux.Opus, Config: []byte("OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00"), Rate: 48000, Channels: 2}
	cues = &transmux.Track{ID: 512, Codec: transmux.AMF}
)

// feed writes units of a track to a stream, each named by a word of the list: "K40" is a key frame at 40 ms, "P80+40" one
// that is shown 40 ms later.
func feed(t *testing.T, w *transmux.Writer, track *transmux.Track, list string) {
	t.Helper()
	for word := range strings.FieldsSeq(list) {
		var dts, cts int
		if _, err := fmt.Sscanf(word[1:], "%d+%d", &dts, &cts); err != nil && cts != 0 {
			t.Fatal(err)
		}
		au := transmux.AccessUnit{Track: track, Key: word[0] == 'K', Data: []byte(word), Arrived: time.Now()}
		au.DTS = time.Duration(dts) * time.Millisecond
		au.PTS = au.DTS + time.Duration(cts)*time.Millisecond
		if err := w.Write(au); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}
