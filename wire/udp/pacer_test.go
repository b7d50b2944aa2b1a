package udp

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPacer(t *testing.T) {
	t.Parallel()
	type call struct {
		at time.Duration
		n  int
	}
	for _, tt := range []struct {
		it    string
		stall time.Duration // of the first system call
		want  []call
	}{
		{"sends each datagram at its time", 0, []call{{0, 1}, {10 * time.Millisecond, 1}, {20 * time.Millisecond, 1}, {30 * time.Millisecond, 1}}},
		{"gathers what is late, and is on time again", 25 * time.Millisecond, []call{{25 * time.Millisecond, 1}, {25 * time.Millisecond, 2}, {30 * time.Millisecond, 1}}},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var got []call
				p := NewPacer(func(d ...[]byte) error {
					if len(got) == 0 {
						time.Sleep(tt.stall)
					}
					got = append(got, call{time.Since(begin), len(d)})
					return nil
				})
				for i := range 4 {
					due := begin.Add(time.Duration(i) * 10 * time.Millisecond)
					if ok, err := p.Wait(t.Context(), due, nil); !ok || err != nil {
						t.Fatalf("got %v, %v; want true", ok, err)
					}
					if err := p.Send(due, []byte{byte(i)}); err != nil {
						t.Fatal(err)
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got %v; want %v", got, tt.want)
				}
			})
		})
	}
}

func TestPacerIsWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(func(...[]byte) error { return nil })
		wake := make(chan struct{})
		close(wake)
		if ok, err := p.Wait(t.Context(), time.Now().Add(time.Hour), wake); ok || err != nil {
			t.Errorf("got %v, %v; want false", ok, err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		cancel(why)
		if _, err := p.Wait(ctx, time.Now().Add(time.Hour), nil); !errors.Is(err, why) {
			t.Errorf("got %v; want %v", err, why)
		}
		if err := p.Send(time.Now().Add(-time.Second), []byte{1}); err != nil {
			t.Fatal(err)
		}
		if n, worst := p.Late(); n != 1 || worst != time.Second {
			t.Errorf("got %d late, worst %s; want 1, 1s", n, worst)
		}
	})
}
