package rtmp_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	outrtmp "weir/egress/rtmp"
	inrtmp "weir/ingress/rtmp"
	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	wirertmp "weir/wire/rtmp"
)

// hub is a small gateway in memory: players of a stream wait for its first publisher, and it ends with that.
type hub struct {
	mu      sync.Mutex
	streams map[string]*transmux.Stream
}

var (
	_ wire.Door        = door{}
	_ wirertmp.Handler = (*hub)(nil)
)

// stream returns the named stream, which need not have begun.
func (h *hub) stream(name string) *transmux.Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams == nil {
		h.streams = make(map[string]*transmux.Stream)
	}
	if h.streams[name] == nil {
		h.streams[name] = transmux.NewStream(name, ring.Limits{})
	}
	return h.streams[name]
}

func (h *hub) grant(s *transmux.Stream, end func(error)) *wire.Grant {
	g := wire.NewGrant(context.Background(), end)
	g.Name, g.Stream = s.Name(), s
	return g
}

// door is hub as a wire.Door, whose methods have the names of wirertmp.Handler's.
type door struct{ *hub }

func (d door) Password(string) (string, bool) { return "", false }

func (d door) Publish(_ context.Context, _ wire.Peer, name string) (*wire.Grant, error) {
	s := d.stream(name)
	g := d.grant(s, func(error) { s.Close(nil) })
	g.Writer = s.NewWriter()
	return g, nil
}

func (d door) Play(ctx context.Context, _ wire.Peer, name string) (*wire.Grant, error) {
	s := d.stream(name)
	if err := s.Reader().Wait(ctx); err != nil {
		return nil, &wire.Refusal{Err: wire.ErrNotFound}
	}
	return d.grant(s, func(error) {}), nil
}

func (h *hub) Publish(ctx context.Context, s *wirertmp.ServerStream, req *wirertmp.PublishRequest) (wirertmp.Publication, error) {
	return inrtmp.Publish(ctx, door{h}, wire.Peer{}, s, req)
}

func (h *hub) Play(ctx context.Context, s *wirertmp.ServerStream, req *wirertmp.PlayRequest) error {
	return outrtmp.Play(ctx, door{h}, wire.Peer{}, s, req, 0, slog.New(slog.DiscardHandler))
}

// listen serves h until the test ends and returns its address. tap, if not nil, gets each connection.
func (h *hub) listen(t *testing.T, tap func(net.Conn) net.Conn) string {
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
			if tap != nil {
				nc = tap(nc)
			}
			all.Go(func() {
				err := wirertmp.NewServerConn(nc, wirertmp.ServerConfig{FourCCs: outrtmp.FourCCs()}).Serve(ctx, h)
				t.Logf("session: %v", err)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// A unit in short: kind, times in ms, whether it is a key frame, size and checksum.
type unit struct {
	kind     string
	pts, dts int64
	key      bool
	sum      string
}

// follow collects the units of s until it ends. begun is closed when it has the first; if nothing but one group has been
// written by then, it gets all.
func follow(s *transmux.Stream) (wait func() []unit, begun <-chan struct{}) {
	r := s.Reader()
	out := make(chan []unit, 1)
	first := make(chan struct{})
	go func() {
		var all []unit
		for {
			au, err := r.Next(context.Background())
			if err != nil {
				out <- all
				return
			}
			if all == nil {
				close(first)
			}
			all = append(all, unit{
				au.Track.Kind().String(), au.PTS.Round(time.Millisecond).Milliseconds(), au.DTS.Round(time.Millisecond).Milliseconds(),
				au.Key, fmt.Sprintf("%d %x", len(au.Data), md5.Sum(au.Data)),
			})
		}
	}()
	return func() []unit { return <-out }, first
}

// probeArgs make ffprobe list what probed reads.
var probeArgs = []string{"-v", "error", "-show_packets", "-show_data_hash", "md5", "-show_entries", "packet=codec_type,pts,dts,size,flags,data_hash", "-of", "csv=p=0"}

// probed reads a listing of ffprobe's.
func probed(t *testing.T, listing string) (out []unit) {
	t.Helper()
	for line := range strings.Lines(listing) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) < 6 || f[0] != "video" && f[0] != "audio" {
			continue
		}
		pts, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			t.Fatalf("ffprobe says %q: %v", line, err)
		}
		dts, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			t.Fatalf("ffprobe says %q: %v", line, err)
		}
		out = append(out, unit{f[0], pts, dts, f[4][0] == 'K', f[3] + " " + strings.TrimPrefix(f[5], "MD5:")})
	}
	return out
}

// normal parts units by kind and counts times from the first key frame (the first unit, without pictures). Sound before
// it is left out, since players need not be sent it.
func normal(units []unit) (video, audio []unit) {
	begin := 0
	for i, u := range units {
		if u.kind == "video" {
			begin = i
			break
		}
	}
	if len(units) == 0 {
		return nil, nil
	}
	origin := units[begin].dts
	for _, u := range units {
		u.pts, u.dts = u.pts-origin, u.dts-origin
		switch {
		case u.kind == "video":
			video = append(video, u)
		case u.kind == "audio" && u.dts >= 0:
			audio = append(audio, u)
		}
	}
	return video, audio
}

// program finds a real program, or fails with what to install.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: apt-get install %s", name, pkg)
	}
	return path
}

// run runs a program to its end and returns its standard output.
func run(ctx context.Context, t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := try(ctx, path, args...)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

func try(ctx context.Context, path string, args ...string) (string, error) {
	var out, diagnostics strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, diagnostics.String())
	}
	return out.String(), nil
}
