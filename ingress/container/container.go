// Package container takes streams apart that come as one flow of bytes, and finds out what they are.
package container

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"weir/transmux"
	"weir/transmux/flv"
	"weir/transmux/mpegts"
	"weir/wire"
)

// Format is a container format.
type Format string

const (
	Unknown Format = "" // to be found out from the first bytes
	FLV     Format = "flv"
	TS      Format = "ts"
)

// ErrUnknown ends a flow of bytes that is in no format we know.
var ErrUnknown = errors.New("the bytes are neither FLV nor MPEG-TS")

var errHTML = errors.New("the bytes are a web page, not a stream")

// Parse reads the value of a setting: "flv", "ts" or "mpegts"; empty is Unknown.
func Parse(text string) (Format, error) {
	switch text {
	case "", "flv", "ts":
		return Format(text), nil
	case "mpegts":
		return TS, nil
	}
	return Unknown, fmt.Errorf("format %q is not flv or ts", text)
}

// OfName returns the format that the end of a file name tells, and the name without it.
func OfName(name string) (string, Format) {
	if base, ok := strings.CutSuffix(name, ".flv"); ok {
		return base, FLV
	}
	if base, ok := strings.CutSuffix(name, ".ts"); ok {
		return base, TS
	}
	return name, Unknown
}

// OfType returns the format that a Content-Type tells.
func OfType(contentType string) Format {
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return Unknown
	}
	switch t {
	case "video/x-flv", "video/flv", "flv-application/octet-stream":
		return FLV
	case "video/mp2t", "video/mpeg", "video/mp2ts":
		return TS
	}
	return Unknown
}

const (
	confirm    = 5             // packets in a row that make a transport stream
	probeSize  = 204 * confirm // enough to see them behind a piece of one
	bufferSize = 64 << 10
)

// Detect tells the format from the first bytes of a flow. sure is false if more bytes may change the answer.
func Detect(first []byte) (f Format, sure bool) {
	if len(first) < 4 {
		return Unknown, false
	}
	if bytes.HasPrefix(first, []byte("FLV")) {
		return FLV, true
	}
	// A transport stream may begin within a packet.
	for _, size := range [...]int{188, 192, 204} {
		for start := range min(size, len(first)) {
			n := 0
			for at := start; at < len(first) && first[at] == 0x47 && n < confirm; at += size {
				n++
			}
			if n >= confirm {
				return TS, true
			}
		}
	}
	return Unknown, len(first) >= probeSize
}

// Options say how Read treats a flow.
type Options struct {
	Format  Format             // Unknown is found out
	Program int                // MPEG-TS: program number; 0 is the first
	Tracks  transmux.Selection // nil is all
}

// demuxer is what both formats have.
type demuxer interface {
	Write(b []byte, arrived time.Time) error
	Flush() error
}

// Read takes r apart until it ends, and returns nil then. Everything that is read is counted in m. r ends the call by
// failing: deadlines are its own.
func Read(r io.Reader, o Options, out transmux.Out, m *wire.Meter) error {
	buf := make([]byte, bufferSize)
	have := 0
	read := func() error {
		n, err := r.Read(buf[have:])
		have += n
		m.Moved(n, time.Time{})
		return err
	}
	var err error
	for o.Format == Unknown {
		if err = read(); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the first bytes: %w", err)
		}
		sure := false
		if o.Format, sure = Detect(buf[:have]); o.Format == Unknown && (sure || err != nil) {
			return unknown(buf[:have])
		}
	}
	d := o.open(out)
	for {
		if have > 0 {
			if err := d.Write(buf[:have], time.Now()); err != nil {
				return err
			}
			have = 0
		}
		if errors.Is(err, io.EOF) {
			return d.Flush()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("read %s: %w", o.Format, err), d.Flush())
		}
		err = read()
	}
}

func unknown(first []byte) error {
	if len(first) == 0 {
		return fmt.Errorf("the peer sent nothing: %w", io.ErrUnexpectedEOF)
	}
	if t := bytes.TrimSpace(first); len(t) > 0 && t[0] == '<' {
		return fmt.Errorf("%w: %w", ErrUnknown, errHTML)
	}
	return ErrUnknown
}

func (o Options) open(out transmux.Out) demuxer {
	out = Only(out, o.Tracks)
	if o.Format == FLV {
		return tags{flv.NewReader(flv.NewDemuxer(out))}
	}
	return mpegts.New(out, mpegts.Options{Program: o.Program})
}

// tags makes a demuxer of a flv.Reader, which keeps no unit back.
type tags struct{ r *flv.Reader }

func (t tags) Write(b []byte, arrived time.Time) error { return t.r.Feed(b, arrived) }
func (t tags) Flush() error                            { return nil }
