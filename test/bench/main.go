// Command bench measures what weir costs and how late it is, each beside something to compare with in the same run: the
// CPU time of a server for each gigabit that reaches its players, beside a bare writev loop that sends the same bytes and
// beside nginx-rtmp; the latency from socket to socket, beside the same way without weir between; and how long a player
// waits for its first picture. Only ratios count; absolute figures move with the machine.
//
//	go run ./test/bench            everything, in less than six minutes
//	go run ./test/bench -players 100 -seconds 5 -rounds 1
//	go run ./test/bench -part latency -json
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	players, rounds int
	seconds         time.Duration
	part            string
	json            bool
}

// report is all results.
type report struct {
	Players int       `json:"players,omitempty"`
	Fanout  []cost    `json:"fanout,omitempty"`
	Latency []delay   `json:"latency,omitempty"`
	Start   []waiting `json:"start,omitempty"`
}

func main() {
	var o options
	seconds := flag.Int("seconds", 10, "how long each server, and each latency, is measured")
	flag.IntVar(&o.players, "players", 500, "players at once")
	flag.IntVar(&o.rounds, "rounds", 3, "how often the fan-out is measured; medians are shown")
	flag.StringVar(&o.part, "part", "all", "what to measure: fanout, latency or all")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	asFloor := flag.String("floor", "", "be the writev loop at this address (used by the program itself)")
	flag.Parse()
	o.seconds = time.Duration(*seconds) * time.Second
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if *asFloor != "" {
		err = floor(ctx, *asFloor, flag.Arg(0))
	} else {
		err = measure(ctx, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "weir-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, clip: filepath.Join(dir, "clip.flv"), weir: filepath.Join(dir, "weir")}
	say("making the clip")
	if out, err := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "20", "-c:v", "libx264", "-preset", "ultrafast",
		"-b:v", "2400k", "-minrate", "2400k", "-maxrate", "2400k", "-bufsize", "600k", "-x264-params", "nal-hrd=cbr:keyint=60:bframes=0",
		"-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", "-f", "flv", b.clip).CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg (Debian package ffmpeg): %w: %s", err, out)
	}
	say("building weir")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.weir, "./cmd/weir").CombinedOutput(); err != nil {
		return fmt.Errorf("build weir (run this from the project's folder): %w: %s", err, out)
	}
	var r report
	if o.part != "latency" {
		r.Players = o.players
		if r.Fanout, err = b.fanout(ctx); err != nil {
			return err
		}
	}
	if o.part != "fanout" {
		if r.Latency, r.Start, err = b.latency(ctx); err != nil {
			return err
		}
	}
	if terminal() {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.print(os.Stdout)
}

// bench is one run.
type bench struct {
	options
	dir, clip, weir string
}

// say shows what is being done on standard error; on a terminal it is one line that is overwritten.
func say(format string, args ...any) {
	if terminal() {
		format = "\r\033[K" + format
	} else {
		format += "\n"
	}
	fmt.Fprintf(os.Stderr, format, args...)
}

func terminal() bool {
	info, err := os.Stderr.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
