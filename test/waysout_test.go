package test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"

	"github.com/coder/websocket"
)

// A wayOut takes a stream from weir with a real program.
type wayOut struct {
	name    string
	program string
	index   int // in waysOut; set by allWaysOut
	// send is the URL under `send`, if weir pushes; ${OUT} is filled in. The player listens and starts before weir.
	send string
	// play is the player: it gets the row's ports and the file to record to.
	play func(r *row, o wayOut) *player
	grid grid
	// noDTS says that the witness gets no DTS.
	noDTS bool
	// open says that the receiver cannot see the end, and is stopped when the origin has ended.
	open bool
	// holds says that the witness, when it is stopped, keeps the last unit of each track, which the next would complete.
	holds   bool
	carries []string // contents; nil is all
	why     string
	part    map[string][]string // content → kinds that arrive, where it is not all
	says    string              // what weir's log says beside "left out" then; OUT and the like are filled in
	loses   map[string]string   // content → why the receiver loses what weir does not leave out
}

const (
	nginx265  = "weir sends H.265 as Enhanced RTMP, because the server says nothing of what it takes; this one relays and records the sound only"
	ffprobe51 = "no witness: ffmpeg 5.1 reads no H.265 in FLV"
)

var (
	videoOnly = map[string][]string{"h264b+pcma": {"video"}} // MPEG-TS has no G.711
	classic   = map[string][]string{"h265+aac": {"audio"}}   // peers that do not announce Enhanced RTMP
)

// probePlayer is ffprobe playing a URL.
func probePlayer(url string, options ...string) func(*row, wayOut) *player {
	return func(r *row, o wayOut) *player {
		return &player{name: "ffprobe", args: ffprobe(r.fill(url, o), options...), file: r.file(o, "probe"), printed: true}
	}
}

// farPlayer is the player in far.
func farPlayer(play func(*row, wayOut) *player) func(*row, wayOut) *player {
	return func(r *row, o wayOut) *player {
		p := play(r, o)
		p.args = r.world.there(p.args...)
		return p
	}
}

// recorder is a program that writes FILE, with the suffix of its container.
func recorder(suffix string, args ...string) func(*row, wayOut) *player {
	return func(r *row, o wayOut) *player {
		p := &player{name: args[0], file: r.file(o, suffix)}
		for _, a := range args {
			if a == "FILE" {
				a = p.file
			}
			p.args = append(p.args, r.fill(a, o))
		}
		return p
	}
}

// waysOut are the columns of the matrix.
var waysOut = []wayOut{
	{name: "rtmp play", program: "ffprobe", grid: millis, carries: noH265, why: ffprobe51,
		play: probePlayer("rtmp://127.0.0.1:RTMP/live/cam", "-rtmp_live", "live", "-analyzeduration", "2000000")},
	{name: "rtmp play", program: "rtmpdump", grid: millis, part: classic, says: "cannot be played",
		play: recorder("flv", "rtmpdump", "-q", "--live", "-r", "rtmp://127.0.0.1:RTMP/live/cam", "-o", "FILE")},
	{name: "rtmp play", program: "gortmplib", grid: millis, carries: []string{"h264b+aac", "h265+aac", "h264b+mp3", "h264b", "aac"},
		why: "no witness: the library decodes G.711", play: enhancedPlayer},
	{name: "rtmps play", program: "rtmpdump", grid: millis, part: classic, says: "cannot be played",
		play: recorder("flv", "rtmpdump", "-q", "--live", "-r", "rtmps://127.0.0.1:RTMPS/live/cam", "-o", "FILE")},
	{name: "rtsp play tcp", program: "ffprobe", grid: ticks, noDTS: true, holds: true,
		play: probePlayer("rtsp://127.0.0.1:RTSP/live/cam", "-rtsp_transport", "tcp")},
	{name: "rtsp play udp", program: "ffprobe", grid: ticks, noDTS: true, open: true, holds: true,
		play: probePlayer("rtsp://127.0.0.1:RTSP/live/cam", "-rtsp_transport", "udp")},
	{name: "rtsp play multicast", program: "ffprobe", grid: ticks, noDTS: true, open: true, holds: true,
		play: farPlayer(probePlayer("rtsp://NEAR:RTSP/live/cam", "-rtsp_transport", "udp_multicast"))},
	{name: "http-flv", program: "curl", grid: millis,
		play: recorder("flv", "curl", "-sSN", "-o", "FILE", "http://127.0.0.1:HTTP/live/cam.flv")},
	{name: "ws-flv", program: "coder/websocket", grid: millis, play: webSocket},
	{name: "http-ts", program: "curl", grid: ticks, part: videoOnly, says: "http-ts",
		play: recorder("ts", "curl", "-sSN", "-o", "FILE", "http://127.0.0.1:HTTP/live/cam.ts")},
	{name: "http-ts", program: "ffprobe", grid: ticks, part: videoOnly, says: "http-ts", holds: true,
		play: probePlayer("http://127.0.0.1:HTTP/live/cam.ts", "-analyzeduration", "1000000")},
	{name: "rtmp push", program: "nginx-rtmp", grid: millis, part: classic, loses: map[string]string{"h265+aac": nginx265},
		send: "rtmp://127.0.0.1:NGINX/rec/push", play: nginxRecord},
	{name: "rtsp push", program: "ffprobe", grid: ticks, noDTS: true, open: true, holds: true, send: "rtsp://127.0.0.1:OUT/in",
		play: probePlayer("rtsp://127.0.0.1:OUT/in", "-rtsp_flags", "listen", "-timeout", "30")},
	{name: "udp", program: "multicat", grid: ticks, open: true, part: videoOnly, says: "OUT", send: "udp://127.0.0.1:OUT",
		play: recorder("ts", "multicat", "-u", "@127.0.0.1:OUT", "FILE")},
	{name: "udp multicast", program: "multicat", grid: ticks, open: true, part: videoOnly, says: "OUT", send: "udp://239.2.2.9:OUT?interface=lo",
		play: recorder("ts", "multicat", "-u", "@239.2.2.9:OUT/ifaddr=127.0.0.1", "FILE")},
	{name: "rtp", program: "multicat", grid: ticks, open: true, part: videoOnly, says: "OUT", send: "rtp://127.0.0.1:OUT",
		play: recorder("ts", "multicat", "@127.0.0.1:OUT", "FILE")},
	{name: "tcp ts", program: "ffprobe", grid: ticks, holds: true, part: videoOnly, says: "OUT", send: "tcp://127.0.0.1:OUT?format=ts",
		play: probePlayer("tcp://127.0.0.1:OUT?listen=1&listen_timeout=30000", "-analyzeduration", "1000000")},
	{name: "http flv push", program: "Python", grid: millis, open: true, send: "http://127.0.0.1:OUT/in.flv",
		play: recorder("flv", "/usr/bin/python3", "receiver.py", "OUT", "FILE")},
	{name: "http ts push", program: "Python", grid: ticks, open: true, part: videoOnly, says: "OUT", send: "http://127.0.0.1:OUT/in.ts",
		play: recorder("ts", "/usr/bin/python3", "receiver.py", "OUT", "FILE")},
	{name: "stdout flv", program: "a pipe", grid: millis, send: "stdout:?format=flv", play: pipe},
}

// nginxRecord waits for what nginx-rtmp records of the push.
func nginxRecord(r *row, o wayOut) *player {
	return &player{name: "nginx-rtmp", file: r.nginx.record("push"), external: true}
}

// pipe is weir's own standard output.
func pipe(r *row, o wayOut) *player {
	return &player{name: "stdout", file: r.stdout(), external: true}
}

// webSocket records binary messages.
func webSocket(r *row, o wayOut) *player {
	file := r.file(o, "flv")
	return &player{name: "websocket", file: file, run: func(ctx context.Context) error {
		client := &http.Client{Transport: &http.Transport{DialContext: r.world.dial}}
		c, _, err := websocket.Dial(ctx, r.fill("ws://127.0.0.1:HTTP/live/cam.flv", o), &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			return err
		}
		defer c.CloseNow()
		c.SetReadLimit(16 << 20)
		out, err := os.Create(file)
		if err != nil {
			return err
		}
		defer out.Close()
		for {
			_, b, err := c.Read(ctx)
			if err != nil {
				return nil // the end of the stream
			}
			if _, err := out.Write(b); err != nil {
				return err
			}
		}
	}}
}

// file is where this way out's recording of a row lies.
func (r *row) file(o wayOut, suffix string) string {
	return filepath.Join(r.dir, slug(o.name+" "+o.program)+"."+suffix)
}

// stopped reports whether the receiver is stopped, because nobody tells it the end: a source that we fetch is dialled again.
func stopped(in wayIn, out wayOut) bool { return out.open || in.source != "" }

// tailOf is how many units of each kind may be missing at the end.
func tailOf(in wayIn, out wayOut, c content) map[string]int {
	tail := map[string]int{}
	for kind, n := range in.tail {
		tail[kind] = n
	}
	if out.holds && stopped(in, out) {
		tail["video"], tail["audio"] = tail["video"]+1, tail["audio"]+8
	}
	if c.pcm() > 0 && tail["audio"] > 0 {
		tail["audio"] *= 1024
	}
	return tail
}

// allWaysOut is waysOut, each knowing its place.
func allWaysOut() []wayOut {
	out := make([]wayOut, len(waysOut))
	for i, o := range waysOut {
		o.index = i
		out[i] = o
	}
	return out
}
