package rtmp

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

func TestSlowPlayer(t *testing.T) {
	t.Parallel()
	t.Run("it ends a player that takes nothing, and disturbs nobody", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(ring.Limits{})
			defer d.revoke(nil)
			w := d.stream.NewWriter()
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			slow, good := d.join(t), d.join(t)
			slow.play(1)
			good.play(1)
			slow.take()
			good.take()
			proceed := slow.stop()
			defer proceed()
			begun := time.Now()
			for i := 1; ; i++ {
				ms := time.Duration(40*i) * time.Millisecond
				if err := w.Write(transmux.AccessUnit{Track: h264, DTS: ms, PTS: ms, Data: make([]byte, 5000), Arrived: time.Now()}); err != nil {
					t.Fatal(err)
				}
				if got := good.take(); len(got) != 1 {
					t.Fatalf("after %v: the other got %d messages; want 1", time.Since(begun), len(got))
				}
				select {
				case err := <-slow.done:
					if !errors.Is(err, wire.ErrSlow) {
						t.Errorf("got %v; want %v", err, wire.ErrSlow)
					}
					if took := time.Since(begun); took < 10*time.Second || took > 12*time.Second {
						t.Errorf("got it after %v; want 10s", took)
					}
					if len(d.ends) != 1 || !errors.Is(d.ends[0], wire.ErrSlow) {
						t.Errorf("got ends %v; want %v once", d.ends, wire.ErrSlow)
					}
					good.leave()
					return
				default:
					time.Sleep(40 * time.Millisecond) // on the test's clock
				}
			}
		})
	})
}
