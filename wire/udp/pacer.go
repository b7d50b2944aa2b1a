package udp

import (
	"context"
	"time"
)

const (
	behind   = 2 * time.Millisecond // lateness from which datagrams are gathered into one system call
	lateness = 40 * time.Millisecond
)

// A Pacer sends each datagram at its due time. Deadlines are absolute: being late once does not move what follows. It
// belongs to one goroutine.
type Pacer struct {
	send    func(...[]byte) error
	timer   *time.Timer
	pending [][]byte
	late    uint64
	worst   time.Duration
}

// NewPacer returns a pacer for a sender's Send.
func NewPacer(send func(...[]byte) error) *Pacer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &Pacer{send: send, timer: t}
}

// Wait sends what is pending and waits for due, for wake to be readable, or for ctx to end; the error is that of sending
// or ctx's cause. It reports whether due was reached.
func (p *Pacer) Wait(ctx context.Context, due time.Time, wake <-chan struct{}) (bool, error) {
	d := time.Until(due)
	if d <= 0 {
		return true, context.Cause(ctx)
	}
	if err := p.Flush(); err != nil {
		return false, err
	}
	p.timer.Reset(d)
	defer p.timer.Stop()
	select {
	case <-p.timer.C:
		return true, nil
	case <-wake:
		return false, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// Send takes a datagram, of which it keeps the slice, whose due time has come. It is sent at once, or, when we are behind,
// together with those that follow.
func (p *Pacer) Send(due time.Time, datagram []byte) error {
	l := time.Since(due)
	p.worst = max(p.worst, l)
	if l > lateness {
		p.late++
	}
	p.pending = append(p.pending, datagram)
	if l > behind && len(p.pending) < batch {
		return nil
	}
	return p.Flush()
}

// Flush sends what is pending.
func (p *Pacer) Flush() error {
	if len(p.pending) == 0 {
		return nil
	}
	err := p.send(p.pending...)
	clear(p.pending)
	p.pending = p.pending[:0]
	return err
}

// Late counts datagrams that were sent more than 40 ms after they were due, and tells the worst lateness: what
// ETSI TS 102 034 allows as jitter from peak to peak.
func (p *Pacer) Late() (datagrams uint64, worst time.Duration) { return p.late, p.worst }
