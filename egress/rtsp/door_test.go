package rtsp

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/rtp"
	wirertsp "weir/wire/rtsp"
)

// door is a gateway in memory. It grants everything under live/ and secret/, the latter to one user.
type door struct {
	mu      sync.Mutex
	streams map[string]*transmux.Stream
	ended   chan error // of players
	grants  []context.CancelCauseFunc
	last    *wire.Grant
}

func newDoor() *door {
	return &door{streams: make(map[string]*transmux.Stream), ended: make(chan error, 64)}
}

func (d *door) Password(user string) (string, bool) { return "pass", user == "user" }

func (d *door) stream(name string) *transmux.Stream {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.streams[name]
	if s == nil {
		s = transmux.NewStream(name, ring.Limits{})
		d.streams[name] = s
	}
	return s
}

func (d *door) Publish(_ context.Context, _ wire.Peer, name string) (*wire.Grant, error) {
	g := wire.NewGrant(context.Background(), func(error) {})
	g.Name, g.Writer = name, d.stream(name).NewWriter()
	return g, nil
}

func (d *door) Play(_ context.Context, p wire.Peer, name string) (*wire.Grant, error) {
	d.mu.Lock()
	s := d.streams[name]
	d.mu.Unlock()
	if s == nil {
		return nil, &wire.Refusal{Err: wire.ErrNotFound}
	}
	if name == "secret/a" && !(p.Verified && p.User == "user") {
		return nil, &wire.Refusal{Err: wire.ErrNeedUser}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	g := wire.NewGrant(ctx, func(err error) { d.ended <- err })
	g.Name, g.Stream = name, s
	d.mu.Lock()
	d.grants = append(d.grants, cancel)
	d.last = g
	d.mu.Unlock()
	return g, nil
}

// recorder writes what a publisher sends, as the other side of the gateway does.
type recorder struct{ in *rtp.Receiver }

func (r recorder) Packet(f format.Format, p *pionrtp.Packet, arrived time.Time) error {
	return r.in.Packet(f, p, arrived)
}
func (r recorder) Report(m *description.Media, p rtcp.Packet) { r.in.Report(m, p) }

func serve(t *testing.T, d *door, cfg wirertsp.Config) *wirertsp.Server {
	t.Helper()
	cfg.Door, cfg.Log = d, slog.New(slog.DiscardHandler)
	cfg.Play = NewPlayers(cfg.Log, 0).Play
	cfg.Record = func(g *wire.Grant, desc *description.Session) (wirertsp.Recorder, error) {
		in, _, err := rtp.NewReceiver(g.Writer, desc.Medias, nil, 0)
		return recorder{in}, err
	}
	if cfg.Address == "" {
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

// packet is what ffprobe says of one.
type packet struct {
	CodecType string `json:"codec_type"`
	PTSText   string `json:"pts_time"`
	DTSText   string `json:"dts_time"`
	Hash      string `json:"data_hash"`
	Flags     string
}

func (p packet) pts() float64 { f, _ := strconv.ParseFloat(p.PTSText, 64); return f }

func of(all []packet, kind string) (out []packet) {
	for _, p := range all {
		if p.CodecType == kind {
			out = append(out, p)
		}
	}
	return out
}

// probe lists packets of a file or a URL.
func probe(t *testing.T, args ...string) []packet {
	t.Helper()
	list := []string{"-v", "error", "-show_packets", "-show_data_hash", "md5", "-of", "json"}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, need(t, "ffprobe", "ffmpeg"), append(list, args...)...).Output()
	var all struct{ Packets []packet }
	if e := json.Unmarshal(out, &all); e != nil {
		t.Fatalf("ffprobe %v: %v, %v", args, err, e)
	}
	return all.Packets
}

// clip makes a file of so many seconds and returns its packets.
func clip(t *testing.T, seconds int, encode ...string) (path string, packets []packet) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "clip.mp4")
	d := strconv.Itoa(seconds)
	args := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=" + d,
		"-f", "lavfi", "-i", "anoisesrc=r=48000:a=0.1:d=" + d}, encode...)
	if out, err := exec.Command(need(t, "ffmpeg", "ffmpeg"), append(args, path)...).CombinedOutput(); err != nil {
		t.Fatalf("make clip: %v: %s", err, out)
	}
	return path, probe(t, path)
}

// publish sends a file in real time until it or the test ends, and returns once the stream has a key frame.
func publish(t *testing.T, d *door, s *wirertsp.Server, path, name string) {
	t.Helper()
	reader := d.stream(name).Reader()
	cmd := exec.Command(need(t, "ffmpeg", "ffmpeg"), "-v", "error", "-re", "-i", path, "-c", "copy", "-f", "rtsp",
		"-rtsp_transport", "tcp", "rtsp://"+s.Addr().String()+"/"+name)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := reader.Wait(ctx); err != nil {
		t.Fatalf("wait for the publisher: %v", err)
	}
}
