package udp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/wire/udp"
)

// senderPatience is how long a sender must have been silent before another one is listened to.
const senderPatience = time.Second

// Shared lets sources with the same address and interface share one socket, so that the datagrams of a multiplex with
// many programs are received once. Each source still takes its program out of them on its own. The zero value is ready;
// it is safe for concurrent use.
type Shared struct {
	mu      sync.Mutex
	sockets []*socket
}

// socket is one receiver and the sources on it.
type socket struct {
	receiver *udp.Receiver
	done     chan struct{} // closed when its goroutine has returned
	err      error         // why; valid after done
	users    int           // guarded by Shared.mu

	members atomic.Pointer[[]*member]

	// the goroutine's own
	unwrap udp.Unwrapper
	sender netip.AddrPort
	heard  time.Time // last datagram of sender

	foreign   atomic.Uint64 // datagrams that hold no MPEG-TS
	intruders atomic.Uint64 // datagrams of other senders
	now       time.Time     // of the batch that is being handed on
}

// member is one source's place at a socket.
type member struct {
	mu     sync.Mutex
	closed bool // guarded by mu
	take   func(packets []byte, now time.Time)
}

// do runs f while take is not running.
func (m *member) do(f func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f()
}

// join opens the socket or shares it. leave must be called once.
func (p *Shared) join(ctx context.Context, a udp.Address, log *slog.Logger, take func(packets []byte, now time.Time)) (*socket, *member, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &member{take: take}
	for _, s := range p.sockets {
		if s.receiver.Address().Equal(a) {
			s.users++
			s.setMembers(append(slices.Clone(*s.members.Load()), m))
			return s, m, nil
		}
	}
	r, err := udp.Listen(ctx, a, 0)
	if err != nil {
		return nil, nil, err
	}
	if asked, granted := r.Buffer(); granted < asked {
		log.Warn("the kernel grants a small receive buffer, bursts may be lost; raise net.core.rmem_max",
			"address", a.String(), "asked", asked, "granted", granted)
	}
	s := &socket{receiver: r, done: make(chan struct{}), users: 1}
	s.setMembers([]*member{m})
	p.sockets = append(p.sockets, s)
	go func() { // leave waits for it
		defer close(s.done)
		s.err = s.run()
	}()
	return s, m, nil
}

// leave gives the place back; the last one out closes the socket. take is not running any more when it returns.
func (p *Shared) leave(s *socket, m *member) {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()

	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users--; s.users > 0 {
		s.setMembers(slices.DeleteFunc(slices.Clone(*s.members.Load()), func(o *member) bool { return o == m }))
		return
	}
	// Whoever joins now must wait until the address is free again, so the lock is held. The goroutine never takes it.
	p.sockets = slices.DeleteFunc(p.sockets, func(o *socket) bool { return o == s })
	_ = s.receiver.Close()
	<-s.done
}

func (s *socket) setMembers(m []*member) { s.members.Store(&m) }

// run reads until the socket is closed or fails.
func (s *socket) run() error {
	for {
		batch, err := s.receiver.Read()
		if err != nil {
			return err
		}
		s.now = time.Now()
		for _, d := range batch {
			if s.admits(d.From) {
				s.unwrap.Push(d.Data, s.now, s.hand)
			}
		}
		// What waits for a datagram before it is looked at when the next ones come: a stream that still flows brings
		// them within milliseconds, and one that does not has nothing to be late for.
		s.unwrap.Expire(s.now, s.hand)
		s.foreign.Store(s.unwrap.Stats().Foreign)
	}
}

// admits reports whether from is the sender that is listened to. Two senders on one address are not one stream.
func (s *socket) admits(from netip.AddrPort) bool {
	if from != s.sender {
		if s.sender.IsValid() && s.now.Sub(s.heard) < senderPatience {
			s.intruders.Add(1)
			return false
		}
		s.sender = from
	}
	s.heard = s.now
	return true
}

func (s *socket) hand(packets []byte, _ bool) {
	for _, m := range *s.members.Load() {
		m.mu.Lock()
		if !m.closed {
			m.take(packets, s.now)
		}
		m.mu.Unlock()
	}
}

// silence says what is known about why nothing useful comes.
func (s *socket) silence(a udp.Address) error {
	switch foreign, intruders := s.foreign.Load(), s.intruders.Load(); {
	case foreign > 0:
		return fmt.Errorf("no MPEG-TS from %s, but %d datagrams of something else", a, foreign)
	case intruders > 0:
		return fmt.Errorf("nothing from %s, but %d datagrams of another sender", a, intruders)
	}
	return fmt.Errorf("nothing from %s", a)
}
