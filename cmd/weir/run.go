package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"weir/gateway"
)

type runCmd struct {
	File string `arg:"" optional:"" help:"The rules file." default:"weir.yaml"`
}

// Help shows examples below the flags.
func (runCmd) Help() string {
	return `SIGTERM drains: sessions may go on for the file's drain time. A second signal, or Ctrl-C, ends them at once.

Examples:
  weir run                          the file weir.yaml here
  weir run /etc/weir/weir.yaml
  weir --log-format json run        a log for machines`
}

// Run serves until the context ends.
func (c *runCmd) Run(ctx context.Context, t *terminal, log *slog.Logger) error {
	file, err := readFile(c.File, t)
	if err != nil {
		return err
	}
	g, err := gateway.New(file, gateway.Options{Log: log, Stdin: t.in, Stdout: t.out, Version: version()})
	if err != nil {
		return err
	}
	hurry := make(chan struct{})
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for terms := 0; ; {
			select {
			case sig := <-again:
				if terms++; sig == os.Interrupt || terms > 1 {
					close(hurry)
					return
				}
			case <-done:
				return
			}
		}
	}()
	return g.Run(ctx, hurry)
}
