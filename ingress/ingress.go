// Package ingress is the contract of everything that fetches a stream on its own; each folder below is one protocol.
package ingress

import (
	"context"

	"weir/transmux"
	"weir/wire"
)

// A Source fetches one stream: a camera that is pulled, a multicast that is joined, a port that waits for one sender.
type Source interface {
	// Run connects, writes access units to w, and returns when the origin ends, ctx ends, or something is wrong. It never
	// retries: whoever runs it does. The error says what was being done and holds no secret; errors that retrying soon
	// does not mend wrap wire.ErrWrongUser, wire.ErrNeedUser, wire.ErrNotAllowed or wire.ErrNotFound.
	// Bytes received from the network are counted in m.
	Run(ctx context.Context, w *transmux.Writer, m *wire.Meter) error
}
