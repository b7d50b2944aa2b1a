package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// A cost is what one server needed for its players, medians over rounds.
type cost struct {
	Server  string  `json:"server"`
	CPU     float64 `json:"cpu_seconds_per_gbit"`
	ToFloor float64 `json:"to_floor"`
	ToNginx float64 `json:"to_nginx"`
	Memory  float64 `json:"kb_per_player"` // resident, without the kernel's socket buffers
}

// A delay is how long media take from one socket to another.
type delay struct {
	Path   string  `json:"path"`
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
	Added  float64 `json:"added_median_ms"` // to the way without weir; for others than RTMP that is RTMP's
	Units  int     `json:"units"`
}

// A waiting is how long a player waits for its first picture.
type waiting struct {
	What   string  `json:"what"`
	Median float64 `json:"median_ms"`
	Max    float64 `json:"max_ms"`
	Goal   string  `json:"goal"`
}

// print writes a table for each part.
func (r *report) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 2, 8, 2, ' ', 0)
	if len(r.Fanout) > 0 {
		fmt.Fprintf(w, "One publisher to %d players of 2.5 Mbit/s:\n\n", r.Players)
		fmt.Fprintln(w, "server\tCPU s/Gbit\tto the floor\tto nginx-rtmp\tkB a player")
		for _, c := range r.Fanout {
			fmt.Fprintf(w, "%s\t%.3f\t%.2f\t%.2f\t%.0f\n", c.Server, c.CPU, c.ToFloor, c.ToNginx, c.Memory)
		}
		fmt.Fprintln(w)
	}
	if len(r.Latency) > 0 {
		fmt.Fprint(w, "Latency of pictures on loopback, both ends included:\n\n")
		fmt.Fprintln(w, "way\tmedian ms\tp99 ms\tadded ms\tgoal")
		for _, d := range r.Latency {
			goal := "added < 2 ms"
			if d.Added == 0 {
				goal = ""
			}
			fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.3f\t%s\n", d.Path, d.Median, d.P99, d.Added, goal)
		}
		fmt.Fprintln(w)
	}
	if len(r.Start) > 0 {
		fmt.Fprint(w, "To the first picture:\n\n")
		fmt.Fprintln(w, "player\tmedian ms\tmax ms\tgoal")
		for _, s := range r.Start {
			fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%s\n", s.What, s.Median, s.Max, s.Goal)
		}
	}
	return w.Flush()
}

// median of v, which may be empty.
func median(v []float64) float64 { return quantile(v, 0.5) }

func quantile(v []float64, q float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return v[min(int(float64(len(v))*q), len(v)-1)]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
