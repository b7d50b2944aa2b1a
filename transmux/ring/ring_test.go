package ring_test

import (
	"context"
	"errors"
	"io"
	"math/rand"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux/ring"
)

// item describes one Push: the size defaults to 1 byte, the time to 100 ms after the item before.
type item struct {
	start bool
	size  int
	time  time.Duration
}

// fill pushes the numbers from 1 on.
func fill(r *ring.Ring[int], items []item) {
	for i, it := range items {
		if it.time == 0 {
			it.time = time.Duration(i+1) * 100 * time.Millisecond
		}
		r.Push(i+1, max(it.size, 1), it.start, it.time)
	}
}

// rest takes all that is there.
func rest(c *ring.Reader[int]) (got []int) {
	for {
		v, ok := c.Try()
		if !ok {
			return got
		}
		got = append(got, v)
	}
}

// gop is a start item and n-1 others.
func gop(n int) []item { return append([]item{{start: true}}, make([]item, n-1)...) }

func TestWhereReadersStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		limits ring.Limits
		items  []item
		want   []int
	}{
		{"it has nothing at first", ring.Limits{}, nil, nil},
		{"it waits for a start item", ring.Limits{}, make([]item, 5), nil},
		{"it starts at the only start item", ring.Limits{}, slices.Concat(make([]item, 2), gop(3)), []int{3, 4, 5}},
		{"it starts at the newest start item", ring.Limits{}, slices.Concat(gop(3), gop(3), gop(2)), []int{7, 8}},
		{"it starts at the newest item if all are starts", ring.Limits{}, slices.Concat(gop(1), gop(1), gop(1)), []int{3}},
		{"it waits when the group outgrew the bytes", ring.Limits{Bytes: 3}, gop(4), nil},
		{"it waits when the group outgrew the items", ring.Limits{Items: 3}, gop(4), nil},
		{"it holds a group within the bytes", ring.Limits{Bytes: 3}, gop(3), []int{1, 2, 3}},
		{"it holds a group within the items", ring.Limits{Items: 3}, gop(3), []int{1, 2, 3}},
		{"it holds the newest item whatever its size", ring.Limits{Bytes: 3}, []item{{start: true}, {start: true, size: 100}}, []int{2}},
		{"it holds a long group whatever its span", ring.Limits{Span: time.Second}, gop(1000), seq(1, 1000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := ring.New[int](c.limits)
			fill(r, c.items)
			if got := rest(r.Reader()); !slices.Equal(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

func seq(a, b int) (s []int) {
	for ; a <= b; a++ {
		s = append(s, a)
	}
	return s
}

func TestWhatIsHeld(t *testing.T) {
	t.Parallel()
	many := func(n int, g []item) (all []item) {
		for range n {
			all = append(all, g...)
		}
		return all
	}
	for _, c := range []struct {
		name   string
		limits ring.Limits
		items  []item
		want   int // bytes held, which are items
	}{
		{"it holds the last two groups", ring.Limits{Span: time.Second}, many(10, gop(50)), 100},
		{"it holds the span if that is more", ring.Limits{Span: 20 * time.Second}, many(100, gop(5)), 201},
		{"it holds the span if every item is a start", ring.Limits{Span: 2 * time.Second}, many(1000, gop(1)), 21},
		{"it holds the span if no item is a start", ring.Limits{Span: 2 * time.Second}, make([]item, 1000), 21},
		{"it holds the only group and the span before", ring.Limits{Span: 2 * time.Second}, append(make([]item, 1000), gop(5)...), 21},
		{"it holds no more than the items", ring.Limits{Items: 70}, many(10, gop(50)), 70},
		{"it holds no more than the bytes", ring.Limits{Bytes: 70}, many(10, gop(50)), 70},
		{"it holds 16384 items unless told otherwise", ring.Limits{}, many(1, gop(40000)), 16384},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := ring.New[int](c.limits)
			fill(r, c.items)
			if got := r.Bytes(); got != c.want {
				t.Errorf("got %d; want %d", got, c.want)
			}
		})
	}
}

func TestOvertakenReaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		read      int // items read before the writer goes on
		items     []item
		want      []int
		wantSkips uint64
	}{
		{"it goes on where it was", 2, gop(8)[1:], seq(3, 10), 0},
		{"it resumes at the newest start item", 1, slices.Concat(gop(5), gop(5), gop(5)), seq(14, 18), 1},
		{"it waits if no start item is left", 1, make([]item, 40), nil, 1},
		{"it resumes once however often the ring went round", 1, slices.Concat(gop(500), gop(3)), seq(504, 506), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := ring.New[int](ring.Limits{Items: 12, Span: time.Millisecond})
			n := 0
			push := func(items []item) {
				for _, it := range items {
					n++
					r.Push(n, 1, it.start, time.Duration(n)*time.Second)
				}
			}
			push(gop(3))
			rd := r.Reader()
			for range c.read {
				rd.Try()
			}
			push(c.items)
			if got := rest(rd); !slices.Equal(got, c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
			if got := rd.Skips(); got != c.wantSkips {
				t.Errorf("got %d skips; want %d", got, c.wantSkips)
			}
			if got, want := rd.Skipped(), c.wantSkips > 0; got != want {
				t.Errorf("got skipped %v; want %v", got, want)
			}
			if rd.Skipped() {
				t.Error("got skipped twice; want it told once")
			}
			if rd.Lag() != 0 {
				t.Errorf("got lag %d; want 0", rd.Lag())
			}
			push(gop(1))
			if got := rest(rd); !slices.Equal(got, []int{n}) {
				t.Errorf("got %v after the next start item; want %d", got, n)
			}
		})
	}
}

func TestLag(t *testing.T) {
	t.Parallel()
	r := ring.New[int](ring.Limits{})
	early := r.Reader()
	fill(r, make([]item, 3))
	if got := early.Lag(); got != 0 {
		t.Errorf("got %d before a start item; want 0", got)
	}
	fill(r, gop(4))
	early.Try()
	if got := early.Lag(); got != 3 {
		t.Errorf("got %d; want 3", got)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, c := range []struct {
		name      string
		err, want error
	}{
		{"it ends with the error", gone, gone},
		{"it ends with io.EOF for nil", nil, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := ring.New[int](ring.Limits{})
			idle := r.Reader()
			fill(r, gop(2))
			rd := r.Reader()
			r.Close(c.err)
			r.Close(errors.New("again"))
			r.Push(9, 1, true, 0)
			for _, want := range []int{1, 2} {
				if got, err := rd.Next(t.Context()); got != want || err != nil {
					t.Errorf("got %d, %v; want %d", got, err, want)
				}
			}
			for range 2 {
				if _, err := rd.Next(t.Context()); err != c.want {
					t.Errorf("got %v; want %v", err, c.want)
				}
			}
			if err := rd.Wait(t.Context()); err != c.want {
				t.Errorf("got %v; want %v", err, c.want)
			}
			<-rd.C()
			if got := rest(idle); !slices.Equal(got, []int{1, 2}) {
				t.Errorf("got %v for a reader that was late; want what is left", got)
			}
		})
	}
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	for _, c := range []struct {
		name string
		act  func(r *ring.Ring[int], cancel context.CancelCauseFunc)
		want error
	}{
		{"it wakes at a start item", func(r *ring.Ring[int], _ context.CancelCauseFunc) { fill(r, gop(1)) }, nil},
		{"it wakes at the end", func(r *ring.Ring[int], _ context.CancelCauseFunc) { r.Close(io.ErrUnexpectedEOF) }, io.ErrUnexpectedEOF},
		{"it wakes with the cause of the context", func(_ *ring.Ring[int], cancel context.CancelCauseFunc) { cancel(stop) }, stop},
		{"it sleeps over items that are no start", func(r *ring.Ring[int], cancel context.CancelCauseFunc) {
			fill(r, make([]item, 3))
			synctest.Wait()
			cancel(stop)
		}, stop},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				r := ring.New[int](ring.Limits{})
				const readers = 3
				errs := make(chan error, readers)
				for range readers {
					go func() {
						_, err := r.Reader().Next(ctx)
						errs <- err
					}()
				}
				synctest.Wait() // all wait
				if len(errs) != 0 {
					t.Fatalf("got %v before anything happened; want readers to wait", <-errs)
				}
				c.act(r, cancel)
				synctest.Wait()
				if len(errs) != readers {
					t.Fatalf("got %d of %d readers awake", len(errs), readers)
				}
				for range readers {
					if err := <-errs; err != c.want {
						t.Errorf("got %v; want %v", err, c.want)
					}
				}
			})
		})
	}
}

func TestNextPrefersTheEndOfItsContext(t *testing.T) {
	t.Parallel()
	r := ring.New[int](ring.Limits{})
	fill(r, gop(3))
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if v, err := r.Reader().Next(ctx); err != stop {
		t.Errorf("got %d, %v; want %v", v, err, stop)
	}
}

// model is the ring as its documentation tells it, in the simplest form.
type model struct {
	limits ring.Limits
	items  []modelItem
	starts []int // all that were ever pushed
}

type modelItem struct {
	v, size int
	start   bool
	time    time.Duration
}

func (m *model) push(it modelItem) {
	m.items = append(m.items, it)
	if it.start {
		m.starts = append(m.starts, it.v)
	}
	for len(m.items) > 1 {
		first, bytes := m.items[0], 0
		for _, o := range m.items {
			bytes += o.size
		}
		fits := bytes <= m.limits.Bytes && len(m.items) <= m.limits.Items
		grouped := len(m.starts) > 0 && first.v >= m.starts[max(len(m.starts)-2, 0)]
		if fits && (grouped || it.time-first.time <= m.limits.Span) {
			return
		}
		m.items = m.items[1:]
	}
}

// tail is what a new reader gets.
func (m *model) tail() (vs []int) {
	for i, it := range slices.Backward(m.items) {
		if it.start {
			for _, o := range m.items[i:] {
				vs = append(vs, o.v)
			}
			return vs
		}
	}
	return nil
}

func TestRandomRingsAreAsTheModel(t *testing.T) {
	t.Parallel()
	for seed := range int64(300) {
		rnd := rand.New(rand.NewSource(seed))
		limits := ring.Limits{Bytes: 1 + rnd.Intn(3000), Items: 1 + rnd.Intn(300), Span: time.Duration(1+rnd.Intn(200)) * time.Millisecond}
		r, m := ring.New[int](limits), model{limits: limits}
		every := 1 + rnd.Intn(100)
		now := time.Duration(0)
		for v := range 1000 {
			now += time.Duration(rnd.Intn(20)-2) * time.Millisecond
			it := modelItem{v, rnd.Intn(30), rnd.Intn(every) == 0, now}
			r.Push(it.v, it.size, it.start, it.time)
			m.push(it)
			if v%7 == 0 {
				if got, want := rest(r.Reader()), m.tail(); !slices.Equal(got, want) {
					t.Fatalf("seed %d, item %d, %+v: got %v; want %v", seed, v, limits, got, want)
				}
			}
		}
	}
}
