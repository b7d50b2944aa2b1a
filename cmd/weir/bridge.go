package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"weir/gateway"
)

type bridgeCmd struct {
	From  string        `arg:"" help:"URL of the stream: rtsp, rtmp, udp, http, tcp, stdin, …"`
	To    []string      `arg:"" help:"URLs it is sent to."`
	Track []string      `help:"Tracks to take, in order: video, audio:eng, audio:#2." placeholder:"TRACK"`
	Prog  int           `name:"program" help:"Program number in a transport stream with several." placeholder:"N"`
	Iface string        `name:"interface" help:"Network interface for multicast, by name or address." placeholder:"NAME"`
	For   time.Duration `help:"End after this time; 0 is never." placeholder:"TIME"`
}

// Help shows examples below the flags.
func (bridgeCmd) Help() string {
	return `It reconnects for ever, and logs one line for each change of state.

Examples:
  weir bridge rtsp://viewer:secret@10.0.0.7/stream1 rtmp://live.example.org/app/key
  weir bridge 'udp://239.1.1.7:5000' --program 3 --track video --track audio:eng rtmp://127.0.0.1/tv/news
  weir bridge rtmp://127.0.0.1/live/cam udp://239.10.0.1:5000 rtsp://127.0.0.1:8554/cam
  ffmpeg -re -i film.mp4 -c copy -f mpegts - | weir bridge stdin: rtmp://127.0.0.1/live/film`
}

// bridgeName is the stream's name, seen in logs only.
const bridgeName = "bridge"

// Run serves until the context ends, or the standard input if that is the source.
func (c *bridgeCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	var y strings.Builder
	fmt.Fprintf(&y, "sources:\n  %s:\n    url: %s\n", bridgeName, quote(c.From))
	if c.Iface != "" {
		fmt.Fprintf(&y, "    interface: %s\n", quote(c.Iface))
	}
	if c.Prog != 0 {
		fmt.Fprintf(&y, "    program: %d\n", c.Prog)
	}
	if len(c.Track) > 0 {
		fmt.Fprintf(&y, "    tracks: [%s]\n", strings.Join(quoteAll(c.Track), ", "))
	}
	fmt.Fprintf(&y, "rules:\n  - name: bridge\n    send: [%s]\n", strings.Join(quoteAll(c.To), ", "))
	file, err := made(y.String(), t)
	if err != nil {
		return err
	}
	g, err := gateway.New(file, gateway.Options{Log: log, Stdin: t.in, Stdout: t.out, Version: version()})
	if err != nil {
		return err
	}
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	var progress sync.WaitGroup
	ended, stop := context.WithCancel(ctx)
	if t.isTTY {
		progress.Go(func() { showProgress(ended, t, g) })
	}
	err = g.Run(ctx, ctx.Done())
	stop()
	progress.Wait()
	return err
}

// showProgress keeps one line on the terminal up to date: how long, how much, and where it stands.
func showProgress(ctx context.Context, t *terminal, g *gateway.Gateway) {
	start := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer fmt.Fprint(t.err, "\r\033[K")
	var before gateway.Flow
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := g.Flow(bridgeName)
		fmt.Fprintf(t.err, "\r\033[K%v  %s  in %.2f Mbit/s  %d units/s  out %.2f Mbit/s  repaired %d",
			time.Since(start).Round(time.Second), now.Tracks, float64(now.In-before.In)*8/1e6,
			now.Units-before.Units, float64(now.Out-before.Out)*8/1e6, now.Gaps)
		before = now
	}
}
