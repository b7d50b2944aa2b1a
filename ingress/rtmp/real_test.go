package rtmp_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	outrtmp "weir/egress/rtmp"
	inrtmp "weir/ingress/rtmp"
	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/ring"
	"weir/wire"
)

// Codecs as ffmpeg's arguments. The pictures are small, so that recordings are.
var (
	pictures = []string{"-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25"}
	tone     = []string{"-f", "lavfi", "-i", "anoisesrc=color=pink:seed=7:amplitude=0.3:sample_rate=44100"} // no two frames are equal
	avc      = []string{"-c:v", "libx264", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p", "-b:v", "150k", "-threads", "1"}
)

// clip makes an FLV file of that many seconds.
func clip(ctx context.Context, t *testing.T, seconds int, parts ...[]string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clip.flv")
	args := []string{"-v", "error"}
	for _, p := range parts {
		args = append(args, p...)
	}
	args = append(args, "-t", fmt.Sprint(seconds), "-f", "flv", file)
	run(ctx, t, program(t, "ffmpeg", "ffmpeg"), args...)
	return file
}

// same compares what came with what was sent, all of it.
func same(t *testing.T, who string, got, want []unit) {
	t.Helper()
	if len(got) > 0 && got[0].kind == "audio" && !slices.ContainsFunc(want, func(u unit) bool { return u.kind == "video" }) {
		// A receiver of sound alone begins anywhere.
		if i := slices.IndexFunc(want[:min(len(want), 40)], func(u unit) bool { return u.sum == got[0].sum }); i > 0 {
			want = want[i:]
		}
	}
	gotVideo, gotAudio := normal(got)
	wantVideo, wantAudio := normal(want)
	options := cmp.AllowUnexported(unit{})
	if d := cmp.Diff(gotVideo, wantVideo, options); d != "" {
		t.Errorf("%s: %d pictures of %d: got -; want +\n%.3000s", who, len(gotVideo), len(wantVideo), d)
	}
	// Sound that was sent before the first picture is not for players, whatever its time.
	if miss := len(wantAudio) - len(gotAudio); miss > 0 && miss < 4 && len(gotAudio) > 0 {
		wantAudio = wantAudio[miss:]
	}
	if d := cmp.Diff(gotAudio, wantAudio, options); d != "" {
		t.Errorf("%s: %d sounds of %d: got -; want +\n%.3000s", who, len(gotAudio), len(wantAudio), d)
	}
}

func TestRealPublisherToRealPlayers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		parts [][]string
	}{
		{"it relays B-frames and AAC", [][]string{pictures, tone, avc, {"-c:a", "aac"}}},
		{"it relays MP3", [][]string{pictures, tone, avc, {"-c:a", "libmp3lame"}}},
		{"it relays G.711", [][]string{pictures, tone, avc, {"-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"}}},
		{"it relays pictures alone", [][]string{pictures, avc}},
		{"it relays sound alone", [][]string{tone, {"-c:a", "aac"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			src := clip(ctx, t, 3, c.parts...)
			ffmpeg, ffprobe, rtmpdump := program(t, "ffmpeg", "ffmpeg"), program(t, "ffprobe", "ffmpeg"), program(t, "rtmpdump", "rtmpdump")
			want := probed(t, run(ctx, t, ffprobe, append(probeArgs, src)...))
			if len(want) < 75 {
				t.Fatalf("got %d packets in the clip; want at least 75", len(want))
			}
			h := &hub{}
			to := "rtmp://" + h.listen(t, nil) + "/live/cam"
			inside, _ := follow(h.stream("live/cam"))
			dump := filepath.Join(t.TempDir(), "dump.flv")
			type result struct {
				out string
				err error
			}
			playing, dumping := make(chan result, 1), make(chan result, 1)
			go func() {
				out, err := try(ctx, ffprobe, append(probeArgs, to)...)
				playing <- result{out, err}
			}()
			go func() {
				out, err := try(ctx, rtmpdump, "-q", "-m", "10", "-r", to, "-o", dump)
				dumping <- result{out, err}
			}()
			run(ctx, t, ffmpeg, "-v", "error", "-re", "-i", src, "-c", "copy", "-f", "flv", to)
			same(t, "the stream", inside(), want)
			played := <-playing
			if played.err != nil {
				t.Fatalf("ffprobe plays: %v", played.err)
			}
			same(t, "ffprobe", probed(t, played.out), want)
			dumped := <-dumping // its exit status means nothing
			out, err := try(ctx, ffprobe, append(probeArgs, dump)...)
			if err != nil {
				t.Fatalf("rtmpdump: %v; its file: %v", dumped.err, err)
			}
			same(t, "rtmpdump", probed(t, out), want)
		})
	}
}

// nginx runs nginx-rtmp until the test ends and returns its address.
func nginx(t *testing.T) string {
	t.Helper()
	path := program(t, "nginx", "nginx")
	const module = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
	if _, err := os.Stat(module); err != nil {
		t.Fatal("nginx has no RTMP module: apt-get install libnginx-mod-rtmp")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("load_module %s;\ndaemon off;\nmaster_process off;\nworker_processes 1;\npid %s/pid;\nevents {}\nrtmp { server { listen %s; application live { live on; } } }\n", module, dir, addr)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) { // until a real program is ready
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			_ = nc.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
}

// TestSinkToSource publishes with our sink, to nginx-rtmp and to our own server, and pulls from there with our source.
func TestSinkToSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		listen func(t *testing.T) string
		late   int // units that the source may miss at the start
	}{
		{"it goes through nginx-rtmp", nginx, 100},
		{"it goes through our own server", func(t *testing.T) string { return new(hub).listen(t, nil) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			file, err := os.ReadFile(clip(ctx, t, 3, pictures, tone, avc, []string{"-c:a", "aac"}))
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse("rtmp://" + c.listen(t) + "/live/cam")
			if err != nil {
				t.Fatal(err)
			}
			remote := wire.Remote{URL: u, Log: slog.New(slog.DiscardHandler)}
			source, err := inrtmp.New(remote)
			if err != nil {
				t.Fatal(err)
			}
			sink, err := outrtmp.New(remote)
			if err != nil {
				t.Fatal(err)
			}
			far, near := transmux.NewStream("far", ring.Limits{}), transmux.NewStream("near", ring.Limits{})
			got, _ := follow(far)
			want, _ := follow(near)
			pulled := make(chan error, 1)
			go func() {
				err := source.Run(ctx, far.NewWriter(), new(wire.Meter))
				far.Close(nil)
				pulled <- err
			}()
			sent := make(chan error, 1)
			m := new(wire.Meter)
			go func() { sent <- sink.Run(ctx, near, m) }()
			pace(t, near.NewWriter(), file)
			near.Close(nil)
			if err := <-sent; err != nil {
				t.Errorf("sink: got %v; want nil", err)
			}
			if bytes, _, skips := m.Totals(); bytes < uint64(len(file))*9/10 || skips != 0 {
				t.Errorf("got %d bytes sent and %d skips; want about %d and none", bytes, skips, len(file))
			}
			// nginx leaves its players waiting for another publisher.
			timer := time.AfterFunc(2*time.Second, cancel)
			defer timer.Stop()
			<-pulled
			// nginx begins with the next key frame, which is the second if the source came late.
			came, all := got(), want()
			if c.late > 0 && len(came) > 0 {
				if i := slices.IndexFunc(all, func(u unit) bool { return u.sum == came[0].sum }); i > 0 && i < c.late {
					all = all[i:]
				}
			}
			same(t, "the source", came, all)
		})
	}
}

// pace writes an FLV file to w in its own time.
func pace(t *testing.T, w *transmux.Writer, file []byte) {
	t.Helper()
	out := &paced{Writer: w, begun: time.Now()}
	out.tick = time.NewTicker(5 * time.Millisecond)
	defer out.tick.Stop()
	if err := flv.NewReader(flv.NewDemuxer(out)).Feed(file, time.Now()); err != nil {
		t.Fatal(err)
	}
}

type paced struct {
	*transmux.Writer
	begun time.Time
	tick  *time.Ticker
}

func (p *paced) Write(au transmux.AccessUnit) error {
	for time.Since(p.begun) < au.DTS {
		<-p.tick.C
	}
	au.Arrived = time.Now()
	return p.Writer.Write(au)
}
