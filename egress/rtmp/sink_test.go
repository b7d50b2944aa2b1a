package rtmp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
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

// receiver is a server that takes what is published.
type receiver struct {
	err  error                              // refuses everybody, unless nil
	take func(*wirertmp.ServerStream) error // called for each message
	got  chan string
	ends chan error

	stream *wirertmp.ServerStream
}

func (r *receiver) Publish(_ context.Context, s *wirertmp.ServerStream, _ *wirertmp.PublishRequest) (wirertmp.Publication, error) {
	r.stream = s
	return r, r.err
}

func (r *receiver) Play(context.Context, *wirertmp.ServerStream, *wirertmp.PlayRequest) error {
	return wire.ErrNotAllowed
}

func (r *receiver) WriteMessage(m chunk.Message) error {
	r.got <- strings.TrimPrefix(say(m), "1: ")
	if r.take != nil {
		return r.take(r.stream)
	}
	return nil
}

func (r *receiver) End(cause error) { r.ends <- cause }

// listen serves r until the test ends and returns its address.
func (r *receiver) listen(t *testing.T, cfg wirertmp.ServerConfig) string {
	t.Helper()
	r.got, r.ends = make(chan string, 1000), make(chan error, 10)
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
			all.Go(func() { _ = wirertmp.NewServerConn(nc, cfg).Serve(ctx, r) }) // its end is seen at the other end
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// write writes a unit each ms milliseconds to w, from a key frame on, until the stream is closed.
func write(t *testing.T, w *transmux.Writer, video *transmux.Track, size int) {
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-stop:
				return
			}
			at := time.Duration(i) * 20 * time.Millisecond
			for _, track := range []*transmux.Track{video, aac} {
				if w.Write(transmux.AccessUnit{Track: track, DTS: at, PTS: at, Key: i%50 == 0, Data: make([]byte, size), Arrived: time.Now()}) != nil {
					return
				}
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		all.Wait()
	})
}

func TestSink(t *testing.T) {
	t.Parallel()
	auth := wirertmp.NewAuth(func(user string) (string, bool) { return "s3cret", user == "studio" })
	locked := wirertmp.ServerConfig{Auth: auth, Admit: func(req *wirertmp.ConnectRequest) error {
		if req.Verified {
			return nil
		}
		return wire.ErrNeedUser
	}}
	third := func(what func(*wirertmp.ServerStream) error) func(*wirertmp.ServerStream) error {
		n := 0
		return func(s *wirertmp.ServerStream) error {
			if n++; n == 3 {
				return what(s)
			}
			return nil
		}
	}
	var again *wirertmp.ReconnectError
	for _, c := range []struct {
		name  string
		cfg   wirertmp.ServerConfig
		user  string
		r     receiver
		check func(error) bool
	}{
		{"it says who refuses", wirertmp.ServerConfig{}, "", receiver{err: wire.ErrBusy}, func(err error) bool { return errors.Is(err, wire.ErrBusy) }},
		{"it says that a password is needed", locked, "", receiver{}, func(err error) bool { return errors.Is(err, wire.ErrNeedUser) }},
		{"it says that a password is wrong", locked, "studio:wr0ng@", receiver{}, func(err error) bool { return errors.Is(err, wire.ErrWrongUser) }},
		{"it ends when the server closes", wirertmp.ServerConfig{}, "", receiver{take: third(func(s *wirertmp.ServerStream) error { s.Close(wire.ErrReplaced); return nil })},
			func(err error) bool { return err != nil && !errors.Is(err, io.EOF) }},
		{"it ends when the server breaks off", wirertmp.ServerConfig{}, "", receiver{take: third(func(*wirertmp.ServerStream) error { return io.ErrNoProgress })},
			func(err error) bool { return err != nil }},
		{"it ends when the server asks to connect again", wirertmp.ServerConfig{}, "", receiver{take: third(func(s *wirertmp.ServerStream) error {
			_, err := s.Conn().Reconnect("rtmp://192.0.2.1/live", "maintenance")
			return err
		})}, func(err error) bool { return errors.As(err, &again) && again.URL.Host == "192.0.2.1" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr := c.r.listen(t, c.cfg)
			stream := transmux.NewStream("it", ring.Limits{})
			w := stream.NewWriter()
			w.SetTracks([]*transmux.Track{h264, aac})
			write(t, w, h264, 100)
			err := runSink(t.Context(), t, "rtmp://"+c.user+addr+"/live/cam", stream)
			if !c.check(err) {
				t.Errorf("got %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "wr0ng") || !strings.Contains(err.Error(), addr)) {
				t.Errorf("got %v; want the address in it, and no secret", err)
			}
		})
	}
}

func runSink(ctx context.Context, t *testing.T, to string, stream *transmux.Stream) error {
	t.Helper()
	s, err := New(wire.Remote{URL: parse(t, to), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(ctx, stream, new(wire.Meter))
}

func TestSinkEnds(t *testing.T) {
	t.Parallel()
	t.Run("it sends all and says goodbye when the stream ends", func(t *testing.T) {
		t.Parallel()
		r := &receiver{}
		addr := r.listen(t, wirertmp.ServerConfig{})
		stream := transmux.NewStream("it", ring.Limits{})
		w := stream.NewWriter()
		w.SetTracks([]*transmux.Track{h264, aac})
		done := make(chan error, 1)
		go func() { done <- runSink(t.Context(), t, "rtmp://"+addr+"/live/cam", stream) }()
		for i, word := range []string{"K", "P", "a"} {
			track := h264
			if word == "a" {
				track = aac
			}
			at := time.Duration(i) * 40 * time.Millisecond
			if err := w.Write(transmux.AccessUnit{Track: track, DTS: at, PTS: at, Key: word == "K", Data: []byte(word)}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for len(got) < 6 {
			got = append(got, <-r.got)
		}
		stream.Close(nil)
		if err := <-done; err != nil {
			t.Errorf("got %v; want nil", err)
		}
		if end := <-r.ends; !errors.Is(end, io.EOF) {
			t.Errorf("the server got %v; want a goodbye", end)
		}
		want := []string{"onMetaData", `avcC "avc" at 0`, `ASC "\x12\x10" at 0`, `key "K" at 0`, `inter "P" at 40`, `aac "a" at 80`}
		if !slices.Equal(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
	})
	t.Run("it ends at once when nobody listens", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		stream := transmux.NewStream("it", ring.Limits{})
		stream.NewWriter().SetTracks([]*transmux.Track{h264, aac})
		if err := runSink(t.Context(), t, "rtmp://"+addr+"/live/cam", stream); err == nil {
			t.Error("got no error; want one")
		}
	})
	t.Run("it ends soon with its context, though the server takes nothing", func(t *testing.T) {
		t.Parallel()
		stuck := make(chan struct{})
		r := &receiver{take: func(*wirertmp.ServerStream) error { <-stuck; return nil }}
		addr := r.listen(t, wirertmp.ServerConfig{})
		t.Cleanup(func() { close(stuck) })
		stream := transmux.NewStream("it", ring.Limits{})
		w := stream.NewWriter()
		w.SetTracks([]*transmux.Track{h264, aac})
		write(t, w, h264, 200_000)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() { done <- runSink(ctx, t, "rtmp://"+addr+"/live/cam", stream) }()
		<-r.got
		time.AfterFunc(300*time.Millisecond, func() { cancel(wire.ErrDrain) }) // socket buffers are full by then
		begun := time.Now()
		if err := <-done; !errors.Is(err, wire.ErrDrain) {
			t.Errorf("got %v; want %v", err, wire.ErrDrain)
		}
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("got the end after %v; want it soon", took)
		}
	})
	t.Run("it says when no track can be carried", func(t *testing.T) {
		t.Parallel()
		r := &receiver{}
		addr := r.listen(t, wirertmp.ServerConfig{FourCCs: []string{}}) // lists nothing
		stream := transmux.NewStream("it", ring.Limits{})
		stream.NewWriter().SetTracks([]*transmux.Track{opus})
		if err := runSink(t.Context(), t, "rtmp://"+addr+"/live/cam", stream); !errors.Is(err, wire.ErrNoTrack) || !strings.Contains(err.Error(), "Opus") {
			t.Errorf("got %v; want %v, and the codec", err, wire.ErrNoTrack)
		}
	})
}

func TestNewRefusesURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"http://h/live/cam", "rtmp:///live/cam"} {
		if _, err := New(wire.Remote{URL: parse(t, bad)}); err == nil {
			t.Errorf("got no error for %s; want one", bad)
		}
	}
}
