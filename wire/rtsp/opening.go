package rtsp

import (
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/pion/rtcp"
)

const (
	// openingTime is how long the first sender reports are waited for.
	openingTime = 100 * time.Millisecond
	// maxOpening bounds the packets that wait for them.
	maxOpening = 1024
)

// An opening holds what a publisher sends in datagrams until each of its medias has told its time by a sender report, or
// openingTime is over. Reports come at another socket, so one that was sent before the first packet is often seen after it;
// and what keeps the tracks together should be known from the first unit on. It is safe for concurrent use.
type opening struct {
	mu      sync.Mutex
	missing map[*description.Media]bool
	waiting []func()
	timer   *time.Timer // set with the first packet
	open    bool
}

func newOpening(medias []*description.Media) *opening {
	o := &opening{missing: make(map[*description.Media]bool)}
	for _, m := range medias {
		o.missing[m] = true
	}
	return o
}

// packet calls take now, or later, in order.
func (o *opening) packet(take func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open {
		take()
		return
	}
	if o.timer == nil {
		o.timer = time.AfterFunc(openingTime, o.finish)
	}
	o.waiting = append(o.waiting, take)
	if len(o.waiting) >= maxOpening {
		o.pass()
	}
}

// report notes that m was reported on; the recorder knows of it already.
func (o *opening) report(m *description.Media, p rtcp.Packet) {
	if _, ok := p.(*rtcp.SenderReport); !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.missing, m)
	if len(o.missing) == 0 {
		o.pass()
	}
}

// finish passes on what waits. It is also called at the end of the session.
func (o *opening) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pass()
}

// pass needs the lock.
func (o *opening) pass() {
	if o.open {
		return
	}
	o.open = true
	if o.timer != nil {
		o.timer.Stop()
	}
	for _, take := range o.waiting {
		take()
	}
	o.waiting = nil
}
