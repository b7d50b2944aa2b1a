package mpegts

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/transmux"
)

// remux writes units again, in the order in which they came.
func remux(t testing.TB, k *taken, o MuxOptions) (ts []byte, chunks []*transmux.Chunk) {
	t.Helper()
	m := NewMuxer(o)
	m.Tracks(k.tracks)
	var out bytes.Buffer
	for i := range k.units {
		m.Mux(&k.units[i], func(c *transmux.Chunk) {
			size := 0
			for _, b := range c.Bufs {
				out.Write(b)
				size += len(b)
			}
			if size != c.Size || size%PacketSize != 0 || size == 0 {
				t.Fatalf("got a chunk of %d bytes that tells %d; want whole packets", size, c.Size)
			}
			chunks = append(chunks, c)
		})
	}
	return out.Bytes(), chunks
}

func TestMuxReal(t *testing.T) {
	t.Parallel()
	const (
		filter264 = "h264_mp4toannexb,filter_units=remove_types=9"
		filter265 = "hevc_mp4toannexb,filter_units=remove_types=35"
		raw       = "aac_adtstoasc"
	)
	for _, c := range []struct {
		name   string
		args   []string
		vf, af string
		plain  bool // forget what the PMT said, as if the origin was no transport stream
	}{
		{"writes h264 with B-frames and aac", append(x264(), "-c:a", "aac"), filter264, raw, true},
		{"writes over the wrap of 33 bits", append(x264(), "-c:a", "aac", "-output_ts_offset", "95441"), filter264, raw, true},
		{"writes h265 and mp3", []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:bframes=3", "-c:a", "libmp3lame"}, filter265, "", true},
		{"writes mpeg-2 video and mp2", []string{"-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-c:a", "mp2"}, "", "", true},
		{"writes mpeg-4 video and ac3", []string{"-c:v", "mpeg4", "-bf", "2", "-g", "25", "-c:a", "ac3"}, "", "", true},
		{"writes eac3", append(x264(), "-c:a", "eac3"), filter264, "", true},
		{"writes eac3 in the DVB form of its origin", append(x264(), "-c:a", "eac3", "-mpegts_flags", "system_b"), filter264, "", false},
		{"writes latm as adts", append(x264(), "-c:a", "aac", "-mpegts_flags", "latm"), filter264, "", false},
		{"writes opus", append(x264(), "-c:a", "libopus"), filter264, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := makeFile(t, "a.ts", append(source(append([]string{"-metadata:s:a:0", "language=deu"}, c.args...)...), "-f", "mpegts")...)
			k, _ := demux(t, readFile(t, path), Options{}, 100000)
			if c.plain {
				forget(k)
			}
			ts, chunks := remux(t, k, MuxOptions{Service: "Studio Zürich"})
			if !chunks[0].Key || len(chunks[0].Init) != 0 {
				t.Errorf("got a first chunk that is no key; want one that begins with its tables")
			}
			again := filepath.Join(t.TempDir(), "b.ts")
			if err := os.WriteFile(again, ts, 0o600); err != nil {
				t.Fatal(err)
			}
			// What ffprobe reads is what it read in the origin, and what was muxed.
			for stream, filter := range map[string]string{"0:v": c.vf, "0:a": c.af} {
				payload := c.name != "writes latm as adts" || stream != "0:a"
				compare(t, "ffmpeg "+stream, reference(t, again, stream, filter), reference(t, path, stream, filter), payload)
			}
			back, d := demux(t, ts, Options{}, 1316)
			for _, tr := range k.tracks {
				compare(t, "own reading", ours(back.of(trackOf(back, tr).ID), nil), ours(k.of(tr.ID), nil), true)
			}
			if n := d.Counters(); n.CC+n.CRC+n.PES+n.Section+n.Malformed+n.SyncByte+n.PCRJump+n.Damaged != 0 {
				t.Errorf("got counters %+v; want no errors", n)
			}
			p := d.Programs()
			if len(p) != 1 || p[0].Name != "Studio Zürich" || p[0].Provider != "weir" {
				t.Errorf("got programs %+v; want the service Studio Zürich", p)
			}
			if lang := trackOf(back, k.tracks[1]).Lang; lang != "deu" {
				t.Errorf("got language %q; want deu", lang)
			}
			checkClock(t, ts)
		})
	}
}

func trackOf(k *taken, like *transmux.Track) *transmux.Track {
	for _, t := range k.tracks {
		if t.Kind() == like.Kind() {
			return t
		}
	}
	return &transmux.Track{}
}

// forget makes tracks as another origin would tell them.
func forget(k *taken) {
	plain := make(map[*transmux.Track]*transmux.Track)
	strip := func(t *transmux.Track) *transmux.Track {
		if plain[t] == nil {
			next := *t
			next.PID, next.StreamType, next.Descriptors = 0, 0, nil
			plain[t] = &next
		}
		return plain[t]
	}
	for i := range k.tracks {
		k.tracks[i] = strip(k.tracks[i])
	}
	for i := range k.units {
		k.units[i].Track = strip(k.units[i].Track)
	}
}

// checkClock reads PCR, tables and times of every packet.
func checkClock(t *testing.T, ts []byte) {
	t.Helper()
	const ms = 27000
	var pcr, pat uint64
	var has, hasPAT bool
	for i := 0; i+PacketSize <= len(ts); i += PacketSize {
		p := ts[i : i+PacketSize]
		if v, _, ok := PCR(p); ok {
			if step := (v + pcrRange - pcr) % pcrRange; has && step > 40*ms {
				t.Fatalf("got %d ms between two PCR; want at most 40", step/ms)
			}
			pcr, has = v, true
		}
		pid := uint16(p[1]&0x1f)<<8 | uint16(p[2])
		if pid == patPID && has {
			if step := (pcr + pcrRange - pat) % pcrRange; hasPAT && step > 100*ms {
				t.Fatalf("got %d ms between two PAT; want at most 100", step/ms)
			}
			pat, hasPAT = pcr, true
		}
		if p[1]&0x40 == 0 || pid < 0x100 || pid == 0x1000 {
			continue
		}
		_, payload, _ := adaptation(p)
		h, _, ok := parsePES(payload)
		if !ok || !h.hasPTS {
			continue
		}
		dts := h.pts
		if h.hasDTS {
			dts = h.dts
		}
		ahead := (dts*300 + pcrRange - pcr) % pcrRange
		// The skew of the tracks shows in the beginning.
		if i > 300*PacketSize && (ahead == 0 || ahead > 2000*ms) {
			t.Fatalf("got a unit of PID %d that is %d ms before its DTS; want 0 to 2000", pid, ahead/ms)
		}
	}
	if !has {
		t.Fatal("got no PCR; want one each 40 ms")
	}
}

func TestMuxIdle(t *testing.T) {
	t.Parallel()
	m := NewMuxer(MuxOptions{})
	track := &transmux.Track{ID: 1, Codec: transmux.MP3, Rate: 48000}
	m.Tracks([]*transmux.Track{track})
	var ts []byte
	keep := func(c *transmux.Chunk) { ts = append(ts, c.Bufs[0]...) }
	m.Idle(time.Second, keep)
	if len(ts) != 0 {
		t.Fatalf("got %d bytes before the first unit; want none", len(ts))
	}
	m.Mux(&transmux.AccessUnit{Track: track, Data: make([]byte, 300), DTS: time.Second, PTS: time.Second}, keep)
	for at := time.Second; at < 3*time.Second; at += 30 * time.Millisecond {
		m.Idle(at, keep)
	}
	m.Idle(3*time.Second+500*time.Millisecond, keep)
	m.Mux(&transmux.AccessUnit{Track: track, Data: make([]byte, 300), DTS: 3520 * time.Millisecond, PTS: 3520 * time.Millisecond}, keep)
	checkClock(t, ts)
	if want := 3320 * time.Millisecond; m.Clock() != want {
		t.Errorf("got clock %v; want %v", m.Clock(), want)
	}
	if _, d := demux(t, ts, Options{}, 188); d.Counters().CC != 0 {
		t.Errorf("got %d continuity errors; want none", d.Counters().CC)
	}
}

func TestMuxTimeLine(t *testing.T) {
	t.Parallel()
	video := &transmux.Track{ID: 1, Codec: transmux.MPEG2Video}
	audio := &transmux.Track{ID: 2, Codec: transmux.MP2, Rate: 48000}
	for _, c := range []struct {
		name string
		skew time.Duration // of audio
		jump time.Duration // after a second
		rate time.Duration // of video
		want int           // PCR that begin a new time base
	}{
		{"keeps the PCR going at 25 pictures per second", 0, 0, 40 * time.Millisecond, 0},
		{"keeps the PCR going at 2 pictures per second", 0, 0, 500 * time.Millisecond, 0},
		{"waits for audio that is late", -800 * time.Millisecond, 0, 40 * time.Millisecond, 0},
		{"does not wait for audio that is early", 800 * time.Millisecond, 0, 40 * time.Millisecond, 0},
		{"says so when time jumps", 0, 30 * time.Second, 40 * time.Millisecond, 1},
		{"says so when time jumps back", 0, -30 * time.Second, 40 * time.Millisecond, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := NewMuxer(MuxOptions{})
			m.Tracks([]*transmux.Track{video, audio})
			var ts []byte
			keep := func(c *transmux.Chunk) { ts = append(ts, c.Bufs[0]...) }
			next := time.Duration(0)
			for at := time.Duration(0); at < 5*time.Second; at += 24 * time.Millisecond {
				base := 40*time.Second + at
				if at > time.Second {
					base += c.jump
				}
				if at >= next {
					next += c.rate
					m.Mux(&transmux.AccessUnit{Track: video, DTS: base, PTS: base, Data: make([]byte, 900), Key: at == 0}, keep)
				}
				m.Mux(&transmux.AccessUnit{Track: audio, DTS: base + c.skew, PTS: base + c.skew, Data: make([]byte, 576)}, keep)
			}
			marks := 0
			each(ts, func(_ int, p []byte) []byte {
				if a, _, ok := adaptation(p); ok && a.discontinuity {
					marks++
				}
				return nil
			})
			if marks != c.want {
				t.Errorf("got %d PCR with discontinuity_indicator; want %d", marks, c.want)
			}
			if c.want == 0 {
				checkClock(t, ts)
			}
			if _, d := demux(t, ts, Options{}, 1316); d.Counters().PCRJump+d.Counters().CC != 0 {
				t.Errorf("got counters %+v; want no jump without a mark", d.Counters())
			}
		})
	}
}
