package rtmp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
	"weir/wire/rtmp/chunk"
)

// player is a server from which everybody may play what play sends.
type player struct {
	play func(ctx context.Context, s *wirertmp.ServerStream) error
}

func (p *player) Publish(context.Context, *wirertmp.ServerStream, *wirertmp.PublishRequest) (wirertmp.Publication, error) {
	return nil, wire.ErrNotAllowed
}

func (p *player) Play(ctx context.Context, s *wirertmp.ServerStream, _ *wirertmp.PlayRequest) error {
	return p.play(ctx, s)
}

// listen serves h until the test ends and returns its address.
func listen(t *testing.T, h wirertmp.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = wirertmp.NewServerConn(nc, wirertmp.ServerConfig{}).Serve(ctx, h) }) // its end is seen at the other end
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// give sends a sequence header, a picture and a sound.
func give(s *wirertmp.ServerStream) error {
	if err := s.WriteStart(); err != nil {
		return err
	}
	for _, m := range []chunk.Message{
		{Type: chunk.Video, Payload: []byte(avcHeader)}, {Type: chunk.Audio, Payload: []byte(ascHeader)},
		{Type: chunk.Video, Timestamp: 40, Payload: []byte(key)}, {Type: chunk.Audio, Timestamp: 50, Payload: []byte(sound)},
	} {
		if err := s.WriteMessage(m); err != nil {
			return err
		}
	}
	return nil
}

func TestSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		play   func(ctx context.Context, s *wirertmp.ServerStream) error
		tracks []string
		want   error
		kinds  string // of the tracks that came
	}{
		{"it writes what it gets until the stream ends", func(_ context.Context, s *wirertmp.ServerStream) error { return give(s) }, nil, wire.ErrEnded, "h264 aac"},
		{"it writes what is chosen", func(_ context.Context, s *wirertmp.ServerStream) error { return give(s) }, []string{"audio"}, wire.ErrEnded, "aac"},
		{"it says that there is no such stream", func(context.Context, *wirertmp.ServerStream) error { return wire.ErrNotFound }, nil, wire.ErrNotFound, ""},
		{"it ends when the server breaks off", func(ctx context.Context, s *wirertmp.ServerStream) error {
			err := give(s)
			s.Conn().Close(io.ErrNoProgress)
			<-ctx.Done()
			return err
		}, nil, wire.ErrEnded, "h264 aac"},
		{"it ends when the server asks to connect again", func(ctx context.Context, s *wirertmp.ServerStream) error {
			if err := give(s); err != nil {
				return err
			}
			if ok, err := s.Conn().Reconnect("", "maintenance"); !ok || err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}, nil, nil, "h264 aac"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr := listen(t, &player{c.play})
			choose, err := transmux.ParseSelection(c.tracks)
			if err != nil {
				t.Fatal(err)
			}
			stream := transmux.NewStream("it", ring.Limits{})
			err = pull(t.Context(), t, "rtmp://viewer:s3cr3t@"+addr+"/live/cam", choose, stream, new(wire.Meter))
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v; want %v", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), addr)) {
				t.Errorf("got %v; want the address in it, and no secret", err)
			}
			var kinds []string
			for _, track := range stream.Tracks() {
				kinds = append(kinds, string(track.Codec))
			}
			if got := strings.Join(kinds, " "); got != c.kinds {
				t.Errorf("got tracks %q; want %q", got, c.kinds)
			}
			for _, au := range units(stream) {
				if time.Since(au.Arrived) > time.Minute {
					t.Errorf("got arrival %v; want the present", au.Arrived)
				}
			}
		})
	}
}

func pull(ctx context.Context, t *testing.T, from string, choose transmux.Selection, stream *transmux.Stream, m *wire.Meter) error {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(wire.Remote{URL: u, Tracks: choose, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(ctx, stream.NewWriter(), m)
}

func TestSourceEndsSoonWithItsContext(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	for name, addr := range map[string]string{
		"it ends within the handshake": mute.Addr().String(),
		"it ends while it plays": listen(t, &player{func(ctx context.Context, s *wirertmp.ServerStream) error {
			err := give(s)
			<-ctx.Done()
			return err
		}}),
		"it ends while it waits": listen(t, &player{func(ctx context.Context, s *wirertmp.ServerStream) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(200*time.Millisecond, func() { cancel(wire.ErrDrain) })
			begun := time.Now()
			err := pull(ctx, t, "rtmp://"+addr+"/live/cam", nil, transmux.NewStream("it", ring.Limits{}), new(wire.Meter))
			if took := time.Since(begun); !errors.Is(err, wire.ErrDrain) || took > 2*time.Second {
				t.Errorf("got %v after %v; want %v soon", err, took, wire.ErrDrain)
			}
		})
	}
}

func TestSourceEndsWhenItsStreamIsTaken(t *testing.T) {
	t.Parallel()
	stream := transmux.NewStream("it", ring.Limits{})
	addr := listen(t, &player{func(ctx context.Context, s *wirertmp.ServerStream) error {
		stream.NewWriter()
		err := give(s)
		<-ctx.Done()
		return err
	}})
	if err := pull(t.Context(), t, "rtmp://"+addr+"/live/cam", nil, stream, new(wire.Meter)); !errors.Is(err, wire.ErrReplaced) {
		t.Errorf("got %v; want %v", err, wire.ErrReplaced)
	}
}
