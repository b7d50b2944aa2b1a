package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"text/tabwriter"
	"time"

	"weir/gateway"
)

type probeCmd struct {
	URL  string        `arg:"" help:"What to look at: rtsp, rtmp, udp, http, tcp, stdin, …"`
	For  time.Duration `help:"How much of the stream to look at." default:"5s" placeholder:"TIME"`
	JSON bool          `name:"json" help:"Print the report as JSON."`
}

// Help shows examples below the flags.
func (probeCmd) Help() string {
	return `Examples:
  weir probe rtsp://viewer:secret@10.0.0.7/stream1
  weir probe --for 20s udp://239.1.1.7:5000
  weir probe --json http://127.0.0.1:8080/demo/camera.flv`
}

// Run prints the report.
func (c *probeCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	var progress sync.WaitGroup
	looking, stop := context.WithCancel(ctx)
	if t.isTTY {
		progress.Go(func() {
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			defer fmt.Fprint(t.err, "\r\033[K")
			for start := time.Now(); ; {
				select {
				case <-looking.Done():
					return
				case <-tick.C:
					fmt.Fprintf(t.err, "\r\033[Klooking for %.1f s", time.Since(start).Seconds())
				}
			}
		})
	}
	r, err := gateway.Probe(ctx, c.URL, c.For, gateway.Options{Log: log, Stdin: t.in, Version: version()})
	stop()
	progress.Wait()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, r)
	}
	fmt.Fprintf(t.out, "%s: %.1f s, %d kbit/s", r.URL, r.Seconds, r.Bitrate/1000)
	if r.Skew != nil {
		fmt.Fprintf(t.out, ", audio %+.1f ms to video", *r.Skew)
	}
	if r.Gaps > 0 {
		fmt.Fprintf(t.out, ", %d gaps", r.Gaps)
	}
	fmt.Fprint(t.out, "\n\n")
	w := tabwriter.NewWriter(t.out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "track\tkind\tcodec\tprofile\tformat\tlanguage\tkbit/s\tkey interval\tB-frames")
	for _, tr := range r.Tracks {
		format, key, b := "", "", ""
		switch tr.Kind {
		case "video":
			format = fmt.Sprintf("%dx%d %.2f/s", tr.Width, tr.Height, tr.FPS)
			if tr.KeyInterval > 0 {
				key = fmt.Sprintf("%.2f s", tr.KeyInterval/1000)
			}
			if b = "no"; tr.BFrames {
				b = "yes"
			}
		case "audio":
			format = fmt.Sprintf("%d Hz, %d channels", tr.Rate, tr.Channels)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", tr.ID, tr.Kind, tr.Codec, tr.Profile, format, tr.Lang, tr.Bitrate/1000, key, b)
	}
	return w.Flush()
}
