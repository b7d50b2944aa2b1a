package flv

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux"
)

// A sink keeps what a demuxer writes.
type sink struct {
	tracks []*transmux.Track
	units  []transmux.AccessUnit
	err    error
}

func (s *sink) SetTracks(t []*transmux.Track) { s.tracks = t }

func (s *sink) Write(au transmux.AccessUnit) error {
	if s.err != nil {
		return s.err
	}
	s.units = append(s.units, au)
	return nil
}

// A packet is what ffprobe tells of one unit.
type packet struct {
	Type     string `json:"codec_type"`
	PTS, DTS int
	Size     string
	Flags    string
	Hash     string `json:"data_hash"`
}

func program(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v; install the Debian package ffmpeg\n%s", cmd, err, &stderr)
	}
	return out
}

// source makes an FLV file with the given encoder arguments.
func source(t *testing.T, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "source.flv")
	in := []string{
		"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=176x144:rate=25:duration=3",
		"-f", "lavfi", "-i", "sine=frequency=440:duration=3",
	}
	program(t, "ffmpeg", append(append(in, args...), "-f", "flv", file)...)
	return file
}

func probe(t *testing.T, file string) []packet {
	t.Helper()
	out := program(t, "ffprobe", "-v", "error", "-show_packets", "-show_data_hash", "md5", "-of", "json", file)
	var r struct{ Packets []packet }
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	for i := range r.Packets {
		r.Packets[i].Flags = r.Packets[i].Flags[:1]
	}
	return r.Packets
}

// packets tells of units what ffprobe tells.
func packets(units []transmux.AccessUnit) []packet {
	var out []packet
	for _, au := range units {
		p := packet{Type: au.Track.Kind().String(), Flags: "K", Size: fmt.Sprint(len(au.Data))}
		if p.Type == "video" && !au.Key {
			p.Flags = "_"
		}
		p.PTS, p.DTS = int(au.PTS/time.Millisecond), int(au.DTS/time.Millisecond)
		sum := md5.Sum(au.Data)
		p.Hash = "MD5:" + hex.EncodeToString(sum[:])
		out = append(out, p)
	}
	return out
}

// demux reads an FLV byte stream in pieces of the given size.
func demux(t *testing.T, b []byte, piece int) *sink {
	t.Helper()
	s := &sink{}
	d := NewDemuxer(s)
	r := NewReader(d)
	for len(b) > 0 {
		n := min(piece, len(b))
		if err := r.Feed(b[:n], time.Time{}); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	return s
}

// mux writes units as a receiver gets them that starts at the first chunk that allows it.
func mux(s *sink, o Options) []byte {
	m := NewMuxer(o)
	m.Tracks(s.tracks)
	out := Header(true, true)
	started := false
	for i := range s.units {
		m.Mux(&s.units[i], func(c *transmux.Chunk) {
			if !started && !c.Key {
				return
			}
			if !started {
				out = append(out, bytes.Join(c.Init, nil)...)
			}
			started = true
			out = append(out, bytes.Join(c.Bufs, nil)...)
		})
	}
	return out
}

func TestRealFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		it     string
		args   []string
		codecs []transmux.Codec
	}{
		{"carries H.264 with B-frames and AAC",
			[]string{"-c:v", "libx264", "-bf", "3", "-g", "25", "-c:a", "aac"}, []transmux.Codec{transmux.H264, transmux.AAC}},
		{"carries H.264 with an open GOP and MP3",
			[]string{"-c:v", "libx264", "-x264-params", "open-gop=1:keyint=20", "-c:a", "libmp3lame", "-ar", "44100"},
			[]transmux.Codec{transmux.H264, transmux.MP3}},
		{"carries MP3 alone at 22.05 kHz", []string{"-vn", "-c:a", "libmp3lame", "-ar", "22050"}, []transmux.Codec{transmux.MP3}},
		{"carries H.264 alone", []string{"-an", "-c:v", "libx264", "-bf", "0", "-g", "10"}, []transmux.Codec{transmux.H264}},
		{"carries Sorenson H.263 and A-law",
			[]string{"-c:v", "flv", "-g", "12", "-c:a", "pcm_alaw", "-ar", "8000"}, []transmux.Codec{transmux.SorensonH263, transmux.PCMA}},
		{"carries screen video and mu-law",
			[]string{"-c:v", "flashsv", "-g", "12", "-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "2"}, []transmux.Codec{transmux.Screen, transmux.PCMU}},
		{"carries screen video 2 and Nellymoser",
			[]string{"-c:v", "flashsv2", "-g", "12", "-c:a", "nellymoser", "-ar", "22050"}, []transmux.Codec{transmux.Screen2, transmux.Nellymoser}},
		{"carries Nellymoser at 8 kHz", []string{"-vn", "-c:a", "nellymoser", "-ar", "8000"}, []transmux.Codec{transmux.Nellymoser}},
		{"carries Speex", []string{"-vn", "-c:a", "libspeex", "-ar", "16000"}, []transmux.Codec{transmux.Speex}},
		{"carries ADPCM", []string{"-vn", "-c:a", "adpcm_swf", "-ar", "22050"}, []transmux.Codec{transmux.ADPCM}},
		{"carries linear PCM", []string{"-vn", "-c:a", "pcm_s16le", "-ar", "44100", "-ac", "2"}, []transmux.Codec{transmux.PCMFLV}},
	}
	for _, tt := range tests {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			file := source(t, tt.args...)
			want := probe(t, file)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := demux(t, b, 1000)
			if diff := cmp.Diff(want, packets(s.units)); diff != "" {
				t.Fatalf("demuxed, -ffprobe +got:\n%.2000s", diff)
			}
			if len(want) < 10 {
				t.Errorf("got %d units; want more", len(want))
			}
			var codecs []transmux.Codec
			for _, tr := range s.tracks {
				codecs = append(codecs, tr.Codec)
			}
			if len(codecs) == 2 && codecs[0].Kind() == transmux.KindAudio {
				codecs[0], codecs[1] = codecs[1], codecs[0]
			}
			if diff := cmp.Diff(tt.codecs, codecs); diff != "" {
				t.Errorf("tracks, -want +got:\n%s", diff)
			}
			again := filepath.Join(t.TempDir(), "again.flv")
			if err := os.WriteFile(again, mux(s, Options{}), 0o600); err != nil {
				t.Fatal(err)
			}
			// A receiver starts at the first video key frame, so audio before it is not there.
			for len(want) > 0 && len(tt.codecs) == 2 && want[0].Type != "video" {
				want = want[1:]
			}
			if diff := cmp.Diff(want, probe(t, again)); diff != "" {
				t.Errorf("muxed again, -source +got:\n%.2000s", diff)
			}
			streams := program(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,sample_rate,channels", "-of", "compact", again)
			if before := program(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,sample_rate,channels", "-of", "compact", file); !sameLines(before, streams) {
				t.Errorf("got streams %s; want %s", streams, before)
			}
		})
	}
}

func sameLines(a, b []byte) bool {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	count := make(map[string]int)
	for i := range x {
		count[string(bytes.TrimLeft(x[i], "stream|index=0123456789"))]++
	}
	for i := range y {
		count[string(bytes.TrimLeft(y[i], "stream|index=0123456789"))]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestRealPictureDecodes(t *testing.T) {
	t.Parallel()
	file := source(t, "-c:v", "libx264", "-bf", "2", "-g", "25", "-c:a", "aac")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again.flv")
	if err := os.WriteFile(again, mux(demux(t, b, 1<<20), Options{}), 0o600); err != nil {
		t.Fatal(err)
	}
	frames := func(f string) []byte {
		return program(t, "ffmpeg", "-v", "error", "-xerror", "-i", f, "-map", "0:v", "-f", "framemd5", "-")
	}
	if got, want := frames(again), frames(file); !bytes.Equal(got, want) {
		t.Errorf("got pictures\n%s; want\n%s", got, want)
	}
}
