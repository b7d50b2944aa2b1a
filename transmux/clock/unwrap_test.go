package clock_test

import (
	"fmt"
	"math"
	"math/rand"
	"testing"
	"time"

	"weir/transmux/clock"
)

func TestUnwrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		u    clock.Unwrapper
		in   []uint64
		want []int64
	}{
		{"it takes the first value as it is", clock.Unwrap32(), []uint64{1<<32 - 1}, []int64{1<<32 - 1}},
		{"it goes on over the wrap of 32 bits", clock.Unwrap32(), []uint64{1<<32 - 2, 1, 1<<32 - 1, 5}, []int64{1<<32 - 2, 1<<32 + 1, 1<<32 - 1, 1<<32 + 5}},
		{"it goes on over the wrap of 33 bits", clock.Unwrap33(), []uint64{1<<33 - 3600, 0, 1<<33 - 1800, 3600}, []int64{1<<33 - 3600, 1 << 33, 1<<33 - 1800, 1<<33 + 3600}},
		{"it goes below zero", clock.Unwrap32(), []uint64{0, 1<<32 - 1}, []int64{0, -1}},
		{"it counts low bits only", clock.Unwrap32(), []uint64{1<<40 + 7, 1<<50 + 8}, []int64{7, 8}},
		{"it follows a step of nearly half the range", clock.Unwrap32(), []uint64{0, 1<<31 - 1, 1<<32 - 2, 1<<31 - 3}, []int64{0, 1<<31 - 1, 1<<32 - 2, 1<<32 + 1<<31 - 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for i, v := range c.in {
				if got := c.u.Unwrap(v); got != c.want[i] {
					t.Errorf("value %d: got %d; want %d", i, got, c.want[i])
				}
			}
		})
	}
}

func FuzzUnwrapper(f *testing.F) {
	f.Add(uint64(0), uint64(1<<32-1), uint64(1<<31), uint64(5))
	f.Add(uint64(1<<33-1), uint64(0), uint64(1<<32), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, a, b, c, d uint64) {
		for bits, u := range map[int]clock.Unwrapper{32: clock.Unwrap32(), 33: clock.Unwrap33()} {
			size := int64(1) << bits
			last := int64(a) & (size - 1)
			for i, v := range []uint64{a, b, c, d, a, c, b} {
				got := u.Unwrap(v)
				if (got-int64(v))&(size-1) != 0 {
					t.Fatalf("%d bits, value %d: got %d for %d; want the same low bits", bits, i, got, v)
				}
				if step := got - last; step < -size/2 || step >= size/2 {
					t.Fatalf("%d bits, value %d: got a step of %d; want less than half the range", bits, i, step)
				}
				last = got
			}
		}
	})
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n    int64
		rate int
		want time.Duration
	}{
		{90000, 90000, time.Second}, {1, 90000, 11111}, {2, 90000, 22222}, {5, 90000, 55556}, {-1, 90000, -11111}, {-90001, 90000, -time.Second - 11111},
		{1 << 33, 90000, 95443717688889}, {1001, 30000, 33366667}, {7, 0, 0}, {7, -1, 0}, {1 << 62, 1000000000, 1 << 62},
	} {
		t.Run(fmt.Sprintf("it converts %d ticks of %d Hz", c.n, c.rate), func(t *testing.T) {
			t.Parallel()
			if got := clock.Ticks(c.n, c.rate); got != c.want {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
	if got := clock.ToTicks(time.Hour, 0); got != 0 {
		t.Errorf("got %d ticks of no clock; want 0", got)
	}
}

func TestTicksComeBack(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewSource(1))
	for _, rate := range []int{1, 1000, 8000, 11025, 22050, 44100, 48000, 90000, 96000, 192000, 27000000, 500000000} {
		for range 2000 {
			n := rnd.Int63n(min(int64(rate)*1e9, math.MaxInt64>>1)) - int64(rate)
			if got := clock.ToTicks(clock.Ticks(n, rate), rate); got != n {
				t.Fatalf("rate %d: got %d; want %d", rate, got, n)
			}
		}
	}
}
