// Package interop lets another implementation of RTMP speak with this one.
package interop

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"weir/wire/rtmp"
	"weir/wire/rtmp/chunk"
)

// frames is more than a second of Opus, which the reader looks at before it begins.
const frames = 200

// store takes one publication, and gives a player all of it once it is complete.
type store struct {
	mu       sync.Mutex
	messages []chunk.Message
	complete chan struct{} // closed when all frames have come
}

func (s *store) Publish(context.Context, *rtmp.ServerStream, *rtmp.PublishRequest) (rtmp.Publication, error) {
	return s, nil
}

func (s *store) Play(ctx context.Context, st *rtmp.ServerStream, _ *rtmp.PlayRequest) error {
	if err := st.WriteStart(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var bufs net.Buffers
	for _, m := range s.messages {
		bufs = chunk.Split(m).AppendTo(bufs, st.ID())
	}
	if err := st.WriteBuffers(bufs); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (s *store) WriteMessage(m chunk.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	if len(s.messages) == frames+2 { // metadata and the sequence start
		close(s.complete)
	}
	return nil
}

func (s *store) End(error) {}

func TestGortmplib(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &store{complete: make(chan struct{})}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { t.Logf("session: %v", rtmp.NewServerConn(nc, rtmp.ServerConfig{}).Serve(ctx, h)) })
		}
	})
	defer sessions.Wait()
	defer func() { _ = l.Close() }()

	u := &url.URL{Scheme: "rtmp", Host: l.Addr().String(), Path: "/live/cam"}
	pub := &gortmplib.Client{URL: u, Publish: true}
	if err := pub.Initialize(ctx); err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	track := &gortmplib.Track{Codec: &codecs.Opus{IDHeader: &opus.IDHeader{Version: 1, ChannelCount: 2, InputSampleRate: 48000}}}
	w := &gortmplib.Writer{Conn: pub, Tracks: []*gortmplib.Track{track}}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if err := w.WriteOpus(track, time.Duration(i)*20*time.Millisecond, []byte{0xfc, byte(i), 1}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-h.complete:
	case <-ctx.Done():
		t.Fatal("got less than was published")
	}

	play := &gortmplib.Client{URL: u}
	if err := play.Initialize(ctx); err != nil {
		t.Fatal(err)
	}
	defer play.Close()
	r := &gortmplib.Reader{Conn: play}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, tr := range r.Tracks() {
		r.OnDataOpus(tr, func(time.Duration, []byte) { got++ })
	}
	for got < frames {
		if err := r.Read(); err != nil {
			t.Fatalf("after %d frames: %v", got, err)
		}
	}
}
