package udp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/transmux"
	"weir/transmux/mpegts"
	"weir/transmux/ring"
	"weir/wire"
	"weir/wire/udp"
)

func remote(t testing.TB, text string) wire.Remote {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Remote{URL: u, Log: slog.New(slog.DiscardHandler)}
}

// A sent datagram with its time.
type sent struct {
	at   time.Duration
	data []byte
}

// play feeds a stream for a while in a bubble and returns what a sink sends.
type play struct {
	url     string
	tracks  []*transmux.Track
	feed    func(w *transmux.Writer, begin time.Time) // blocks as long as it feeds
	late    time.Duration                             // how long after feeding has begun the sink starts
	wantErr error
}

func (p play) run(t *testing.T) (out []sent, m *wire.Meter) {
	t.Helper()
	s, err := New(remote(t, p.url))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	stream := transmux.NewStream("it", ring.Limits{})
	w := stream.NewWriter()
	w.SetTracks(p.tracks)
	go func() {
		p.feed(w, begin)
		stream.Close(io.EOF)
	}()
	time.Sleep(p.late)
	m = new(wire.Meter)
	r := s.newRun(stream, m, func(ds ...[]byte) error {
		for _, d := range ds {
			out = append(out, sent{time.Since(begin), bytes.Clone(d)})
		}
		return nil
	})
	if err := r.loop(t.Context()); !errors.Is(err, p.wantErr) {
		t.Fatalf("got %v; want %v", err, p.wantErr)
	}
	return out, m
}

var (
	video = &transmux.Track{ID: 1, Codec: transmux.MPEG2Video}
	audio = &transmux.Track{ID: 2, Codec: transmux.MP2}
)

// pictures writes 25 pictures a second with a key picture each second, and audio of 24 ms, for d.
func pictures(size, keySize int, d time.Duration) func(*transmux.Writer, time.Time) {
	return func(w *transmux.Writer, begin time.Time) {
		v, a := time.Duration(0), time.Duration(0)
		for n := 0; v < d; {
			if a <= v {
				time.Sleep(a - time.Since(begin))
				_ = w.Write(transmux.AccessUnit{Track: audio, DTS: a, PTS: a, Data: make([]byte, 576), Arrived: time.Now()})
				a += 24 * time.Millisecond
				continue
			}
			time.Sleep(v - time.Since(begin))
			data := make([]byte, size)
			if n%25 == 0 {
				data = make([]byte, keySize)
			}
			_ = w.Write(transmux.AccessUnit{Track: video, DTS: v, PTS: v + 40*time.Millisecond, Key: n%25 == 0, Data: data, Arrived: time.Now()})
			v += 40 * time.Millisecond
			n++
		}
	}
}

func TestVariableRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out, m := play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video, audio}, feed: pictures(8000, 120_000, 10*time.Second)}.run(t)
		r := analyse(out, false)
		if r.continuity != 0 || r.clockBack || r.discontinuities != 0 || r.stray != 0 || r.nulls != 0 {
			t.Errorf("got %+v; want no breaks and no nulls", r)
		}
		if r.clockGap > 40*time.Millisecond || r.clockError > 20*time.Millisecond {
			t.Errorf("got PCR gap %s, error %s; want at most 40ms, 20ms", r.clockGap, r.clockError)
		}
		if r.psiGap > 110*time.Millisecond {
			t.Errorf("got PAT gap %s; want at most 110ms", r.psiGap)
		}
		// A key picture of 120 kB has 92 datagrams; over 40 ms that makes about 12 in 5 ms.
		if r.burst > 16 {
			t.Errorf("got %d datagrams in 5 ms; want at most 16", r.burst)
		}
		if r.units[0x100] != 250 || r.units[0x101] != 415 {
			t.Errorf("got units %v; want all 250 and 415", r.units)
		}
		if r.slack < 100*time.Millisecond || r.slack > delay+hold {
			t.Errorf("got slack %s; want 100ms to 220ms", r.slack)
		}
		if bytes, _, skips := m.Totals(); bytes == 0 || skips != 0 {
			t.Errorf("got %d bytes, %d skips; want some, none", bytes, skips)
		}
	})
}

func TestConstantRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out, _ := play{url: "rtp://127.0.0.1:23000?bitrate=4M", tracks: []*transmux.Track{video, audio}, feed: pictures(8000, 60_000, 10*time.Second)}.run(t)
		r := analyse(out, true)
		if r.continuity != 0 || r.clockBack || r.discontinuities != 0 || r.stray != 0 {
			t.Errorf("got %+v; want no breaks", r)
		}
		if r.clockGap > 40*time.Millisecond || r.psiGap > 110*time.Millisecond {
			t.Errorf("got PCR gap %s, PAT gap %s; want at most 40ms, 110ms", r.clockGap, r.psiGap)
		}
		if r.slack < 0 {
			t.Errorf("got slack %s; want none late", r.slack)
		}
		if r.nulls == 0 {
			t.Error("got no null packets; want the rate filled")
		}
		// Between any two clocks, the number of packets tells the same time as their values: no jitter at all.
		type mark struct {
			packet int
			ticks  uint64
		}
		var first, last mark
		n, worst := 0, 0.0
		seq := -1
		for _, s := range out {
			h, data, ok := udp.ParseRTP(s.data)
			if !ok || h.PayloadType != 33 || seq >= 0 && h.Sequence != uint16(seq+1) {
				t.Fatalf("got header %+v after %d; want RTP in sequence", h, seq)
			}
			seq = int(h.Sequence)
			for ; len(data) > 0; data = data[188:] {
				if ticks, _, ok := mpegts.PCR(data[:188]); ok {
					if first.ticks == 0 {
						first = mark{n, ticks}
					}
					last = mark{n, ticks}
					want := float64(n-first.packet) * 188 * 8 / 4e6
					worst = max(worst, want-float64(ticks-first.ticks)/27e6, float64(ticks-first.ticks)/27e6-want)
				}
				n++
			}
		}
		if worst > 500e-9 {
			t.Errorf("got a PCR error of %.0f ns; want at most 500", worst*1e9)
		}
		if got := float64(last.packet-first.packet) * 188 * 8 / (float64(last.ticks-first.ticks) / 27e6); got < 3.999e6 || got > 4.001e6 {
			t.Errorf("got %.0f bit/s; want 4000000", got)
		}
	})
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	// stall is a network that brings nothing for a while in which the origin goes on, and then all at once.
	stall := func(d time.Duration) func(*transmux.Writer, time.Time) {
		return func(w *transmux.Writer, begin time.Time) {
			for v := time.Duration(0); v < 20*time.Second; v += 40 * time.Millisecond {
				if v == 2*time.Second {
					time.Sleep(d)
				}
				time.Sleep(v - time.Since(begin))
				_ = w.Write(transmux.AccessUnit{Track: video, DTS: v, PTS: v, Key: v%time.Second == 0, Data: make([]byte, 4000), Arrived: time.Now()})
			}
		}
	}
	skewed := func(w *transmux.Writer, begin time.Time) {
		for n := range 250 {
			at := time.Duration(n) * 40 * time.Millisecond
			time.Sleep(at - time.Since(begin))
			_ = w.Write(transmux.AccessUnit{Track: video, DTS: at, PTS: at, Key: n%25 == 0, Data: make([]byte, 4000), Arrived: time.Now()})
			if late := at - 400*time.Millisecond; late >= 0 {
				_ = w.Write(transmux.AccessUnit{Track: audio, DTS: late, PTS: late, Data: make([]byte, 576), Arrived: time.Now()})
			}
		}
	}
	for _, tt := range []struct {
		it   string
		play play
		want func(report, *wire.Meter) bool
	}{
		{"begins at a fresh key picture, not with a backlog", play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video, audio}, feed: pictures(4000, 20_000, 5*time.Second), late: 1700 * time.Millisecond},
			func(r report, _ *wire.Meter) bool {
				return r.units[0x100] == 75 && r.burst < 16 && r.slack > 100*time.Millisecond
			}},
		{"begins at the newest key picture when it has just come", play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video, audio}, feed: pictures(4000, 20_000, 5*time.Second), late: 2100 * time.Millisecond},
			func(r report, _ *wire.Meter) bool { return r.units[0x100] == 75 }},
		{"waits for a stalled origin, and loses nothing", play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video}, feed: stall(1500 * time.Millisecond)},
			func(r report, _ *wire.Meter) bool {
				return !r.clockBack && r.discontinuities == 0 && r.continuity == 0 && r.units[0x100] == 500 && r.burst < 16
			}},
		{"goes back to what is live after a long stall", play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video}, feed: stall(4 * time.Second)},
			func(r report, _ *wire.Meter) bool {
				return r.discontinuities == 1 && r.continuity == 0 && r.units[0x100] < 500 && r.units[0x100] > 350 && r.burst < 16
			}},
		{"never stops a constant rate, and sets the clock back after a stall", play{url: "udp://127.0.0.1:23000?bitrate=2M", tracks: []*transmux.Track{video}, feed: stall(1500 * time.Millisecond)},
			func(r report, _ *wire.Meter) bool {
				return r.discontinuities == 1 && r.continuity == 0 && r.units[0x100] == 500 && r.burst <= 2 && r.psiGap < 120*time.Millisecond
			}},
		{"follows an origin whose clock is fast", play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video}, feed: func(w *transmux.Writer, begin time.Time) {
			for v := time.Duration(0); v < 10*time.Minute; v += 40 * time.Millisecond {
				time.Sleep(v*9998/10000 - time.Since(begin)) // 200 ppm, 120 ms in ten minutes
				_ = w.Write(transmux.AccessUnit{Track: video, DTS: v, PTS: v, Key: v%time.Second == 0, Data: make([]byte, 1000), Arrived: time.Now()})
			}
		}}, func(r report, _ *wire.Meter) bool {
			return r.discontinuities == 0 && r.continuity == 0 && r.units[0x100] == 15000 && r.clockError > 50*time.Millisecond
		}},
		{"gives a late track its time", play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video, audio}, feed: skewed},
			func(r report, _ *wire.Meter) bool {
				return !r.clockBack && r.continuity == 0 && r.units[0x100] == 250 && r.units[0x101] == 240
			}},
		{"leaves pictures out when the bit rate is too small", play{url: "udp://127.0.0.1:23000?bitrate=1M", tracks: []*transmux.Track{video, audio}, feed: pictures(8000, 60_000, 10*time.Second)},
			func(r report, m *wire.Meter) bool {
				_, _, skips := m.Totals()
				return skips > 0 && r.units[0x100] < 250 && r.continuity == 0 && r.burst <= 2
			}},
		{"sends audio alone, in small datagrams", play{url: "udp://127.0.0.1:23000?pkt=3", tracks: []*transmux.Track{audio}, feed: func(w *transmux.Writer, begin time.Time) {
			for n := range 200 {
				at := time.Duration(n) * 24 * time.Millisecond
				time.Sleep(at - time.Since(begin))
				_ = w.Write(transmux.AccessUnit{Track: audio, DTS: at, PTS: at, Data: make([]byte, 576), Arrived: time.Now()})
			}
		}}, func(r report, _ *wire.Meter) bool {
			return r.units[0x100] == 200 && r.clockGap <= 40*time.Millisecond && r.slack > 100*time.Millisecond
		}},
		{"keeps the clock running for one picture a second", play{url: "udp://127.0.0.1:23000", tracks: []*transmux.Track{video}, feed: func(w *transmux.Writer, begin time.Time) {
			for n := range 10 {
				at := time.Duration(n) * time.Second
				time.Sleep(at - time.Since(begin))
				_ = w.Write(transmux.AccessUnit{Track: video, DTS: at, PTS: at, Key: true, Data: make([]byte, 20_000), Arrived: time.Now()})
			}
		}}, func(r report, _ *wire.Meter) bool { return r.units[0x100] == 10 && r.clocks > 200 && !r.clockBack }},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				out, m := tt.play.run(t)
				if r := analyse(out, false); !tt.want(r, m) {
					t.Errorf("got %+v; want otherwise", r)
				}
			})
		})
	}
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	t.Run("with the cause of its context", func(t *testing.T) {
		t.Parallel()
		stream := transmux.NewStream("it", ring.Limits{})
		w := stream.NewWriter()
		w.SetTracks([]*transmux.Track{video})
		s, err := New(remote(t, "udp://127.0.0.1:23001"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(wire.ErrDrain)
		if err := s.Run(ctx, stream, new(wire.Meter)); !errors.Is(err, wire.ErrDrain) {
			t.Errorf("got %v; want %v", err, wire.ErrDrain)
		}
	})
	t.Run("without a track that MPEG-TS can carry", func(t *testing.T) {
		t.Parallel()
		stream := transmux.NewStream("it", ring.Limits{})
		stream.NewWriter().SetTracks([]*transmux.Track{{ID: 1, Codec: transmux.SorensonH263}})
		s, err := New(remote(t, "udp://127.0.0.1:23001"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), stream, new(wire.Meter)); !errors.Is(err, wire.ErrNoTrack) {
			t.Errorf("got %v; want %v", err, wire.ErrNoTrack)
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ it, url, want string }{
		{"takes all settings", "rtp://[ff15::1]:5000?ttl=4&dscp=34&interface=lo&bitrate=4.5M&pkt=5", ""},
		{"takes a datagram size in bytes", "udp://239.1.1.1:5000?pkt_size=1316", ""},
		{"wants a port", "udp://239.1.1.1", "an address and a port are needed"},
		{"wants a host", "udp://:5000", "an address and a port are needed"},
		{"bounds the ttl", "udp://239.1.1.1:5000?ttl=0", `ttl "0" is not a number from 1 to 255`},
		{"bounds the dscp", "udp://239.1.1.1:5000?dscp=64", `dscp "64" is not`},
		{"bounds the packets", "udp://239.1.1.1:5000?pkt=65", `pkt "65" is not`},
		{"bounds the datagram", "udp://239.1.1.1:5000?pkt_size=100", `pkt_size "100" is not`},
		{"knows bit rates", "udp://239.1.1.1:5000?bitrate=fast", `bitrate "fast" is not a bit rate like 800k`},
		{"bounds bit rates", "udp://239.1.1.1:5000?bitrate=NaNM", `bitrate "NaNM" is not`},
		{"names what it does not know", "udp://239.1.1.1:5000?tll=4", `unknown setting "tll"; there are ttl`},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			_, err := New(remote(t, tt.url))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
}
