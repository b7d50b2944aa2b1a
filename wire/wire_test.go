package wire_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/wire"
)

func TestGrant(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	for _, c := range []struct {
		name      string
		err, want error
	}{
		{"it ends with the cause", lost, lost},
		{"it ends with io.EOF for a goodbye", nil, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			var ended []error
			g := wire.NewGrant(ctx, func(err error) { ended = append(ended, err) })
			if g.Meter == nil {
				t.Error("got no meter; want one")
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { g.End(c.err) })
			}
			wg.Wait()
			g.End(errors.New("again"))
			if len(ended) != 1 || ended[0] != c.want {
				t.Errorf("got ends %v; want %v once", ended, c.want)
			}
		})
	}
	t.Run("it tells when it is taken back", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		g := wire.NewGrant(ctx, func(error) {})
		if err := g.Cause(); err != nil {
			t.Errorf("got %v while it stands; want nil", err)
		}
		select {
		case <-g.Done():
			t.Error("got it taken back; want it to stand")
		default:
		}
		cancel(wire.ErrDrain)
		<-g.Done()
		if err := g.Cause(); err != wire.ErrDrain {
			t.Errorf("got %v; want %v", err, wire.ErrDrain)
		}
	})
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		r    wire.Refusal
		want string
	}{
		{"it says the error", wire.Refusal{Err: wire.ErrBusy}, "the name is already live"},
		{"it says the reason too", wire.Refusal{Err: wire.ErrNotAllowed, Reason: "abuse report 4711"}, "not allowed: abuse report 4711"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.r.Error(); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
			if !errors.Is(&c.r, c.r.Err) {
				t.Errorf("got %v; want it to wrap %v", &c.r, c.r.Err)
			}
		})
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m wire.Meter
		m.Moved(10, time.Now())
		var seen []time.Duration
		m.Observe(func(d time.Duration) { seen = append(seen, d) })
		m.Moved(0, time.Now().Add(-time.Second)) // of before it joined
		time.Sleep(time.Second)                  // on the test's clock
		m.Moved(5, time.Now().Add(-3*time.Millisecond))
		m.Moved(1, time.Time{})
		m.Skip()
		if bytes, units, skips := m.Totals(); bytes != 16 || units != 4 || skips != 1 {
			t.Errorf("got %d bytes, %d units, %d skips; want 16, 4, 1", bytes, units, skips)
		}
		if len(seen) != 1 || seen[0] != 3*time.Millisecond {
			t.Errorf("got latencies %v; want 3ms once", seen)
		}
	})
}

func BenchmarkMeter(b *testing.B) {
	var m wire.Meter
	m.Observe(func(time.Duration) {})
	arrived := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		m.Moved(4000, arrived)
	}
}
