// Package rtmp speaks RTMP over any net.Conn: the session of a server and that of a client, up to FLV tag bodies, which it does not look into.
package rtmp

import (
	"cmp"
	"errors"
	"time"
)

// Limits bound what a peer may cost. Fields that are zero take the value named with them.
type Limits struct {
	Handshake time.Duration // for handshake and connect together: 10 s
	Ping      time.Duration // silence after which the peer is asked for a sign of life: 15 s
	Idle      time.Duration // silence after which it is dropped, unless it takes media: 45 s
	Message   time.Duration // from the first to the last byte of one message: 60 s
	Write     time.Duration // for a write to get on: 10 s; one write as a whole has six times as long
	Streams   int           // message streams of one connection: 32
	Refusals  int           // publishes and plays refused before the connection is closed: 8
}

func (l Limits) filled() Limits {
	l.Handshake = cmp.Or(l.Handshake, 10*time.Second)
	l.Ping = cmp.Or(l.Ping, 15*time.Second)
	l.Idle = cmp.Or(l.Idle, 45*time.Second)
	l.Message = cmp.Or(l.Message, time.Minute)
	l.Write = cmp.Or(l.Write, 10*time.Second)
	l.Streams = cmp.Or(l.Streams, 32)
	l.Refusals = cmp.Or(l.Refusals, 8)
	return l
}

// What sessions announce, and how much they take from a peer that has not been let in as a publisher.
const (
	window       = 2_500_000 // bytes between acknowledgements, both ways
	minWindow    = 4 << 10   // the least that a peer can make us obey
	modestLimit  = 256 << 10 // bytes of one message
	maxNameBytes = 4 << 10
)

// Errors that end a session, besides those of wire, chunk and handshake.
var (
	ErrConnectTimeout = errors.New("the peer took too long for handshake and connect")
	ErrStalled        = errors.New("a message was begun and not finished in time")
	ErrProtocol       = errors.New("the peer breaks the protocol")
	ErrRefusals       = errors.New("too many requests were refused")
	ErrClosed         = errors.New("the stream was closed by the peer")
)
