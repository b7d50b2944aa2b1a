package rtsp

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/pion/rtcp"
)

func TestOpening(t *testing.T) {
	t.Parallel()
	video, audio := new(description.Media), new(description.Media)
	for _, test := range []struct {
		it   string
		do   func(o *opening)
		want []int // packets that are through
	}{
		{"it holds packets while a report is missing", func(o *opening) { o.report(video, &rtcp.SenderReport{}) }, nil},
		{"it lets them through with the last report", func(o *opening) {
			o.report(video, &rtcp.SenderReport{})
			o.report(audio, &rtcp.SenderReport{})
		}, []int{1, 2}},
		{"it waits for sender reports only", func(o *opening) {
			o.report(video, &rtcp.ReceiverReport{})
			o.report(audio, &rtcp.ReceiverReport{})
		}, nil},
		{"it does not wait for ever", func(o *opening) {
			time.Sleep(openingTime) // the bubble's clock
			synctest.Wait()
		}, []int{1, 2}},
		{"it lets them through at the end", func(o *opening) { o.finish() }, []int{1, 2}},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOpening([]*description.Media{video, audio})
				var got []int
				o.packet(func() { got = append(got, 1) })
				o.packet(func() { got = append(got, 2) })
				test.do(o)
				o.mu.Lock()
				if !slices.Equal(got, test.want) {
					t.Errorf("got %v; want %v", got, test.want)
				}
				o.mu.Unlock()
				o.finish()
				o.packet(func() { got = append(got, 3) })
				if want := []int{1, 2, 3}; !slices.Equal(got, want) {
					t.Errorf("got %v; want %v", got, want)
				}
			})
		})
	}
	t.Run("it holds no more than it may", func(t *testing.T) {
		t.Parallel()
		o, n := newOpening([]*description.Media{video}), 0
		for range maxOpening {
			o.packet(func() { n++ })
		}
		if n != maxOpening {
			t.Errorf("got %d packets through; want %d", n, maxOpening)
		}
	})
}
