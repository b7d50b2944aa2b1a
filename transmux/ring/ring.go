// Package ring is a queue with one writer and any number of readers who never block the writer.
//
// A reader is a cursor. It starts at the newest start item, and continues at the newest start item when the writer has
// overtaken it. So the picture cache for late joiners and the policy for slow readers are the same few lines.
package ring

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// Limits of what a ring keeps. It holds the last two groups (a start item and what follows it), or Span if that is more,
// but never more than Bytes or Items; only the newest item is held whatever its size.
type Limits struct {
	Bytes int           // sum of the sizes given to Push
	Items int           // at most 1<<20; more is cut to that
	Span  time.Duration // of the times given to Push
}

// DefaultLimits suit one media stream: two groups of pictures or two seconds, at most 64 MiB.
var DefaultLimits = Limits{Bytes: 64 << 20, Items: 1 << 14, Span: 2 * time.Second}

const maxItems = 1 << 20

// Ring holds the newest items of a flow. Push and Close belong to one goroutine at a time; everything else is safe for
// concurrent use. Use New.
type Ring[T any] struct {
	limits Limits

	// Readers rely on the order in which Push stores these: the slot, start, head; then, to drop an item, start, tail,
	// the slot. So whoever finds head beyond an item finds its slot filled, or the item dropped and no start before it.
	slots atomic.Pointer[[]atomic.Pointer[entry[T]]] // length is a power of two; replaced by a larger one when full
	start atomic.Uint64                              // newest start item, 0 if none is held
	head  atomic.Uint64                              // sequence number of the next item; the first is 1
	tail  atomic.Uint64                              // oldest item held
	wait  atomic.Pointer[chan struct{}]              // closed and removed by the next Push, if somebody waits
	end   atomic.Pointer[error]

	// the writer's own
	bytes  int
	groups [2]uint64 // the last two start items, held or not; 0 before the first
}

type entry[T any] struct {
	seq  uint64
	item T
	size int
	time time.Duration
}

// New returns an empty ring. Zero limits are replaced by those of DefaultLimits.
func New[T any](l Limits) *Ring[T] {
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	if l.Items <= 0 {
		l.Items = DefaultLimits.Items
	}
	if l.Span <= 0 {
		l.Span = DefaultLimits.Span
	}
	l.Items = min(l.Items, maxItems)
	r := &Ring[T]{limits: l}
	s := make([]atomic.Pointer[entry[T]], 64)
	r.slots.Store(&s)
	r.head.Store(1)
	r.tail.Store(1)
	return r
}

// Push appends an item of the given size in bytes at time t. Readers may start at it if start is true. It never blocks,
// and does nothing after Close.
func (r *Ring[T]) Push(item T, size int, start bool, t time.Duration) {
	if r.end.Load() != nil {
		return
	}
	seq := r.head.Load()
	slots := *r.slots.Load()
	if seq-r.tail.Load() >= uint64(len(slots)) {
		slots = r.grow(slots, seq)
	}
	slots[seq&uint64(len(slots)-1)].Store(&entry[T]{seq, item, size, t})
	r.bytes += size
	if start {
		r.groups[0], r.groups[1] = r.groups[1], seq
		r.start.Store(seq)
	}
	r.head.Store(seq + 1)
	r.trim(slots, seq, t)
	r.wake()
}

// grow replaces the slots by twice as many. Old slots stay readable for readers that still look at them.
func (r *Ring[T]) grow(old []atomic.Pointer[entry[T]], head uint64) []atomic.Pointer[entry[T]] {
	s := make([]atomic.Pointer[entry[T]], 2*len(old))
	for q := r.tail.Load(); q < head; q++ {
		s[q&uint64(len(s)-1)].Store(old[q&uint64(len(old)-1)].Load())
	}
	r.slots.Store(&s)
	return s
}

// trim drops the oldest items that the limits do not keep.
func (r *Ring[T]) trim(slots []atomic.Pointer[entry[T]], newest uint64, now time.Duration) {
	keep := newest // items from here on belong to the last two groups
	for _, start := range r.groups {
		if start != 0 {
			keep = start
			break
		}
	}
	mask := uint64(len(slots) - 1)
	old := r.tail.Load()
	tail := old
	for ; tail < newest; tail++ {
		e := slots[tail&mask].Load()
		over := r.bytes > r.limits.Bytes || newest-tail >= uint64(r.limits.Items)
		if !over && (tail >= keep || now-e.time <= r.limits.Span) {
			break
		}
		r.bytes -= e.size
	}
	if tail == old {
		return
	}
	if r.groups[1] < tail {
		r.start.Store(0)
	}
	r.tail.Store(tail)
	for q := old; q < tail; q++ {
		slots[q&mask].Store(nil)
	}
}

// wake ends the waiting of all readers. What they wait for must stand before.
func (r *Ring[T]) wake() {
	if r.wait.Load() == nil {
		return // who comes now looks again after its channel stands
	}
	if ch := r.wait.Swap(nil); ch != nil {
		close(*ch)
	}
}

// Close ends the flow: readers get the items that are left, then err (nil stands for io.EOF). The first call counts.
func (r *Ring[T]) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	r.end.CompareAndSwap(nil, &err)
	r.wake()
}

// Bytes returns the sum of sizes held. Only for the writer.
func (r *Ring[T]) Bytes() int { return r.bytes }

// Reader returns a cursor that stands at the newest start item, or waits for the next one.
func (r *Ring[T]) Reader() *Reader[T] {
	c := &Reader[T]{ring: r}
	c.seek()
	return c
}

// A Reader is one cursor in a ring. It belongs to one goroutine.
type Reader[T any] struct {
	ring    *Ring[T]
	next    uint64
	synced  bool
	skips   uint64
	skipped bool
}

// seek moves to the newest start item, or behind everything if there is none. It never moves backwards, see Ring.
func (c *Reader[T]) seek() {
	head := c.ring.head.Load() // before start, so that no start between the two is missed
	if s := c.ring.start.Load(); s != 0 {
		c.next, c.synced = s, true
		return
	}
	c.next, c.synced = head, false
}

// Try returns the next item if there is one.
func (c *Reader[T]) Try() (item T, ok bool) {
	r := c.ring
	for {
		if !c.synced {
			s := r.start.Load()
			if s == 0 || s < c.next {
				return item, false
			}
			c.next, c.synced = s, true
		}
		if c.next >= r.head.Load() {
			return item, false
		}
		slots := *r.slots.Load() // after head, so that they hold the item unless it was dropped
		e := slots[c.next&uint64(len(slots)-1)].Load()
		if e != nil && e.seq == c.next {
			c.next++
			return e.item, true
		}
		c.skips++
		c.skipped = true
		c.seek()
	}
}

// Next returns the next item and waits for it if need be. After Close it returns what is left, then the error of Close;
// when ctx ends, its cause, even if there are items.
func (c *Reader[T]) Next(ctx context.Context) (T, error) {
	for {
		if ctx.Err() != nil {
			var zero T
			return zero, context.Cause(ctx)
		}
		if item, ok := c.Try(); ok {
			return item, nil
		}
		if err := c.Wait(ctx); err != nil {
			var zero T
			return zero, err
		}
	}
}

// Wait returns when Try may have something: nil then, the error of Close at the end of the flow, or the cause of ctx.
func (c *Reader[T]) Wait(ctx context.Context) error {
	ch, err := c.ready()
	if ch == nil {
		return err
	}
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// C returns a channel that is closed when Try may have something. It may be closed already; fetch it anew each time. At
// the end of the flow it is always closed: when Try has nothing then, Wait returns why.
func (c *Reader[T]) C() <-chan struct{} {
	ch, _ := c.ready()
	if ch == nil {
		ch = closed
	}
	return ch
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// ready returns a channel to wait on, or nil if there is something to read or (with an error) the flow has ended.
func (c *Reader[T]) ready() (chan struct{}, error) {
	if c.available() {
		return nil, nil
	}
	r := c.ring
	ch := r.wait.Load()
	for ch == nil {
		n := make(chan struct{})
		if r.wait.CompareAndSwap(nil, &n) {
			ch = &n
		} else {
			ch = r.wait.Load()
		}
	}
	// Look again after the channel stands: what the writer pushed before did not see it. The end is loaded first,
	// because nothing is pushed after it.
	end := r.end.Load()
	if c.available() {
		return nil, nil
	}
	if end != nil {
		return nil, *end
	}
	return *ch, nil
}

func (c *Reader[T]) available() bool {
	if !c.synced {
		s := c.ring.start.Load()
		return s != 0 && s >= c.next
	}
	return c.next < c.ring.head.Load()
}

// Skipped reports whether items were skipped since the last call, because the writer overtook the reader.
func (c *Reader[T]) Skipped() bool {
	s := c.skipped
	c.skipped = false
	return s
}

// Skips counts how often the writer overtook this reader.
func (c *Reader[T]) Skips() uint64 { return c.skips }

// Lag is the number of items between this reader and the newest; 0 while it waits for a start item.
func (c *Reader[T]) Lag() int {
	if !c.synced {
		return 0
	}
	if h := c.ring.head.Load(); h > c.next {
		return int(h - c.next)
	}
	return 0
}
