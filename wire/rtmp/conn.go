package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"weir/wire"
	"weir/wire/rtmp/chunk"
)

// Types of user control messages (RTMP 1.0, 7.1.7).
const (
	streamBegin     = 0
	streamEOF       = 1
	setBufferLength = 3
	pingRequest     = 6
	pingResponse    = 7
)

// Chunk streams that we send on. 2 is for protocol control (RTMP 1.0, 5.4).
const (
	controlChunks = 2
	commandChunks = 3
	statusChunks  = 5
)

// conn is what both ends of a session share. One goroutine reads; any may write.
type conn struct {
	nc     net.Conn
	r      *chunk.Reader
	limits Limits
	begun  time.Time

	// Of the reading goroutine.
	until    time.Time // for handshake and connect; zero afterwards
	heard    time.Time
	checked  time.Time
	received uint32 // wraps, as acknowledgements do
	acked    uint32
	window   uint32 // the peer's
	told     uint32 // the window that we announced

	took    atomic.Int64  // when the peer last took media, in ns since begun
	ignored atomic.Uint64 // messages of types that we do not know
	cause   atomic.Pointer[error]

	wmu      sync.Mutex // whose turn it is to write; held while writing, which Limits.Write bounds
	outChunk int
	scratch  []byte
	failed   error
}

func newConn(nc net.Conn, limits Limits) *conn {
	now := time.Now()
	c := &conn{nc: nc, limits: limits.filled(), begun: now, heard: now, checked: now, window: window, outChunk: chunk.DefaultChunkSize}
	c.until = now.Add(c.limits.Handshake)
	c.r = chunk.NewReader((*source)(c))
	c.r.Limit(modestLimit)
	return c
}

// source is what the chunk reader reads from: it keeps deadlines, asks silent peers for a sign of life and acknowledges
// what came.
type source conn

func (s *source) Read(p []byte) (int, error) {
	c := (*conn)(s)
	for {
		deadline := time.Now().Add(c.limits.Ping)
		if !c.until.IsZero() && c.until.Before(deadline) {
			deadline = c.until
		}
		if err := c.nc.SetReadDeadline(deadline); err != nil {
			return 0, c.why(err)
		}
		if cause := c.cause.Load(); cause != nil {
			return 0, *cause
		}
		n, err := c.nc.Read(p)
		now := time.Now()
		if n > 0 {
			c.heard = now
			if err := c.count(n, now); err != nil {
				return 0, err
			}
			return n, nil
		}
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, c.why(err)
		}
		if err := c.silent(now); err != nil {
			return 0, err
		}
	}
}

// why is the cause if the session is being ended, else err.
func (c *conn) why(err error) error {
	if cause := c.cause.Load(); cause != nil {
		return *cause
	}
	return err
}

// count acknowledges when half a window has come, and looks once a second for messages that do not get on.
func (c *conn) count(n int, now time.Time) error {
	c.received += uint32(n)
	if c.until.IsZero() && c.received-c.acked >= c.window/2 {
		c.acked = c.received
		if err := c.write(control(chunk.Acknowledgement, c.received)); err != nil {
			return err
		}
	}
	if now.Sub(c.checked) < time.Second {
		return nil
	}
	return c.check(now)
}

func (c *conn) check(now time.Time) error {
	c.checked = now
	if !c.until.IsZero() && now.After(c.until) {
		return ErrConnectTimeout
	}
	if since := c.r.Stalled(); !since.IsZero() && now.Sub(since) > c.limits.Message {
		return ErrStalled
	}
	return nil
}

// silent decides what a silence means: a ping, or the end.
func (c *conn) silent(now time.Time) error {
	if cause := c.cause.Load(); cause != nil {
		return *cause
	}
	if !c.until.IsZero() && !now.Before(c.until) {
		return ErrConnectTimeout
	}
	if err := c.check(now); err != nil {
		return err
	}
	alive := c.heard
	if took := c.begun.Add(time.Duration(c.took.Load())); took.After(alive) {
		alive = took
	}
	if now.Sub(alive) >= c.limits.Idle {
		return wire.ErrIdle
	}
	if !c.until.IsZero() {
		return nil
	}
	return c.write(userControl(pingRequest, uint32(now.Sub(c.begun).Milliseconds())))
}

// interrupt ends the reading goroutine with cause. Writing goes on, so that goodbyes can be said.
func (c *conn) interrupt(cause error) {
	if cause == nil {
		cause = io.EOF
	}
	c.cause.CompareAndSwap(nil, &cause)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // an error means that it is closed already
}

// linger closes after the peer had a moment to read what was sent last: closing with unread input would make TCP
// discard it.
func (c *conn) linger() {
	if h, ok := c.nc.(interface{ CloseWrite() error }); ok && h.CloseWrite() == nil {
		_ = c.nc.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.CopyN(io.Discard, c.nc, 1<<20)
	}
	_ = c.nc.Close()
}

// write sends messages in one write.
func (c *conn) write(ms ...chunk.Message) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	b := c.scratch[:0]
	for _, m := range ms {
		b = chunk.Append(b, m, c.outChunk)
		if m.Type == chunk.SetChunkSize {
			c.outChunk = int(binary.BigEndian.Uint32(m.Payload))
		}
	}
	if cap(b) <= joined {
		c.scratch = b
	}
	return c.send(net.Buffers{b})
}

// writeBuffers sends chunks that are already cut. It consumes bufs.
func (c *conn) writeBuffers(bufs net.Buffers) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.outChunk < chunk.OutChunkSize {
		return fmt.Errorf("write media before the chunk size was announced: %w", ErrProtocol)
	}
	if err := c.send(bufs); err != nil {
		return err
	}
	c.took.Store(int64(time.Since(c.begun)))
	return nil
}

// joined is the size of one TLS record: more gains nothing.
const joined = 16 << 10

// A buffersWriter is a connection layer that passes many slices on in one go.
type buffersWriter interface {
	WriteBuffers(*net.Buffers) (int64, error)
}

// send writes bufs as long as the peer gets on taking them. After an error nothing more is ever sent, since the peer
// would find a half chunk.
func (c *conn) send(bufs net.Buffers) error {
	if c.failed != nil {
		return c.failed
	}
	end := time.Now().Add(6 * c.limits.Write)
	for len(bufs) > 0 {
		now := time.Now()
		deadline := now.Add(c.limits.Write)
		if deadline.After(end) {
			deadline = end
		}
		_ = c.nc.SetWriteDeadline(deadline) // an error shows in the write
		n, resumable, err := c.sendSome(&bufs)
		if err == nil {
			continue
		}
		if slow := errors.Is(err, os.ErrDeadlineExceeded); slow && resumable && n > 0 && time.Now().Before(end) && c.cause.Load() == nil {
			continue
		} else if slow {
			err = fmt.Errorf("write: %w", wire.ErrSlow)
		} else {
			err = fmt.Errorf("write: %w", err)
		}
		c.failed = err
		c.interrupt(err)
		return err
	}
	return nil
}

// sendSome writes some of bufs and takes it off; resumable means that a timeout does no harm.
func (c *conn) sendSome(bufs *net.Buffers) (n int64, resumable bool, err error) {
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		n, err = bufs.WriteTo(nc)
		return n, true, err
	case buffersWriter:
		n, err = nc.WriteBuffers(bufs)
		return n, false, err
	}
	// A record each for header and payload would be a waste, so small slices are joined.
	if len((*bufs)[0]) >= joined || len(*bufs) == 1 {
		k, err := c.nc.Write((*bufs)[0][:min(len((*bufs)[0]), joined)])
		if (*bufs)[0] = (*bufs)[0][k:]; len((*bufs)[0]) == 0 {
			*bufs = (*bufs)[1:]
		}
		return int64(k), false, err
	}
	if cap(c.scratch) < joined { // not in use: write never sends more than one slice
		c.scratch = make([]byte, joined)
	}
	b := c.scratch[:0]
	for len(*bufs) > 0 && len(b) < joined {
		k := min(len((*bufs)[0]), joined-len(b))
		b = append(b, (*bufs)[0][:k]...)
		if (*bufs)[0] = (*bufs)[0][k:]; len((*bufs)[0]) == 0 {
			*bufs = (*bufs)[1:]
		}
	}
	k, err := c.nc.Write(b)
	return int64(k), false, err
}

// common obeys the messages that mean the same to both ends, and tells whether m was one of them.
func (c *conn) common(m chunk.Message) (bool, error) {
	switch m.Type {
	case chunk.SetChunkSize, chunk.Abort, chunk.Acknowledgement:
		return true, nil // the reader obeyed; missing acknowledgements never stop us
	case chunk.WindowAckSize:
		if len(m.Payload) >= 4 {
			c.window = max(binary.BigEndian.Uint32(m.Payload), minWindow)
		}
		return true, nil
	case chunk.SetPeerBandwidth:
		if len(m.Payload) < 4 {
			return true, nil
		}
		if n := binary.BigEndian.Uint32(m.Payload); n != c.told {
			c.told = n
			return true, c.write(control(chunk.WindowAckSize, n))
		}
		return true, nil
	case chunk.UserControl:
		if len(m.Payload) >= 6 && binary.BigEndian.Uint16(m.Payload) == pingRequest {
			return true, c.write(userControl(pingResponse, binary.BigEndian.Uint32(m.Payload[2:])))
		}
		return false, nil
	}
	return false, nil
}

// control makes a protocol control message of one number.
func control(typ uint8, n uint32) chunk.Message {
	return chunk.Message{Type: typ, ChunkID: controlChunks, Payload: binary.BigEndian.AppendUint32(nil, n)}
}

// peerBandwidth limits the peer dynamically (RTMP 1.0, 5.4.5).
func peerBandwidth(n uint32) chunk.Message {
	m := control(chunk.SetPeerBandwidth, n)
	m.Payload = append(m.Payload, 2)
	return m
}

func userControl(event uint16, n uint32) chunk.Message {
	b := binary.BigEndian.AppendUint16(nil, event)
	return chunk.Message{Type: chunk.UserControl, ChunkID: controlChunks, Payload: binary.BigEndian.AppendUint32(b, n)}
}
