package clock_test

import (
	"cmp"
	"math"
	"math/rand"
	"slices"
	"sort"
	"testing"
	"time"

	"weir/transmux/clock"
)

func TestLineLoops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		videoStart, videoEnd time.Duration
		audioStart, audioEnd time.Duration
		lag, round           time.Duration // round: how long one round is, to a frame
	}{
		{name: "it loops equal ends", videoEnd: 10 * time.Second, audioEnd: 10 * time.Second, round: 10 * time.Second},
		{name: "it loops audio that ends later", videoEnd: 9500 * time.Millisecond, audioEnd: 10 * time.Second, round: 10 * time.Second},
		{name: "it loops video that ends later", videoEnd: 10 * time.Second, audioEnd: 9700 * time.Millisecond, round: 10 * time.Second},
		{name: "it loops video that begins later", videoStart: 80 * time.Millisecond, videoEnd: 10080 * time.Millisecond, audioEnd: 10 * time.Second, round: 10 * time.Second},
		{name: "it loops with audio behind", videoEnd: 10 * time.Second, audioEnd: 10 * time.Second, lag: 700 * time.Millisecond, round: 10 * time.Second},
		{name: "it loops with audio ahead", videoEnd: 10 * time.Second, audioEnd: 10 * time.Second, lag: -700 * time.Millisecond, round: 10 * time.Second},
		{name: "it loops two seconds a thousand times", videoEnd: 1960 * time.Millisecond, audioEnd: 2 * time.Second, lag: 100 * time.Millisecond, round: 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rounds := time.Duration(100)
			if c.round < 10*time.Second {
				rounds = 1000
			}
			one := slices.DeleteFunc(flow(0, 11*time.Second, 0), func(u unit) bool {
				if u.id == video {
					return u.dts < c.videoStart || u.dts >= c.videoEnd
				}
				return u.dts < c.audioStart || u.dts >= c.audioEnd
			})
			var us []unit
			for n := range rounds {
				for _, u := range one {
					u.real += n * c.round
					us = append(us, u)
				}
			}
			slices.SortStableFunc(us, func(a, b unit) int {
				order := func(u unit) time.Duration {
					if u.id == audio {
						return u.real + c.lag
					}
					return u.real
				}
				return cmp.Compare(order(a), order(b))
			})
			var l clock.Line
			run(t, &l, us)
			v, a := offset(t, us, video), offset(t, us, audio)
			if v != a {
				t.Errorf("got video %v and audio %v off after %d rounds; want the same", v, a, rounds)
			}
			if drift := v - time.Second; drift > rounds*videoStep || drift < -rounds*videoStep {
				t.Errorf("got a line %v off after %d rounds; want less than a frame each", drift, rounds)
			}
			// Within a round A/V is exact from where the later of the two tracks joined.
			byRound := make(map[time.Duration]map[int]time.Duration)
			for _, u := range us {
				n := u.real / c.round
				if byRound[n] == nil {
					byRound[n] = make(map[int]time.Duration)
				}
				byRound[n][u.id] = u.out - u.dts
			}
			for n := range rounds {
				if v, a := byRound[n][video], byRound[n][audio]; v != a {
					t.Fatalf("round %d ends with video moved by %v and audio by %v; want the same", n, v, a)
				}
			}
		})
	}
}

func TestLineFollowsRandomJumpsTogether(t *testing.T) {
	t.Parallel()
	for seed := range int64(20) {
		rnd := rand.New(rand.NewSource(seed))
		var l clock.Line
		us := flow(0, 300*time.Second, time.Duration(rnd.Intn(800)-200)*time.Millisecond)
		var shift, next time.Duration
		var jumps []time.Duration
		var at []time.Duration
		for next < 280*time.Second {
			next += 6*time.Second + time.Duration(rnd.Int63n(int64(20*time.Second)))
			shift += time.Duration((rnd.Float64() - 0.5) * math.Pow(10, 6+rnd.Float64()*8))
			at, jumps = append(at, next), append(jumps, shift)
		}
		for i := range us {
			if j := sort.Search(len(at), func(j int) bool { return at[j] > us[i].real }); j > 0 {
				us[i].dts += jumps[j-1]
				us[i].pts += jumps[j-1]
			}
		}
		run(t, &l, us)
		if v, a := offset(t, us, video), offset(t, us, audio); v != a {
			t.Errorf("seed %d: got video %v and audio %v off after %d jumps; want the same", seed, v, a, len(at))
		}
	}
}

func TestLineOfADayWithWraps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		videoRate, audRate int
		unwrap             func() clock.Unwrapper
		first              uint64
	}{
		{"it runs 26 hours of RTMP milliseconds over the wrap at 49 days", 1000, 1000, clock.Unwrap32, 1<<32 - 50000000},
		{"it runs 26 hours of RTP over the wrap at 13 hours", 90000, 48000, clock.Unwrap32, 1<<32 - 12345},
		{"it runs 26 hours of PES over the wrap", 90000, 90000, clock.Unwrap33, 1<<33 - 90000*3600},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var l clock.Line
			uv, ua := c.unwrap(), c.unwrap()
			const step = 100 * time.Millisecond // of both tracks, so that the test is short
			for at := time.Duration(0); at < 26*time.Hour; at += step {
				v := clock.Ticks(uv.Unwrap(c.first+uint64(clock.ToTicks(at, c.videoRate))), c.videoRate)
				a := clock.Ticks(ua.Unwrap(uint64(clock.ToTicks(clock.Ticks(int64(c.first), c.videoRate)+at, c.audRate))), c.audRate)
				dv, pv, _ := l.Map(video, v, v+step, time.Time{})
				da, _, _ := l.Map(audio, a, a, time.Time{})
				if want := time.Second + at; apart(dv, want) > time.Microsecond || pv-dv != step {
					t.Fatalf("got video at %v to %v after %v; want %v", dv, pv, at, want)
				}
				if apart(da, dv) > clock.Ticks(1, c.audRate) {
					t.Fatalf("got A/V %v apart after %v", da-dv, at)
				}
			}
			if l.Repairs() != 0 {
				t.Errorf("got %d repairs; want 0", l.Repairs())
			}
		})
	}
}

func TestLineAllocatesNothing(t *testing.T) {
	var l clock.Line
	dts := time.Duration(0)
	l.Map(video, 0, 0, time.Time{})
	if n := testing.AllocsPerRun(1000, func() { dts += videoStep; l.Map(video, dts, dts, time.Time{}) }); n != 0 {
		t.Errorf("got %v allocations for a unit; want 0", n)
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 40, 1, 40, 2, 20, 1, 40, 0x81, 255, 0x12, 7})
	f.Add([]byte{0x71, 255, 0xf1, 255, 0x72, 255, 0xff, 255, 0x10, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var l clock.Line
		var dts time.Duration
		arrived := time.Unix(0, 0)
		last := make(map[int]time.Duration)
		for ; len(in) >= 2; in = in[2:] {
			// Low bits: track; bits 4 to 6: size of the step, up to beyond what an int64 holds; top bit: its sign.
			id := int(in[0] & 15)
			step := time.Duration(in[1]) * time.Millisecond << (8 * (in[0] >> 4 & 7))
			if in[0] >= 128 {
				step = -step
			}
			dts += step
			if id == 15 {
				l.Rebase()
			}
			if in[1]&1 != 0 {
				arrived = arrived.Add(step)
			}
			d, p, _ := l.Map(id, dts, dts^step, arrived)
			if d < last[id] || p < d || d < 0 || l.Now() < d {
				t.Fatalf("got %v to %v after %v; want it never back, never below zero, PTS from DTS on", d, p, last[id])
			}
			last[id] = d
		}
	})
}

func BenchmarkLineMap(b *testing.B) {
	var l clock.Line
	dts := time.Duration(0)
	for b.Loop() {
		dts += 10 * time.Millisecond
		l.Map(video, dts, dts, time.Time{})
		l.Map(audio, dts, dts, time.Time{})
	}
}
