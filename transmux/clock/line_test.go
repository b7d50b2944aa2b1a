package clock_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"weir/transmux/clock"
)

const (
	video, audio, data = 1, 2, 3

	videoStep = 40 * time.Millisecond
	audioStep = 1024 * time.Second / 48000
)

// unit is one unit of an origin: real is where it belongs, dts what the origin says, and out what the line made of it.
type unit struct {
	id             int
	real, dts, pts time.Duration
	arrived        time.Time
	out, outPTS    time.Duration
	gap            bool
}

// flow makes video with B-frames and audio from a to b in order of their real times; audio lags behind by lag in order.
func flow(a, b, lag time.Duration) []unit {
	var us []unit
	for i := time.Duration(0); a+i*videoStep < b; i++ {
		at := a + i*videoStep
		us = append(us, unit{id: video, real: at, dts: at, pts: at + []time.Duration{2, 4, 1, 0}[i%4]*videoStep})
	}
	for i := time.Duration(0); a+i*audioStep < b; i++ {
		at := a + i*audioStep
		us = append(us, unit{id: audio, real: at, dts: at, pts: at})
	}
	behind := func(u unit) time.Duration {
		if u.id == audio {
			return u.real + lag
		}
		return u.real
	}
	slices.SortStableFunc(us, func(a, b unit) int { return cmp.Compare(behind(a), behind(b)) })
	return us
}

// run maps all units and checks what holds for every input.
func run(t *testing.T, l *clock.Line, us []unit) {
	t.Helper()
	last := make(map[int]time.Duration)
	for i := range us {
		u := &us[i]
		u.out, u.outPTS, u.gap = l.Map(u.id, u.dts, u.pts, u.arrived)
		if u.out < last[u.id] {
			t.Fatalf("unit %d of track %d: got DTS %v after %v; want it not to go back", i, u.id, u.out, last[u.id])
		}
		if u.outPTS < u.out {
			t.Fatalf("unit %d of track %d: got PTS %v below DTS %v", i, u.id, u.outPTS, u.out)
		}
		if got, want := u.outPTS-u.out, u.pts-u.dts; u.pts >= u.dts && got > want {
			t.Fatalf("unit %d of track %d: got PTS-DTS %v; want at most %v", i, u.id, got, want)
		}
		last[u.id] = u.out
	}
}

// offset returns by how much out is beyond real in the last unit of a track.
func offset(t *testing.T, us []unit, id int) time.Duration {
	t.Helper()
	for _, u := range slices.Backward(us) {
		if u.id == id {
			return u.out - u.real
		}
	}
	t.Fatalf("no unit of track %d", id)
	return 0
}

func TestLineRepairs(t *testing.T) {
	t.Parallel()
	const at = 10 * time.Second
	// jump adds to the times that an origin tells from at on.
	jump := func(us []unit, ids []int, d time.Duration) {
		for i := range us {
			if us[i].real >= at && slices.Contains(ids, us[i].id) {
				us[i].dts += d
				us[i].pts += d
			}
		}
	}
	both := []int{video, audio}
	var sizes []time.Duration
	for _, d := range []time.Duration{
		20 * time.Millisecond, 300 * time.Millisecond, 459 * time.Millisecond, 480 * time.Millisecond, 499 * time.Millisecond, 500 * time.Millisecond,
		519 * time.Millisecond, 530 * time.Millisecond, 540 * time.Millisecond, 560 * time.Millisecond, 700 * time.Millisecond, time.Second, 1100 * time.Millisecond,
		2 * time.Second, 2950 * time.Millisecond, 2970 * time.Millisecond, 2990 * time.Millisecond, 3 * time.Second, 3010 * time.Millisecond,
		3100 * time.Millisecond, 4 * time.Second, 6 * time.Second, time.Hour, 26 * time.Hour, 50 * 365 * 24 * time.Hour,
	} {
		sizes = append(sizes, d, -d)
	}
	for _, lag := range []time.Duration{0, 300 * time.Millisecond, -300 * time.Millisecond, 900 * time.Millisecond} {
		for _, d := range sizes {
			t.Run(fmt.Sprintf("it keeps A/V together over a common jump of %v when audio lags %v", d, lag), func(t *testing.T) {
				t.Parallel()
				var l clock.Line
				us := flow(0, 20*time.Second, lag)
				jump(us, both, d)
				run(t, &l, us)
				v, a := offset(t, us, video), offset(t, us, audio)
				if v != a {
					t.Errorf("got video %v and audio %v off; want the same", v, a)
				}
				if moved := v - time.Second; moved < -600*time.Millisecond || moved > 3*time.Second+videoStep {
					t.Errorf("got a line that moved by %v; want from 0.6 s held to a hole of 3 s", moved)
				}
			})
		}
	}
	for _, lag := range []time.Duration{0, 300 * time.Millisecond, 900 * time.Millisecond} {
		for _, c := range []struct{ v, a time.Duration }{
			{time.Hour, -time.Hour}, {-time.Hour, 0}, {0, -time.Hour}, {time.Hour, 0}, {0, time.Hour}, {-time.Minute, time.Minute}, {10 * time.Second, 20 * time.Second},
			{-2 * time.Second, 0}, {0, -2 * time.Second},
		} {
			t.Run(fmt.Sprintf("it keeps A/V together when video jumps %v and audio %v and audio lags %v", c.v, c.a, lag), func(t *testing.T) {
				t.Parallel()
				var l clock.Line
				us := flow(0, 20*time.Second, lag)
				jump(us, []int{video}, c.v)
				jump(us, []int{audio}, c.a)
				run(t, &l, us)
				if v, a := offset(t, us, video), offset(t, us, audio); v-a > time.Millisecond || a-v > time.Millisecond {
					t.Errorf("got video %v and audio %v off; want the same to a millisecond", v, a)
				}
				if got := l.Repairs(); got == 0 || got > 2 {
					t.Errorf("got %d repairs; want 1 or 2", got)
				}
			})
		}
	}
}

func TestLineLeavesHealthyClocksAlone(t *testing.T) {
	t.Parallel()
	start := time.Now()
	without := func(us []unit, id int, a, b time.Duration) []unit {
		return slices.DeleteFunc(us, func(u unit) bool { return u.id == id && u.real >= a && u.real < b })
	}
	arrive := func(us []unit, speed float64) []unit {
		for i := range us {
			us[i].arrived = start.Add(time.Duration(float64(us[i].real) / speed))
		}
		return us
	}
	hole := func(us []unit) []unit {
		return without(without(us, video, 5*time.Second, 15*time.Second), audio, 5*time.Second, 15*time.Second)
	}
	for name, us := range map[string][]unit{
		"it passes a plain flow":                               flow(0, 20*time.Second, 0),
		"it passes audio that lags a second":                   flow(0, 20*time.Second, time.Second),
		"it passes a source ten times as fast":                 arrive(flow(0, 20*time.Second, 0), 10),
		"it passes a real gap of ten seconds in both":          hole(arrive(flow(0, 20*time.Second, 0), 1)),
		"it passes ten seconds without video":                  without(flow(0, 20*time.Second, 0), video, 5*time.Second, 15*time.Second),
		"it passes ten seconds without audio":                  without(arrive(flow(0, 20*time.Second, 0), 10), audio, 5*time.Second, 15*time.Second),
		"it passes a hole of two seconds":                      without(without(flow(0, 20*time.Second, 0), video, 5*time.Second, 7*time.Second), audio, 5*time.Second, 7*time.Second),
		"it passes audio that begins four seconds late":        without(flow(0, 20*time.Second, 0), audio, 0, 4*time.Second),
		"it passes audio that begins ten seconds late":         without(flow(0, 20*time.Second, 0), audio, 0, 10*time.Second),
		"it passes a camera that tells the time since 1970":    flow(500000*time.Hour, 500000*time.Hour+20*time.Second, 0),
		"it passes times below zero":                           flow(-time.Hour, -time.Hour+20*time.Second, 0),
		"it passes a first video unit before all of the audio": flow(0, 20*time.Second, 800*time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l clock.Line
			run(t, &l, us)
			for i, u := range us {
				if u.gap || u.out-u.dts != us[0].out-us[0].dts || u.outPTS-u.pts != us[0].out-us[0].dts {
					t.Fatalf("unit %d: got %+v; want it moved by %v without a gap", i, u, us[0].out-us[0].dts)
				}
			}
			if l.Repairs() != 0 {
				t.Errorf("got %d repairs; want 0", l.Repairs())
			}
			if last := slices.MaxFunc(us, func(a, b unit) int { return cmp.Compare(a.out, b.out) }); l.Now() != last.out {
				t.Errorf("got now %v; want %v", l.Now(), last.out)
			}
		})
	}
}

func TestLineBegin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		first, next time.Duration // DTS of the first unit of video, then of audio
		audioOut    time.Duration
		videoOut    time.Duration // of a second video unit, 40 ms after the first
	}{
		{"it begins at a second", 0, 0, time.Second, 1040 * time.Millisecond},
		{"it has room for a track a little earlier", 0, -900 * time.Millisecond, 100 * time.Millisecond, 1040 * time.Millisecond},
		{"it moves all on for a track much earlier", 0, -3 * time.Second, 0, 3040 * time.Millisecond},
		{"it takes a track that is ahead as it is", 0, 4 * time.Second, 5 * time.Second, 1040 * time.Millisecond},
		{"it puts a track of another clock beside the others", 0, time.Hour, time.Second, 1040 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var l clock.Line
			l.Map(video, c.first, c.first, time.Time{})
			if got, _, _ := l.Map(audio, c.next, c.next, time.Time{}); got != c.audioOut {
				t.Errorf("got audio at %v; want %v", got, c.audioOut)
			}
			if got, _, _ := l.Map(video, c.first+videoStep, c.first+videoStep, time.Time{}); got != c.videoOut {
				t.Errorf("got video at %v; want %v", got, c.videoOut)
			}
		})
	}
}

func TestLineIgnoresTheClockOfMetadata(t *testing.T) {
	t.Parallel()
	for name, rebase := range map[string]bool{
		"it keeps A/V together after metadata at zero":            false,
		"it keeps A/V together after metadata at zero, restarted": true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l clock.Line
			if rebase {
				run(t, &l, flow(0, time.Second, 0))
				l.Rebase()
			}
			us := slices.Insert(flow(time.Hour, time.Hour+10*time.Second, 0), 0, unit{id: data})
			us = slices.Insert(us, 300, unit{id: data}) // and again, as some encoders do when they change bit rate
			run(t, &l, us)
			if v, a := offset(t, us, video), offset(t, us, audio); v != a {
				t.Errorf("got video %v and audio %v off; want the same", v, a)
			}
			for i, u := range us[5:] {
				if u.gap && u.id != data {
					t.Errorf("unit %d: got a gap in track %d; want none", i+5, u.id)
				}
			}
		})
	}
}

func TestLineRecoversFromOneBadTime(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{-time.Hour, -2 * time.Second, -400 * time.Millisecond, 400 * time.Millisecond, 2900 * time.Millisecond, time.Hour, math.MaxInt64, math.MinInt64} {
		for _, id := range []int{video, audio} {
			t.Run(fmt.Sprintf("it keeps A/V together when one unit of track %d is %v off", id, d), func(t *testing.T) {
				t.Parallel()
				var l clock.Line
				us := flow(0, 20*time.Second, 0)
				i := 300 + slices.IndexFunc(us[300:], func(u unit) bool { return u.id == id })
				us[i].dts += d
				us[i].pts = us[i].dts
				run(t, &l, us)
				if v, a := offset(t, us, video), offset(t, us, audio); v != a {
					t.Errorf("got video %v and audio %v off; want the same", v, a)
				}
			})
		}
	}
}

func TestLineRebase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		start time.Duration
		lag   time.Duration
	}{
		{"it continues at an origin that begins at zero", 0, 0},
		{"it continues at an origin of another day", 86400 * time.Second, 0},
		{"it continues at an origin whose audio comes first but is earlier", -5 * time.Second, -300 * time.Millisecond},
		{"it continues at an origin whose audio comes later", 5 * time.Second, 600 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var l clock.Line
			l.Rebase() // before anything: no effect
			run(t, &l, flow(0, 5*time.Second, 0))
			end := l.Now()
			for range 3 {
				l.Rebase()
				l.Rebase()
				us := flow(c.start, c.start+5*time.Second, c.lag)
				run(t, &l, us)
				if got := us[0].out - end; got <= 0 || got > videoStep {
					t.Errorf("got the first unit %v after the last; want at most a frame", got)
				}
				if !us[0].gap {
					t.Error("got no gap at the first unit; want one")
				}
				if v, a := offset(t, us, video), offset(t, us, audio); v != a {
					t.Errorf("got video %v and audio %v off; want the same", v, a)
				}
				for _, u := range us {
					if u.out < end {
						t.Fatalf("got a unit of the new origin at %v; want none before %v", u.out, end)
					}
				}
				end = l.Now()
			}
			if l.Repairs() != 0 {
				t.Errorf("got %d repairs; want 0", l.Repairs())
			}
		})
	}
}

func apart(a, b time.Duration) time.Duration { return max(a-b, b-a) }
