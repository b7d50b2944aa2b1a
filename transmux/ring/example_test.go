package ring_test

import (
	"context"
	"fmt"
	"io"
	"time"

	"weir/transmux/ring"
)

func ExampleRing() {
	r := ring.New[string](ring.Limits{})
	r.Push("key 1", 100, true, 0)
	r.Push("delta", 10, false, 40*time.Millisecond)
	r.Push("key 2", 100, true, 80*time.Millisecond)
	r.Push("delta", 10, false, 120*time.Millisecond)
	r.Close(io.EOF)
	late := r.Reader()
	for {
		item, err := late.Next(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(item)
	}
	// Output:
	// key 2
	// delta
	// EOF
}

func ExampleReader() {
	r := ring.New[int](ring.Limits{Items: 4, Span: time.Millisecond})
	slow := r.Reader()
	for i := range 10 {
		r.Push(i, 1, i%3 == 0, time.Duration(i)*time.Second)
		if i == 0 {
			v, _ := slow.Try()
			fmt.Println("got", v)
		}
	}
	v, _ := slow.Try()
	fmt.Println("got", v, "skipped", slow.Skipped(), "lag", slow.Lag())
	// Output:
	// got 0
	// got 9 skipped true lag 0
}

func ExampleLimits() {
	r := ring.New[int](ring.Limits{Span: 10 * time.Second}) // ten seconds, or two groups if they are longer
	for i := range 100 {
		r.Push(i, 1, true, time.Duration(i)*time.Second)
	}
	fmt.Println(r.Bytes())
	// Output: 11
}
