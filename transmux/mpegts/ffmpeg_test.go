package mpegts

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/transmux"
	"weir/transmux/clock"
	"weir/transmux/codec"
)

// taken is an Out that keeps everything.
type taken struct {
	tracks []*transmux.Track
	sets   int
	units  []transmux.AccessUnit
}

func (k *taken) SetTracks(tracks []*transmux.Track) {
	k.tracks = tracks
	k.sets++
}

func (k *taken) Write(au transmux.AccessUnit) error {
	k.units = append(k.units, au)
	return nil
}

// of returns the units of the n-th track.
func (k *taken) of(id int) (units []transmux.AccessUnit) {
	for _, u := range k.units {
		if u.Track.ID == id {
			units = append(units, u)
		}
	}
	return units
}

// demux takes a whole stream in pieces of a size.
func demux(t testing.TB, ts []byte, o Options, piece int) (*taken, *Demuxer) {
	t.Helper()
	k := &taken{}
	d := New(k, o)
	for len(ts) > 0 {
		n := min(piece, len(ts))
		if err := d.Write(ts[:n], time.Time{}); err != nil {
			t.Fatal(err)
		}
		ts = ts[n:]
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	return k, d
}

// ffmpeg runs it and returns its standard output.
func ffmpeg(t testing.TB, args ...string) []byte { return tool(t, "ffmpeg", "ffmpeg", args...) }

func tool(t testing.TB, name, debian string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is needed here: install the Debian package %s", name, debian)
	}
	var errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out
}

// make writes a file with ffmpeg and returns its path.
func makeFile(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	ffmpeg(t, append(append([]string{"-v", "error", "-y"}, args...), path)...)
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frame is what a reader sees of one packet: times in ticks of 90 kHz.
type frame struct {
	dts, pts int64
	hash     string
}

// reference asks ffmpeg for the packets of one stream after a bit stream filter.
func reference(t testing.TB, path, stream, filter string) (frames []frame) {
	t.Helper()
	args := []string{"-v", "error", "-copyts", "-i", path, "-map", stream, "-c", "copy"}
	if filter != "" {
		args = append(args, "-bsf", filter)
	}
	out := ffmpeg(t, append(args, "-f", "framehash", "-hash", "md5", "-")...)
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) < 6 || strings.HasPrefix(line, "#") {
			continue
		}
		frames = append(frames, frame{number(t, f[1]), number(t, f[2]), strings.TrimSpace(f[5])})
	}
	return frames
}

// packets asks ffprobe for the packets of one stream.
func packets(t testing.TB, path, stream string) (frames []frame) {
	t.Helper()
	out := tool(t, "ffprobe", "ffmpeg", "-v", "error", "-select_streams", stream, "-show_data_hash", "md5",
		"-show_entries", "packet=pts,dts,data_hash", "-of", "csv=p=0", path)
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) < 3 {
			continue
		}
		frames = append(frames, frame{number(t, f[1]), number(t, f[0]), strings.TrimPrefix(f[2], "MD5:")})
	}
	return frames
}

func number(t testing.TB, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		t.Fatalf("got %q; want a number", s)
	}
	return n
}

func hash(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// filtered is a unit of H.264 or H.265 as ffmpeg's filter_units writes it: start codes of 4 bytes before the first unit
// and before parameter sets, else of 3.
func filtered(c transmux.Codec, data []byte) (out []byte) {
	for nalu := range transmux.NALUs(data) {
		if len(out) == 0 || codec.IsParameterSet(c, nalu) {
			out = append(out, 0)
		}
		out = append(append(out, 0, 0, 1), nalu...)
	}
	return out
}

// ours are units as frames.
func ours(units []transmux.AccessUnit, write func(data []byte) []byte) (frames []frame) {
	for _, u := range units {
		data := u.Data
		if write != nil {
			data = write(data)
		}
		frames = append(frames, frame{clock.ToTicks(u.DTS, 90000), clock.ToTicks(u.PTS, 90000), hash(data)})
	}
	return frames
}

// compare wants the same frames; times modulo 2^33.
func compare(t testing.TB, what string, got, want []frame, payload bool) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%s: got %d units; want %d", what, len(got), len(want))
		return
	}
	differs := func(a, b int64) bool {
		return (a-b)&(1<<33-1) != 0
	}
	bad := 0
	for i := range want {
		if differs(got[i].dts, want[i].dts) || differs(got[i].pts, want[i].pts) || payload && got[i].hash != want[i].hash {
			t.Errorf("%s: unit %d: got %+v; want %+v", what, i, got[i], want[i])
			if bad++; bad > 3 {
				return
			}
		}
	}
}
