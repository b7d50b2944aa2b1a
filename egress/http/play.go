package http

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"weir/egress/container"
	"weir/transmux"
	"weir/wire"
	"weir/wire/web"
)

// maxChatter is how much a player may send after its request.
const maxChatter = 64 << 10

// tell logs why a player does not get all tracks.
func (h *Handler) tell(r *http.Request, g *wire.Grant, protocol string, dropped []error) {
	for _, why := range dropped {
		h.options.Log.Info("a track is left out", "name", g.Name, "protocol", protocol, "address", r.RemoteAddr, "reason", why)
	}
}

// get plays a stream as the body of an answer.
//
// The connection is taken from the server, and chunks are framed here: header, frame and the shared buffers of all units
// that are there go out with one writev. A ResponseWriter would copy small buffers and make three writes of large ones.
func (h *Handler) get(w http.ResponseWriter, r *http.Request, name string, format container.Format) {
	g, err := h.options.Door.Play(r.Context(), web.Peer(r, protocolOf(format), h.options.Listener), name)
	if err != nil {
		web.Refuse(w, err)
		return
	}
	end := io.EOF
	defer func() { g.End(end) }()
	ctx, cancel := web.Hold(r.Context(), g)
	defer cancel(nil)
	flow, dropped, err := container.Open(ctx, g.Stream, format, g.Tracks)
	h.tell(r, g, protocolOf(format), dropped)
	if err != nil {
		end = err
		web.Refuse(w, err)
		return
	}
	defer flow.Close()
	flow.Batch = h.options.Batch
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		end = fmt.Errorf("take the connection over: %w", err)
		http.Error(w, "streams need HTTP/1.0 or HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	_ = conn.SetDeadline(time.Time{}) // fails only if the connection is gone, as the next write does

	// What the player says is read, so that its leaving is noticed at once.
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, err := io.CopyN(io.Discard, buffered, maxChatter)
		if err == nil {
			err = errors.New("the player talks instead of listening")
		}
		cancel(err)
	}()
	defer func() {
		_ = conn.Close()
		<-gone
	}()
	body := &body{chunked: r.ProtoAtLeast(1, 1), head: responseHead(w.Header(), r, format), write: container.WriteConn(conn)}
	end = flow.Write(ctx, g.Meter, body.send)
	if end == nil || errors.Is(end, wire.ErrDrain) || errors.Is(end, wire.ErrEnded) || errors.Is(end, transmux.ErrReplaced) {
		_ = body.finish() // a goodbye; the connection ends anyway
	}
}

// responseHead is the status line with the header.
func responseHead(h http.Header, r *http.Request, format container.Format) []byte {
	streamHeaders(h, format)
	h.Set("Connection", "close")
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	line := "HTTP/1.0 200 OK\r\n"
	if r.ProtoAtLeast(1, 1) {
		line = "HTTP/1.1 200 OK\r\n"
		h.Set("Transfer-Encoding", "chunked")
	}
	b := bytes.NewBufferString(line)
	_ = h.Write(b) // a buffer takes all
	b.WriteString("\r\n")
	return b.Bytes()
}

// body frames an answer (RFC 9112 7.1), or leaves it bare for HTTP/1.0.
type body struct {
	chunked bool
	head    []byte // not sent yet
	write   func(net.Buffers) error
	store   net.Buffers
	frame   []byte
}

func (b *body) send(bufs net.Buffers) error {
	out := b.store[:0]
	if b.head != nil {
		out = append(out, b.head)
		b.head = nil
	}
	if b.chunked {
		size := 0
		for _, p := range bufs {
			size += len(p)
		}
		b.frame = append(strconv.AppendInt(b.frame[:0], int64(size), 16), '\r', '\n')
		out = append(append(append(out, b.frame), bufs...), b.frame[len(b.frame)-2:])
	} else {
		out = append(out, bufs...)
	}
	b.store = out
	return b.write(out)
}

// finish ends the body.
func (b *body) finish() error {
	var out net.Buffers
	if b.head != nil {
		out = append(out, b.head)
	}
	if b.chunked {
		out = append(out, []byte("0\r\n\r\n"))
	}
	return b.write(out)
}
