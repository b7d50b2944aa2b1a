package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/test/units"
)

// grid is how finely times are told.
type grid int

const (
	millis grid = iota // FLV, RTMP
	ticks              // 90 kHz and finer: MPEG-TS, RTP
)

// A wayIn brings a clip to weir with a real program.
type wayIn struct {
	name    string
	program string // the real program at this end, for the table
	// source is the URL under `sources`, if weir fetches; PORT is filled in.
	source string
	// publish is the program that sends; PORT, RTMP, RTMPS, RTSP, HTTP, CLIP, NGINX are filled in. Empty: nobody sends.
	publish []string
	before  bool // publish listens itself, and starts before weir
	stdin   bool // publish writes to weir's standard input
	// format is the container in which the same ffmpeg writes the reference; "mov" and "mkv" are the clip's own times.
	format string
	grid   grid
	noDTS  bool // the way tells no DTS
	// tail is how many units of a kind may be missing at the end, because the program never sends them.
	tail map[string]int
	// hold stops players this long after the stream is live, before the origin begins anew.
	hold    time.Duration
	carries []string // contents; nil is all
	why     string   // why others are not carried
	quick   []string // contents in `make test`; nil is the first only
}

const mpegtsAudio = "MPEG-TS has no G.711"

var (
	noPCMA   = []string{"h264b+aac", "h265+aac", "h264b+mp3", "h264b", "aac"}
	noH265   = []string{"h264b+aac", "h264b+mp3", "h264b+pcma", "h264b", "aac"}
	first    = []string{"h264b+aac"}
	ffmpeg51 = "Debian 12 has no program that puts H.265 into FLV"
)

var (
	// ffmpeg puts several AAC frames into an RTP packet, and forgets what it holds at the end. TestForgetful proves it.
	forgottenFrames = map[string]int{"audio": 5}
	// It does the same with packets of a transport stream in RTP; they cut the last PES packet of audio.
	forgottenPackets = map[string]int{"audio": 20}
)

// send is ffmpeg sending a clip in real time.
func send(out ...string) []string {
	return append([]string{"ffmpeg", "-nostdin", "-v", "error", "-re", "-i", "CLIP", "-map", "0", "-c", "copy"}, out...)
}

// waysIn are the rows of the matrix.
var waysIn = []wayIn{
	{name: "rtmp publish", program: "ffmpeg", format: "flv", grid: millis, carries: noH265, why: ffmpeg51,
		publish: send("-f", "flv", "rtmp://127.0.0.1:RTMP/live/cam"), quick: noH265},
	{name: "rtmps publish", program: "ffmpeg", format: "flv", grid: millis, carries: noH265, why: ffmpeg51,
		publish: send("-f", "flv", "rtmps://127.0.0.1:RTMPS/live/cam")},
	{name: "rtmp pull", program: "nginx-rtmp", format: "flv", grid: millis, carries: noH265, why: ffmpeg51,
		source: "rtmp://127.0.0.1:NGINX/live/origin", before: true,
		publish: send("-f", "flv", "rtmp://127.0.0.1:NGINX/live/origin")},
	{name: "rtsp announce tcp", program: "ffmpeg", format: "mov", grid: ticks, noDTS: true, tail: forgottenFrames,
		publish: send("-f", "rtsp", "-rtsp_transport", "tcp", "rtsp://127.0.0.1:RTSP/live/cam"),
		quick:   []string{"h264b+aac", "h265+aac", "h264b+pcma"}},
	{name: "rtsp announce udp", program: "ffmpeg", format: "mov", grid: ticks, noDTS: true, tail: forgottenFrames,
		publish: send("-f", "rtsp", "-rtsp_transport", "udp", "rtsp://127.0.0.1:RTSP/live/cam")},
	{name: "rtsp pull tcp", program: "GStreamer", format: "mkv", grid: ticks, noDTS: true, hold: 5 * time.Second,
		source: "rtsp://CAMERA/CONTENT?transport=tcp"},
	{name: "rtsp pull udp", program: "GStreamer", format: "mkv", grid: ticks, noDTS: true, hold: 5 * time.Second,
		source: "rtsp://CAMERA/CONTENT?transport=udp"},
	{name: "rtsp pull multicast", program: "GStreamer", format: "mkv", grid: ticks, noDTS: true, hold: 5 * time.Second,
		source: "rtsp://CAMERA/CONTENT-mcast?transport=multicast"},
	{name: "udp", program: "ffmpeg", format: "ts", grid: ticks, carries: noPCMA, why: mpegtsAudio,
		source: "udp://127.0.0.1:PORT", publish: send("-f", "mpegts", "udp://127.0.0.1:PORT?pkt_size=1316"),
		quick: []string{"h264b+aac", "h265+aac", "aac"}},
	{name: "udp multicast", program: "ffmpeg", format: "ts", grid: ticks, carries: noPCMA, why: mpegtsAudio,
		source:  "udp://239.1.1.7:PORT?interface=lo",
		publish: send("-f", "mpegts", "udp://239.1.1.7:PORT?pkt_size=1316&localaddr=127.0.0.1")},
	{name: "udp multicast ssm", program: "ffmpeg", format: "ts", grid: ticks, carries: noPCMA, why: mpegtsAudio,
		source:  "udp://232.1.1.7:PORT?interface=lo&source=127.0.0.1",
		publish: send("-f", "mpegts", "udp://232.1.1.7:PORT?pkt_size=1316&localaddr=127.0.0.1")},
	{name: "rtp", program: "ffmpeg", format: "ts", grid: ticks, tail: forgottenPackets, carries: noPCMA, why: mpegtsAudio,
		source: "rtp://127.0.0.1:PORT", publish: send("-f", "rtp_mpegts", "rtp://127.0.0.1:PORT?pkt_size=1328")},
	{name: "http flv post", program: "ffmpeg", format: "flv", grid: millis, carries: noH265, why: ffmpeg51,
		publish: send("-f", "flv", "-method", "POST", "http://127.0.0.1:HTTP/live/cam.flv")},
	{name: "http ts post", program: "ffmpeg", format: "ts", grid: ticks, carries: noPCMA, why: mpegtsAudio,
		publish: send("-f", "mpegts", "-method", "POST", "http://127.0.0.1:HTTP/live/cam.ts")},
	{name: "http flv pull", program: "ffmpeg", format: "flv", grid: millis, before: true, carries: noH265, why: ffmpeg51,
		source: "http://127.0.0.1:PORT/cam.flv", publish: send("-f", "flv", "-listen", "1", "http://127.0.0.1:PORT/cam.flv")},
	{name: "http ts pull", program: "ffmpeg", format: "ts", grid: ticks, before: true, carries: noPCMA, why: mpegtsAudio,
		source: "http://127.0.0.1:PORT/cam.ts", publish: send("-f", "mpegts", "-listen", "1", "http://127.0.0.1:PORT/cam.ts")},
	{name: "tcp ts listen", program: "ffmpeg", format: "ts", grid: ticks, carries: noPCMA, why: mpegtsAudio,
		source: "tcp://127.0.0.1:PORT?listen=1", publish: send("-f", "mpegts", "tcp://127.0.0.1:PORT")},
	{name: "tcp flv connect", program: "ffmpeg", format: "flv", grid: millis, before: true, carries: noH265, why: ffmpeg51,
		source: "tcp://127.0.0.1:PORT?format=flv", publish: send("-f", "flv", "tcp://127.0.0.1:PORT?listen=1")},
	{name: "stdin ts", program: "ffmpeg", format: "ts", grid: ticks, stdin: true, carries: noPCMA, why: mpegtsAudio,
		source: "stdin:?format=ts", publish: send("-f", "mpegts", "-")},
	{name: "demo", program: "weir's own clip", format: "demo", grid: ticks, hold: 9 * time.Second, carries: first,
		why: "the clip is H.264 with AAC", source: "demo:"},
}

// reference is the list of units that the way in sends.
func (w wayIn) reference(c content) ([]units.Unit, error) {
	switch w.format {
	case "mov":
		path, err := c.clip()
		if err != nil {
			return nil, err
		}
		return c.units(path)
	case "demo":
		return demoUnits()
	case "flv":
		path, err := c.as("flv", "-flvflags", "no_duration_filesize")
		if err != nil {
			return nil, err
		}
		return c.units(path)
	}
	path, err := c.as(w.format)
	if err != nil {
		return nil, err
	}
	return c.units(path)
}

// demoUnits is the built-in camera's clip three times over, as it plays it: on a circle of 8 s, with audio times as exact
// as its sample rate.
func demoUnits() ([]units.Unit, error) {
	clip, err := units.FLV(filepath.Join("..", "ingress", "demo", "clip.flv"))
	if err != nil {
		return nil, err
	}
	const loop = 8 * time.Second
	start, audio, frames := clip[0].DTS, time.Duration(-1), 0
	for i := range clip {
		u := &clip[i]
		above, dts := u.PTS-u.DTS, u.DTS
		if u.Kind == units.Audio {
			if audio < 0 {
				audio = dts
			}
			dts = audio + time.Duration(frames)*1024*time.Second/48000
			frames++
		}
		u.DTS = (dts - start) % loop
		u.PTS = u.DTS + above
	}
	slices.SortStableFunc(clip, func(a, b units.Unit) int { return int(a.DTS - b.DTS) })
	var out []units.Unit
	for round := range 3 {
		for _, u := range clip {
			u.DTS += time.Duration(round) * loop
			u.PTS += time.Duration(round) * loop
			out = append(out, u)
		}
	}
	return out, nil
}

// camera is GStreamer's RTSP server on loopback, with a mount for each content, that tests outside of the matrix share; it
// returns its port.
var camera = sync.OnceValues(func() (int, error) {
	port := ports(2)
	here := func(args ...string) []string { return args }
	p, err := startCamera(here, "127.0.0.1", port, contents...)
	shared.add(p)
	return port, err
})

// startCamera starts GStreamer's RTSP server and waits until it listens; where makes a command run where it is to be.
func startCamera(where func(...string) []string, address string, port int, list ...content) (*process, error) {
	args := where("/usr/bin/python3", "camera.py", address, fmt.Sprint(port))
	for _, c := range list {
		path, err := c.as("mkv")
		if err != nil {
			return nil, err
		}
		args = append(args, fmt.Sprintf("%s=%s:%s:%s", mount(c), path, orDash(c.video), orDash(c.audio)))
	}
	p, err := spawn(nil, nil, args[0], args[1:]...)
	if err != nil {
		return nil, err
	}
	if !poll(30*time.Second, func() bool { return strings.Contains(p.log.String(), "ready") }) {
		p.stop()
		return nil, fmt.Errorf("camera.py is not ready: %s", p.log.String())
	}
	return p, nil
}

// mount is the content's name as a path of the camera.
func mount(c content) string { return orDash(c.video) + "." + orDash(c.audio) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// certificate makes a certificate for 127.0.0.1, once.
var certificate = sync.OnceValues(func() ([2]string, error) {
	dir := os.Getenv(scratchKey)
	pair := [2]string{filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")}
	_, err := command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
		"-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", pair[1], "-out", pair[0])
	return pair, err
})
