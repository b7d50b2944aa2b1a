package stdin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
)

// sink notes when units came.
type sink struct{ at []time.Time }

func (s *sink) SetTracks([]*transmux.Track) {}

func (s *sink) Write(transmux.AccessUnit) error {
	s.at = append(s.at, time.Now())
	return nil
}

func TestPaced(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it    string
		dts   []time.Duration
		pause time.Duration // before each unit, as a live origin makes
		want  time.Duration // until the last unit is through
	}{
		{it: "lets a second through at once", dts: seconds(0, .5, 1), want: 0},
		{it: "holds back what runs further ahead", dts: seconds(0, 1, 2, 3, 4, 5), want: 4 * time.Second},
		{it: "does not hold back what comes in time", dts: seconds(0, 1, 2, 3), pause: time.Second, want: 4 * time.Second},
		{it: "does not wait for a clock that jumps", dts: seconds(0, 3600, 3601, 3602), want: time.Second},
		{it: "does not wait for a clock that jumps back", dts: seconds(3600, 0, 1, 2), want: time.Second},
		{it: "does not catch up after a pause of the origin", dts: seconds(0, .1, .2), pause: 5 * time.Second, want: 15 * time.Second},
	} {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := new(sink)
				p := &paced{Out: s, ctx: t.Context()}
				start := time.Now()
				for _, d := range tt.dts {
					time.Sleep(tt.pause)
					if err := p.Write(transmux.AccessUnit{DTS: d}); err != nil {
						t.Fatal(err)
					}
				}
				if got := time.Since(start); got != tt.want {
					t.Errorf("got %v; want %v", got, tt.want)
				}
			})
		})
	}
}

func TestPacedEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		p := &paced{Out: new(sink), ctx: ctx}
		if err := p.Write(transmux.AccessUnit{}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, func() { cancel(stop) })
		if err := p.Write(transmux.AccessUnit{DTS: 9 * time.Second}); !errors.Is(err, stop) {
			t.Errorf("got %v; want %v", err, stop)
		}
	})
}

func seconds(list ...float64) []time.Duration {
	var out []time.Duration
	for _, s := range list {
		out = append(out, time.Duration(s*float64(time.Second)))
	}
	return out
}
