package rtsp

import (
	"fmt"
	"math"
	"testing"

	wirertsp "weir/wire/rtsp"
)

var bframes = []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac"}

func TestPlayByFFmpeg(t *testing.T) {
	t.Parallel()
	path, want := clip(t, 12, bframes...)
	for _, test := range []struct{ it, transport string }{
		{"it keeps times over TCP", "tcp"},
		{"it keeps times over UDP", "udp"},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			d := newDoor()
			s := serve(t, d, wirertsp.Config{})
			publish(t, d, s, path, "live/a")
			got := probe(t, "-rtsp_transport", test.transport, "-read_intervals", "%+5", fmt.Sprintf("rtsp://%s/live/a", s.Addr()))
			compare(t, got, want)
		})
	}
}

// compare finds where in the file the player was, by the audio's bytes, and demands one offset for all.
func compare(t *testing.T, got, want []packet) {
	t.Helper()
	wantV, wantA := of(want, "video"), of(want, "audio")
	gotV, gotA := of(got, "video"), of(got, "audio")
	if len(gotV) < 50 || len(gotA) < 80 {
		t.Fatalf("got %d pictures and %d audio frames; want 50 and 80 at least", len(gotV), len(gotA))
	}
	byHash := make(map[string]float64)
	for _, p := range wantA {
		byHash[p.Hash] = p.pts()
	}
	offset, worst := math.NaN(), 0.0
	for i, p := range gotA {
		at, ok := byHash[p.Hash]
		if !ok {
			t.Fatalf("got an audio frame %d that was not sent", i)
		}
		if math.IsNaN(offset) {
			offset = p.pts() - at
		}
		worst = math.Max(worst, math.Abs(p.pts()-at-offset))
	}
	if worst > 0.001 {
		t.Errorf("got audio times that differ by %.3f ms; want at most 1 ms", worst*1e3)
	}
	// The first picture is a key frame of the file; which one, the offset of the audio tells.
	start, best := 0, math.Inf(1)
	for i, p := range wantV {
		if off := math.Abs(gotV[1].pts() - wantV[min(i+1, len(wantV)-1)].pts() - offset); p.Flags[0] == 'K' && off < best {
			start, best = i, off
		}
	}
	worst = 0
	for i, p := range gotV {
		if start+i < len(wantV) && p.PTSText != "" { // ffprobe may drop that of the first
			worst = math.Max(worst, math.Abs(p.pts()-wantV[start+i].pts()-offset))
		}
	}
	t.Logf("%d pictures from %d on, %d audio frames, worst %.3f ms", len(gotV), start, len(gotA), worst*1e3)
	if worst > 0.001 {
		t.Errorf("got picture times that differ from those of audio by %.3f ms; want at most 1 ms", worst*1e3)
	}
	if gotV[0].Flags[0] != 'K' {
		t.Errorf("got a first picture with flags %q; want a key frame", gotV[0].Flags)
	}
}
