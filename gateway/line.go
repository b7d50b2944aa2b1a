package gateway

import (
	"slices"
	"sync"
)

// A line is who wants destinations that only one can have. The first to ask owns one; the others wait and take over in
// the order they came. Safe for concurrent use.
type line[K, W comparable] struct {
	mu      sync.Mutex
	waiting map[K][]*claim[K, W]
}

// A claim is a place in a line.
type claim[K, W comparable] struct {
	line *line[K, W]
	key  K
	who  W
	own  func() // called without a lock when who becomes the owner
}

func newLine[K, W comparable]() *line[K, W] {
	return &line[K, W]{waiting: make(map[K][]*claim[K, W])}
}

// join asks for key. mine tells whether who owns it now; if not, own is called when it does. The claim must be left.
func (l *line[K, W]) join(key K, who W, own func()) (c *claim[K, W], mine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c = &claim[K, W]{l, key, who, own}
	l.waiting[key] = append(l.waiting[key], c)
	return c, len(l.waiting[key]) == 1
}

// leave gives the destination up, or stops waiting for it; the next in line takes over. It does nothing the second time.
func (c *claim[K, W]) leave() {
	l := c.line
	l.mu.Lock()
	q := l.waiting[c.key]
	i := slices.Index(q, c)
	var own func()
	if i >= 0 {
		q = slices.Delete(q, i, i+1)
		l.waiting[c.key] = q
		switch {
		case len(q) == 0:
			delete(l.waiting, c.key)
		case i == 0:
			own = q[0].own
		}
	}
	l.mu.Unlock()
	if own != nil {
		own()
	}
}

// owner is who has key.
func (l *line[K, W]) owner(key K) (who W, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q := l.waiting[key]; len(q) > 0 {
		return q[0].who, true
	}
	return who, false
}

// waiters counts those who wait for something that another has.
func (l *line[K, W]) waiters() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, q := range l.waiting {
		n += len(q) - 1
	}
	return n
}
