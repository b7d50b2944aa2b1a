package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"

	"github.com/coder/websocket"

	"weir/egress/container"
	"weir/transmux"
	"weir/wire"
	"weir/wire/web"
)

// socket plays a stream as FLV in binary messages: the same bytes as over HTTP, all that is there in one message.
func (h *Handler) socket(w http.ResponseWriter, r *http.Request, name string) {
	g, err := h.options.Door.Play(r.Context(), web.Peer(r, "ws-flv", h.options.Listener), name)
	if err != nil {
		web.Refuse(w, err)
		return
	}
	end := io.EOF
	defer func() { g.End(end) }()
	ctx, cancel := web.Hold(r.Context(), g)
	defer cancel(nil)
	flow, dropped, err := container.Open(ctx, g.Stream, container.FLV, g.Tracks)
	h.tell(r, g, "ws-flv", dropped)
	if err != nil {
		end = err
		web.Refuse(w, err)
		return
	}
	defer flow.Close()
	flow.Batch = h.options.Batch
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of the Origin: who may play is for the Door, as with HTTP
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		end = fmt.Errorf("accept websocket: %w", err) // it has answered
		return
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(4 << 10)
	alive := c.CloseRead(ctx) // answers pings, and ends when the player leaves
	end = flow.Write(alive, g.Meter, func(b net.Buffers) error {
		timely, stop := context.WithTimeout(alive, container.SlowAfter)
		defer stop()
		err := c.Write(timely, websocket.MessageBinary, slices.Concat(b...))
		if err != nil && timely.Err() != nil && alive.Err() == nil {
			return timely.Err()
		}
		return err
	})
	switch {
	case ctx.Err() != nil && g.Cause() != nil:
		end = g.Cause()
		_ = c.Close(websocket.StatusGoingAway, reason(end))
	case end == nil || errors.Is(end, wire.ErrEnded) || errors.Is(end, transmux.ErrReplaced):
		_ = c.Close(websocket.StatusNormalClosure, "the stream ended")
	case alive.Err() != nil:
		end = io.EOF
	}
}

// reason fits into a close frame.
func reason(err error) string {
	text := err.Error()
	return text[:min(len(text), 120)]
}
