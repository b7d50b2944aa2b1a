package ring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/transmux/ring"
)

// tagged says of itself whether a reader may start there.
type tagged struct {
	n     int
	start bool
}

// TestReadersAndWriterAtOnce has readers of all tempers beside a writer that makes the ring grow, trim and lose its
// starts. What a reader gets must go on without a hole, or leap forward to a start item and say so, up to the end.
func TestReadersAndWriterAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		limits ring.Limits
		every  int // a start item on average
	}{
		{"it holds much", ring.Limits{}, 100},
		{"it holds little", ring.Limits{Items: 5, Span: time.Nanosecond}, 3},
		{"it loses its starts", ring.Limits{Bytes: 2000, Span: time.Nanosecond}, 60},
		{"it has starts only", ring.Limits{Span: 50}, 1},
		{"it drops much at once", ring.Limits{Bytes: 20000, Span: time.Nanosecond}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const readers, items = 24, 20000
			r := ring.New[tagged](c.limits)
			var wg sync.WaitGroup
			for i := range readers {
				wg.Go(func() {
					rnd := rand.New(rand.NewSource(int64(i)))
					var err error
					for err == nil {
						err = follow(t, r.Reader(), rnd, i%4 == 3)
					}
					if !errors.Is(err, io.EOF) {
						t.Error(err)
					}
				})
			}
			rnd := rand.New(rand.NewSource(99))
			for n := 1; n <= items; n++ {
				start := rnd.Intn(c.every) == 0
				size := rnd.Intn(100)
				if rnd.Intn(500) == 0 {
					size = 15000
				}
				r.Push(tagged{n, start}, size, start, time.Duration(n))
				if rnd.Intn(20) == 0 {
					runtime.Gosched()
				}
			}
			r.Close(nil)
			wg.Wait()
		})
	}
}

// follow reads until the end, or leaves early with nil now and then if fickle.
func follow(t *testing.T, rd *ring.Reader[tagged], rnd *rand.Rand, fickle bool) error {
	last := tagged{}
	skips := uint64(0)
	for {
		v, err := rd.Next(t.Context())
		if err != nil {
			return err
		}
		skipped := rd.Skipped()
		switch {
		case v.n <= last.n:
			return errors.New("went back")
		case v.n != last.n+1 && !v.start:
			return errors.New("resumed at an item that is no start")
		case v.n != last.n+1 && last.n != 0 && !skipped:
			return errors.New("left out items and did not tell")
		case skipped && rd.Skips() == skips:
			return errors.New("told a skip and did not count it")
		}
		last, skips = v, rd.Skips()
		switch rnd.Intn(200) {
		case 0:
			for range rnd.Intn(300) {
				runtime.Gosched()
			}
		case 1:
			if fickle {
				return nil
			}
		}
	}
}

// TestNoWakeUpIsLost plays ping-pong: each item is pushed only after all readers have got the one before, so a single
// lost wake-up stops the game.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	const readers, items = 4, 5000
	r := ring.New[int](ring.Limits{})
	got := make(chan int)
	var wg sync.WaitGroup
	for i := range readers {
		rd := r.Reader()
		wg.Go(func() {
			for {
				v, ok := rd.Try()
				if !ok {
					if i%2 == 0 {
						<-rd.C()
					} else if rd.Wait(t.Context()) != nil {
						return
					}
					if v, ok = rd.Try(); !ok {
						if err := rd.Wait(t.Context()); err != nil {
							return
						}
						continue
					}
				}
				got <- v
			}
		})
	}
	for n := range items {
		r.Push(n, 1, n%10 == 0, time.Duration(n))
		for range readers {
			select {
			case v := <-got:
				if v != n {
					t.Errorf("got %d; want %d", v, n)
				}
			case <-t.Context().Done():
				t.Fatal("the test was stopped; want no lost wake-up")
			}
		}
	}
	r.Close(nil)
	wg.Wait()
}

// TestMemoryIsNotHeld checks that neither the ring nor a reader that sleeps keeps items alive that were dropped.
func TestMemoryIsNotHeld(t *testing.T) {
	t.Parallel()
	r := ring.New[*[]byte](ring.Limits{Items: 8})
	sleeper := r.Reader()
	var mu sync.Mutex
	freed := 0
	const items = 500
	for n := range items {
		b := make([]byte, 1000)
		runtime.AddCleanup(&b, func(int) { mu.Lock(); freed++; mu.Unlock() }, 0)
		r.Push(&b, len(b), n%4 == 0, time.Duration(n))
		if n == 0 {
			sleeper.Try()
		}
	}
	for range 100 {
		runtime.GC()
		mu.Lock()
		done := freed >= items-8
		mu.Unlock()
		if done {
			runtime.KeepAlive(sleeper)
			runtime.KeepAlive(r)
			return
		}
		runtime.Gosched()
	}
	t.Errorf("got %d items freed; want %d", freed, items-8)
}

// BenchmarkPush measures one item from Push until all readers, who wait for it, have got it.
func BenchmarkPush(b *testing.B) {
	for _, readers := range []int{0, 1, 100, 500} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			r := ring.New[*tagged](ring.Limits{Bytes: 1 << 20})
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			var left atomic.Int64
			all := make(chan struct{}, 1)
			for range readers {
				rd := r.Reader()
				wg.Go(func() {
					for {
						if _, err := rd.Next(ctx); err != nil {
							return
						}
						if left.Add(-1) == 0 {
							all <- struct{}{}
						}
					}
				})
			}
			item := &tagged{}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				left.Store(int64(readers))
				r.Push(item, 4000, n%50 == 0, time.Duration(n)*40*time.Millisecond)
				if readers > 0 {
					<-all
				}
				n++
			}
			b.StopTimer()
			cancel()
			wg.Wait()
		})
	}
}

func BenchmarkPushAndTry(b *testing.B) {
	r := ring.New[*tagged](ring.Limits{})
	rd := r.Reader()
	item := &tagged{}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		r.Push(item, 4000, n%50 == 0, time.Duration(n)*40*time.Millisecond)
		rd.Try()
	}
}
