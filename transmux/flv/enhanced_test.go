package flv

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux"
)

// TestEnhancedFiles reads what FFmpeg 8.1 wrote with Enhanced RTMP signalling from its own test sources. The text beside
// each file is what FFmpeg 8.1 reads from it: for each unit its stream, PTS, DTS, size and MD5.
func TestEnhancedFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		tracks []transmux.Codec // by FFmpeg's stream index
	}{
		{"hevc", []transmux.Codec{transmux.H265, transmux.AAC, transmux.Opus}}, // a second audio track
		{"vp9", []transmux.Codec{transmux.VP9, transmux.FLAC}},
		{"av1", []transmux.Codec{transmux.AV1, transmux.AC3}},
		{"eac3", []transmux.Codec{transmux.H264, transmux.EAC3}},
	}
	for _, tt := range tests {
		t.Run("it reads as FFmpeg does "+tt.name, func(t *testing.T) {
			t.Parallel()
			base := filepath.Join("testdata", "ffmpeg8-"+tt.name)
			b, err := os.ReadFile(base + ".flv")
			if err != nil {
				t.Fatal(err)
			}
			golden, err := os.ReadFile(base + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(golden)) {
				if !strings.HasPrefix(line, "stream") {
					want = append(want, strings.TrimSpace(line))
				}
			}
			s := demux(t, b, 333)
			if diff := cmp.Diff(want, lines(s.units, tt.tracks)); diff != "" {
				t.Fatalf("-FFmpeg +got:\n%.3000s", diff)
			}
			again := demux(t, mux(s, Options{Enhanced: true, Multitrack: true}), 444)
			for len(s.units) > len(again.units) { // audio before the first key frame
				s.units = s.units[1:]
			}
			if diff := cmp.Diff(s.units, again.units); diff != "" {
				t.Errorf("after another round, -want +got:\n%.3000s", diff)
			}
		})
	}
}

func lines(units []transmux.AccessUnit, tracks []transmux.Codec) (out []string) {
	for _, au := range units {
		index := -1
		for i, c := range tracks {
			if c == au.Track.Codec {
				index = i
			}
		}
		out = append(out, fmt.Sprintf("%d %d %d %d %x", index, au.PTS/time.Millisecond, au.DTS/time.Millisecond, len(au.Data), md5.Sum(au.Data)))
	}
	return out
}

func TestHeader(t *testing.T) {
	t.Parallel()
	if got, want := Header(true, true), unhex("464c5601 05 00000009 00000000"); !bytes.Equal(got, want) {
		t.Errorf("got %x; want %x", got, want)
	}
}
