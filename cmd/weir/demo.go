package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"weir/gateway"
)

type demoCmd struct {
	RTMP  string `name:"rtmp" help:"Address for RTMP." default:"127.0.0.1:1935" placeholder:"ADDR"`
	RTSP  string `name:"rtsp" help:"Address for RTSP." default:"127.0.0.1:8554" placeholder:"ADDR"`
	HTTP  string `name:"http" help:"Address for HTTP-FLV, HTTP-TS, WebSocket and the page." default:"127.0.0.1:8080" placeholder:"ADDR"`
	Admin string `help:"Address for metrics and readiness." default:"127.0.0.1:9090" placeholder:"ADDR"`
	UDP   string `name:"udp" help:"Address that gets MPEG-TS; empty sends none." default:"127.0.0.1:5004" placeholder:"ADDR"`
}

// Help shows examples below the flags.
func (demoCmd) Help() string {
	return `Examples:
  weir demo                                  then open http://127.0.0.1:8080/
  weir demo --rtmp 127.0.0.1:2935            when port 1935 is taken
  ffplay rtmp://127.0.0.1:1935/demo/camera   in another terminal`
}

// demoName is the name of the built-in camera's stream.
const demoName = "demo/camera"

// Run serves until the context ends.
func (c *demoCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	var y strings.Builder
	fmt.Fprintf(&y, "listen:\n  rtmp: %s\n  rtsp: %s\n  http: %s\n  admin: %s\n", quote(c.RTMP), quote(c.RTSP), quote(c.HTTP), quote(c.Admin))
	fmt.Fprintf(&y, "sources:\n  %s: \"demo:\"\nrules:\n  - name: demo\n    serve: all\n", demoName)
	if c.UDP != "" {
		fmt.Fprintf(&y, "    send: %s\n", quote("udp://"+c.UDP))
	}
	file, err := made(y.String(), t)
	if err != nil {
		return err
	}
	g, err := gateway.New(file, gateway.Options{Log: log, Version: version(), Page: demoName})
	var taken *gateway.ListenError
	if errors.As(err, &taken) {
		return fmt.Errorf("%w: weir demo --%s ADDR", err, taken.Listener)
	}
	if err != nil {
		return err
	}
	addr := func(l string) string { return g.Addr(l).String() }
	fmt.Fprintf(t.out, "The built-in camera (H.264 with B-frames, AAC) is stream %s:\n\n", demoName)
	for _, row := range [][2]string{
		{"page", "http://" + addr("http") + "/"},
		{"rtmp", "rtmp://" + addr("rtmp") + "/" + demoName},
		{"rtsp", "rtsp://" + addr("rtsp") + "/" + demoName},
		{"http-flv", "http://" + addr("http") + "/" + demoName + ".flv"},
		{"ws-flv", "ws://" + addr("http") + "/" + demoName + ".flv"},
		{"http-ts", "http://" + addr("http") + "/" + demoName + ".ts"},
		{"udp", "udp://" + c.UDP},
		{"metrics", "http://" + addr("admin") + "/metrics"},
	} {
		if row[0] == "udp" && c.UDP == "" {
			continue
		}
		fmt.Fprintf(t.out, "  %-9s %s\n", row[0], row[1])
	}
	fmt.Fprintf(t.out, "\nOpen the page in a browser, or any address in ffplay or VLC. Ctrl-C ends it.\n\n")
	return g.Run(ctx, ctx.Done())
}
