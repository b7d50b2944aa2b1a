// Command weir is a stateless gateway between media protocols.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"weir/wire"
)

// Exit statuses.
const (
	exitFine     = 0
	exitFindings = 1 // findings or failure
	exitUsage    = 2 // usage or denied
)

// cli is the command line. Every command's struct stands in the file of its name.
type cli struct {
	Run     runCmd     `cmd:"" help:"Run the gateway."`
	Demo    demoCmd    `cmd:"" help:"Serve the built-in camera on every protocol, on loopback, without a file."`
	Bridge  bridgeCmd  `cmd:"" help:"Send one stream to one or more destinations, without a file."`
	Check   checkCmd   `cmd:"" help:"Check files: every finding with file:line:col."`
	Explain explainCmd `cmd:"" help:"Say who is admitted and where a stream would go, rule by rule."`
	Test    testCmd    `cmd:"" help:"Run the routing tests beside a file."`
	Probe   probeCmd   `cmd:"" help:"Show what a stream holds: tracks, rates, key frames, A/V skew, programs."`
	Version versionCmd `cmd:"" help:"Print the version."`

	LogLevel  slog.Level `help:"Least level that is logged: debug, info, warn or error." default:"info" placeholder:"LEVEL"`
	LogFormat string     `help:"Form of the log on standard error: text or json." enum:"text,json" default:"text" placeholder:"FORM"`
}

const description = `weir takes a media stream in over one protocol and sends it out over any other, untouched.

Examples:
  weir demo                                       a camera to try, on every protocol
  weir bridge rtsp://10.0.0.7/stream1 rtmp://live.example.org/app/key
  weir run weir.yaml                              everything that the file says
  weir check weir.yaml && weir test weir.yaml     before you reload it`

// terminal is where a command reads and writes; tests replace it.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) (string, bool)
	isTTY    bool // err is a terminal that shows progress
}

// usage is an error in the arguments: exit status 2.
type usage struct{ error }

// findings ends a command with exit status 1 and nothing more to say.
type findings struct{ status int }

func (f findings) Error() string { return fmt.Sprintf("exit status %d", f.status) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := terminal{in: interruptible(os.Stdin), out: os.Stdout, err: os.Stderr, getenv: os.LookupEnv, isTTY: isTerminal(os.Stderr)}
	os.Exit(execute(ctx, os.Args[1:], t))
}

// execute runs one command line and returns the exit status.
func execute(ctx context.Context, args []string, t terminal) int {
	var c cli
	status := -1
	parser, err := kong.New(&c,
		kong.Name("weir"), kong.Description(description), kong.UsageOnError(),
		kong.Writers(t.out, t.err), kong.Exit(func(code int) { status = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		fmt.Fprintln(t.err, "weir:", err)
		return exitUsage
	}
	k, err := parser.Parse(args)
	if status >= 0 { // --help
		return status
	}
	if err != nil {
		fmt.Fprintf(t.err, "weir: %s\nTry: weir --help\n", hide(err.Error(), args))
		return exitUsage
	}
	log := newLog(t.err, c.LogLevel, c.LogFormat)
	k.BindTo(ctx, (*context.Context)(nil))
	err = k.Run(&t, log)
	var f findings
	var u usage
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &f):
		return f.status
	case errors.As(err, &u):
		fmt.Fprintf(t.err, "weir: %v\nTry: weir %s --help\n", err, k.Selected().Name)
		return exitUsage
	default:
		fmt.Fprintln(t.err, "weir:", err)
		return exitFindings
	}
}

// hide takes the credentials out of URLs that were typed, where a message repeats them.
func hide(message string, args []string) string {
	for _, a := range args {
		if _, value, ok := strings.Cut(a, "="); ok && strings.HasPrefix(a, "-") {
			a = value
		}
		if u, err := url.Parse(a); err == nil && u.Scheme != "" {
			message = strings.ReplaceAll(message, a, wire.Redact(u))
		}
	}
	return message
}

// newLog writes to w; times have milliseconds so that lines of several gateways can be compared.
func newLog(w io.Writer, level slog.Level, format string) *slog.Logger {
	opt := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}

// interruptible makes reads from a pipe end at a deadline, so that Ctrl-C need not wait for who writes to it. Other files,
// and terminals, which are shared with the shell, stay as they are.
func interruptible(f *os.File) *os.File {
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeNamedPipe == 0 || syscall.SetNonblock(int(f.Fd()), true) != nil {
		return f
	}
	return os.NewFile(f.Fd(), f.Name())
}

// isTerminal reports whether f shows progress lines: a character device, and NO_COLOR and dumb terminals respected.
func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
