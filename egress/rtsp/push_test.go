package rtsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	wirertsp "weir/wire/rtsp"
)

func TestPushToServer(t *testing.T) {
	t.Parallel()
	path, want := clip(t, 12, bframes...)
	for _, test := range []struct{ it, transport string }{
		{"it keeps times over TCP", ""},
		{"it keeps times over UDP", "udp"},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			here, there := newDoor(), newDoor()
			from, to := serve(t, here, wirertsp.Config{}), serve(t, there, wirertsp.Config{})
			publish(t, here, from, path, "live/a")
			sink, err := New(wire.Remote{URL: parse(t, "rtsp://"+to.Addr().String()+"/live/b"), Transport: test.transport})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			reader := there.stream("live/b").Reader()
			go func() { done <- sink.Run(ctx, here.stream("live/a"), new(wire.Meter)) }()
			wait, stop := context.WithTimeout(ctx, 20*time.Second)
			defer stop()
			if err := reader.Wait(wait); err != nil {
				t.Fatalf("wait for the push: %v", err)
			}
			got := probe(t, "-rtsp_transport", "tcp", "-read_intervals", "%+4", fmt.Sprintf("rtsp://%s/live/b", to.Addr()))
			compare(t, got, want)
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v; want that it was canceled", err)
			}
		})
	}
}

// freePort is a TCP port that nobody has at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestPushToFFmpeg(t *testing.T) {
	t.Parallel()
	path, want := clip(t, 8, bframes...)
	here := newDoor()
	from := serve(t, here, wirertsp.Config{})
	address := freePort(t)
	receiver := exec.Command(need(t, "ffprobe", "ffmpeg"), "-v", "error", "-rtsp_flags", "listen", "-read_intervals", "%+4",
		"-show_packets", "-show_data_hash", "md5", "-of", "json", "rtsp://"+address+"/live/b")
	var out, problems strings.Builder
	receiver.Stdout, receiver.Stderr = &out, &problems
	if err := receiver.Start(); err != nil {
		t.Fatal(err)
	}
	defer receiver.Process.Kill()
	publish(t, here, from, path, "live/a")
	sink, err := New(wire.Remote{URL: parse(t, "rtsp://"+address+"/live/b")})
	if err != nil {
		t.Fatal(err)
	}
	// ffmpeg does not say when it listens.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			err = sink.Run(ctx, here.stream("live/a"), new(wire.Meter))
			var refused *net.OpError
			if !errors.As(err, &refused) || refused.Op != "dial" {
				return
			}
		}
	}()
	if err := receiver.Wait(); err != nil {
		t.Errorf("receive: %v: %s", err, problems.String())
	}
	<-ended
	if err == nil {
		t.Error("got no error when the server left; want one")
	}
	var all struct{ Packets []packet }
	if err := json.Unmarshal([]byte(out.String()), &all); err != nil {
		t.Fatal(err)
	}
	compare(t, all.Packets, want)
}

func TestPushErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		it   string
		url  string
		want error
	}{
		{"it says that no track can be carried", "rtsp://127.0.0.1:1/a", wire.ErrNoTrack},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			s := transmux.NewStream("a", ring.Limits{})
			s.NewWriter().SetTracks([]*transmux.Track{{ID: 1, Codec: transmux.Nellymoser}})
			sink, err := New(wire.Remote{URL: parse(t, test.url)})
			if err != nil {
				t.Fatal(err)
			}
			if err := sink.Run(t.Context(), s, new(wire.Meter)); !errors.Is(err, test.want) {
				t.Errorf("got %v; want %v", err, test.want)
			}
		})
	}
}
