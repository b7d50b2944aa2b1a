package rtsp

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

// camera starts the GStreamer camera of testdata and returns its address.
func camera(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/camera.py", "127.0.0.1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problems strings.Builder
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the camera did not start; apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-libav "+
			"gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly: %s", problems.String())
	}
	return "127.0.0.1:" + strings.TrimSpace(line)
}

// pullUntil runs a source until enough units have come, and returns them with the error of Run.
func pullUntil(t *testing.T, s *Source, enough int) ([]*transmux.AccessUnit, error) {
	t.Helper()
	stream := transmux.NewStream("cam", ring.Limits{})
	got := collect(stream)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, stream.NewWriter(), new(wire.Meter)) }()
	reader := stream.Reader()
	for len(got.all()) < enough {
		wait, stop := context.WithTimeout(ctx, time.Second)
		_, err := reader.Next(wait)
		stop()
		select {
		case err := <-done:
			return got.all(), err
		default:
		}
		if ctx.Err() != nil {
			t.Fatalf("got %d units in time (%v); want %d", len(got.all()), err, enough)
		}
	}
	cancel()
	return got.all(), <-done
}

func TestSourcePullsFromGStreamer(t *testing.T) {
	t.Parallel()
	at := camera(t)
	for _, test := range []struct {
		it, path, transport string
		video, audio        transmux.Codec
		worked              string
	}{
		{"it reads H.264 with B-frames and AAC over TCP", "/bframes", "", transmux.H264, transmux.AAC, "tcp"},
		{"it reads H.264 with B-frames and AAC over UDP", "/bframes2", "udp", transmux.H264, transmux.AAC, "udp"},
		{"it reads H.265 and A-law", "/hevc", "", transmux.H265, transmux.PCMA, "tcp"},
		{"it reads AAC as LATM", "/latm", "", transmux.H264, transmux.AAC, "tcp"},
		{"it reads Opus", "/opus", "", transmux.H264, transmux.Opus, "tcp"},
		{"it reads MPEG-TS", "/ts", "", transmux.H264, transmux.AAC, "tcp"},
		{"it falls back to UDP", "/udp", "", transmux.H264, transmux.PCMA, "udp"},
		{"it logs in by Digest", "user:pass@/login", "", transmux.H264, transmux.PCMA, "tcp"},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			user, path, has := strings.Cut(test.path, "@")
			if !has {
				user, path = "", test.path
			} else {
				user += "@"
			}
			s, err := New(wire.Remote{URL: parse(t, "rtsp://"+user+at+path), Transport: test.transport})
			if err != nil {
				t.Fatal(err)
			}
			all, err := pullUntil(t, s, 150)
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v; want that it was canceled", err)
			}
			if got := s.Transport(); got != test.worked {
				t.Errorf("got transport %q; want %q", got, test.worked)
			}
			checkLive(t, all, test.video, test.audio)
		})
	}
}

// checkLive looks at the codecs, at DTS and PTS, and that pictures and sound of one moment came at about the same time.
func checkLive(t *testing.T, all []*transmux.AccessUnit, video, audio transmux.Codec) {
	t.Helper()
	last := make(map[int]*transmux.AccessUnit)
	seen := make(map[transmux.Codec]int)
	for i, au := range all {
		seen[au.Track.Codec]++
		if !au.Track.Configured() {
			t.Fatalf("got unit %d of a track that is not configured", i)
		}
		if au.PTS < au.DTS {
			t.Errorf("got PTS %v below DTS %v", au.PTS, au.DTS)
		}
		if before := last[au.Track.ID]; before != nil {
			if d := au.DTS - before.DTS; d < 0 || d > 200*time.Millisecond {
				t.Errorf("got a DTS step of %v in unit %d (%s)", d, i, au.Track.Codec)
			}
			if au.Gap {
				t.Errorf("got a gap before unit %d (%s)", i, au.Track.Codec)
			}
		}
		last[au.Track.ID] = au
	}
	if len(seen) != 2 || seen[video] == 0 || seen[audio] == 0 {
		t.Errorf("got %v; want %s and %s", seen, video, audio)
	}
}

func TestSourceErrors(t *testing.T) {
	t.Parallel()
	at := camera(t)
	for _, test := range []struct {
		it, url string
		want    error
	}{
		{"it says that the password is wrong", "rtsp://user:wrong@" + at + "/login", wire.ErrWrongUser},
		{"it says that there is no such stream", "rtsp://" + at + "/nothing", wire.ErrNotFound},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			s, err := New(wire.Remote{URL: parse(t, test.url)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = pullUntil(t, s, 1)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v; want %v", err, test.want)
			}
			if strings.Contains(err.Error(), "wrong@") || strings.Contains(err.Error(), "user:") {
				t.Errorf("got a secret in %q", err)
			}
		})
	}
}

func TestNewTakesTheTransportOfTheURL(t *testing.T) {
	t.Parallel()
	s, err := New(wire.Remote{URL: parse(t, "rtsp://host/a?transport=udp&b=1")})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"udp"}; !slices.Equal(s.order, want) || s.remote.URL.RawQuery != "b=1" {
		t.Errorf("got %v, and %s asked for; want %v, and b=1", s.order, s.remote.URL.RawQuery, want)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ it, url, transport string }{
		{"it wants an RTSP URL", "http://host/a", ""},
		{"it wants a host", "rtsp:///a", ""},
		{"it wants a transport that exists", "rtsp://host/a", "pigeon"},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			if _, err := New(wire.Remote{URL: parse(t, test.url), Transport: test.transport}); err == nil {
				t.Error("got no error; want one")
			}
		})
	}
}
