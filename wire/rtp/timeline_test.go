package rtp

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"weir/transmux"
)

// origin sends one picture each 40 ms and one audio frame each 20 ms, as a camera whose clocks begin anywhere does.
type origin struct {
	*link
	video, audio uint32        // RTP times at zero
	late         time.Duration // video arrives so much after audio of the same moment
	seq          [2]uint16
	ntp          time.Time // at zero
	at           time.Duration
}

func newOrigin(t *testing.T) *origin {
	l := newLink(t, avcTrack(t), &transmux.Track{ID: 9, Codec: transmux.PCMA, Rate: 8000, Channels: 1})
	return &origin{link: l, video: 0xffff0000, audio: 12345, ntp: time.Unix(1.7e9, 0)}
}

func (o *origin) packet(media int, ts uint32, payload []byte) {
	o.t.Helper()
	m := o.medias[media]
	o.seq[media]++
	p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: m.Formats[0].PayloadType(),
		SequenceNumber: o.seq[media], Timestamp: ts, SSRC: uint32(media + 1)}, Payload: payload}
	if err := o.in.Packet(m.Formats[0], p, o.now); err != nil {
		o.t.Fatal(err)
	}
}

// run sends so much time of both tracks. Every 25th picture is a key frame.
func (o *origin) run(d time.Duration) {
	o.t.Helper()
	for end := o.at + d; o.at < end; o.at += 20 * time.Millisecond {
		o.packet(1, o.audio+uint32(o.at.Milliseconds()*8), body("d5", 160, o.t))
		if v := o.at - o.late; v >= 0 && v%(40*time.Millisecond) == 0 {
			header := "419a"
			if v%time.Second == 0 {
				header = "6588"
			}
			o.packet(0, o.video+uint32(v.Milliseconds()*90), body(header, 100, o.t))
		}
		o.now = o.now.Add(20 * time.Millisecond)
	}
}

// report sends sender reports of this moment; skew moves that of video.
func (o *origin) report(skew time.Duration) {
	for media, base := range []uint32{o.video, o.audio} {
		rate, day := int64(90), o.ntp.Add(o.at+skew)
		if media == 1 {
			rate, day = 8, o.ntp.Add(o.at)
		}
		o.in.Report(o.medias[media], &rtcp.SenderReport{SSRC: uint32(media + 1),
			NTPTime: toNTP(day.UnixNano()), RTPTime: base + uint32(o.at.Milliseconds()*rate)})
	}
}

// skew is by how much the newest picture is later on the line than the sound of its moment, given the true time of both.
func (o *origin) skew() time.Duration {
	o.t.Helper()
	var video, audio *transmux.AccessUnit
	for i := range o.out.units {
		if au := &o.out.units[i]; au.Track.Kind() == transmux.KindVideo {
			video = au
		} else {
			audio = au
		}
	}
	trueVideo := (o.at - 20*time.Millisecond - o.late).Truncate(40 * time.Millisecond)
	trueAudio := o.at - 20*time.Millisecond
	return (video.PTS - trueVideo) - (audio.PTS - trueAudio)
}

func near(a, b time.Duration) bool { return a-b <= time.Millisecond && b-a <= time.Millisecond }

func TestTracksAreKeptTogether(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		it   string
		run  func(o *origin)
		want time.Duration
	}{
		{"it goes by arrival when nothing is told", func(o *origin) {
			o.late = 400 * time.Millisecond
			o.run(3 * time.Second)
		}, 400 * time.Millisecond},
		{"it goes by reports that come first", func(o *origin) {
			o.late = 400 * time.Millisecond
			o.report(0)
			o.run(3 * time.Second)
		}, 0},
		{"it goes by RTP-Info", func(o *origin) {
			o.late = 400 * time.Millisecond
			o.in.Info(o.medias[0], o.video)
			o.in.Info(o.medias[1], o.audio)
			o.run(3 * time.Second)
		}, 0},
		{"it believes reports more than RTP-Info", func(o *origin) {
			o.late = 400 * time.Millisecond
			o.in.Info(o.medias[0], o.video+4500)
			o.in.Info(o.medias[1], o.audio)
			o.report(0)
			o.run(3 * time.Second)
		}, 0},
		{"it does not believe an RTP-Info that is minutes off", func(o *origin) {
			o.in.Info(o.medias[0], o.video-90*600_000)
			o.in.Info(o.medias[1], o.audio+8*600_000)
			o.run(3 * time.Second)
		}, 0},
		{"it steps at a key frame when much is to be mended", func(o *origin) {
			o.late = 400 * time.Millisecond
			o.run(500 * time.Millisecond)
			o.report(0)
			o.run(3 * time.Second)
		}, 0},
		{"it steps forward as well", func(o *origin) {
			o.run(500 * time.Millisecond)
			o.ntp = o.ntp.Add(time.Hour)
			o.report(300 * time.Millisecond)
			o.run(3 * time.Second)
		}, 300 * time.Millisecond},
		{"it slews when little is to be mended", func(o *origin) {
			o.late = 40 * time.Millisecond
			o.run(500 * time.Millisecond)
			o.report(0)
			o.run(20 * time.Second)
		}, 500 * time.Microsecond},
		{"it slews by 5 ms in a second", func(o *origin) {
			o.late = 120 * time.Millisecond
			o.run(time.Second)
			o.report(0)
			o.run(10 * time.Second)
		}, 70 * time.Millisecond},
		{"it ignores reports of 1970", func(o *origin) {
			o.run(time.Second)
			o.ntp = time.Unix(100, 0)
			o.report(3 * time.Second)
			o.run(3 * time.Second)
		}, 0},
		{"it ignores reports that are hours apart", func(o *origin) {
			o.run(time.Second)
			o.report(2 * time.Hour)
			o.run(3 * time.Second)
		}, 0},
		{"it survives that the origin sets its clock", func(o *origin) {
			o.report(0)
			o.run(3 * time.Second)
			o.ntp = o.ntp.Add(-5 * time.Hour)
			o.report(0)
			o.run(3 * time.Second)
		}, 0},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t)
			test.run(o)
			if got := o.skew(); !near(got, test.want) {
				t.Errorf("got %v; want %v", got, test.want)
			}
			last := make(map[int]time.Duration)
			for i, au := range o.out.units {
				d := au.DTS - last[au.Track.ID]
				if _, ok := last[au.Track.ID]; ok && d < 0 {
					t.Errorf("got a step of %v in unit %d", d, i)
				}
				if au.Track.Kind() == transmux.KindAudio && i > 2 && d != 20*time.Millisecond && !au.Gap {
					t.Errorf("got an audible step of %v in unit %d", d, i)
				}
				last[au.Track.ID] = au.DTS
			}
		})
	}
}

func TestJumpsAreMended(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.report(0)
	o.run(2 * time.Second)
	o.video -= 90 * 3600 * 1000 // the clock of video goes back by an hour
	o.run(2 * time.Second)
	gaps := 0
	var last time.Duration
	for _, au := range o.out.units {
		if au.Track.Kind() != transmux.KindVideo {
			continue
		}
		if d := au.PTS - last; last != 0 && (d < 0 || d > 100*time.Millisecond) {
			t.Errorf("got a step of %v", d)
		}
		if last = au.PTS; au.Gap {
			gaps++
		}
	}
	if gaps != 1 {
		t.Errorf("got %d gaps; want 1", gaps)
	}
	o.ntp = o.ntp.Add(time.Hour)
	o.report(0)
	o.run(2 * time.Second)
	if got := o.skew(); !near(got, 0) {
		t.Errorf("got %v after new reports; want 0", got)
	}
}

func TestCaptureTime(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	o.report(0)
	o.run(time.Second)
	for _, au := range o.out.units {
		if au.Track.Kind() == transmux.KindAudio {
			if d := au.NTP.Sub(o.ntp); !near(d, au.PTS-o.out.units[0].PTS) {
				t.Fatalf("got %v after the beginning; want %v", d, au.PTS)
			}
		}
	}
}

func TestReportsOfAMuxerAgree(t *testing.T) {
	t.Parallel()
	l := newLink(t, avcTrack(t), aacTrack())
	l.send(transmux.AccessUnit{Track: avcTrack(t), DTS: time.Second, PTS: time.Second + 80*time.Millisecond, Key: true, Data: nal("6588", 100, t)})
	for at := time.Second; at < 2*time.Second; at += 7777777 {
		var day [2]time.Duration
		for media := range day {
			list, err := rtcp.Unmarshal(Packet(l.muxer.Report(media, at, 1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			sr := list[0].(*rtcp.SenderReport)
			rate := time.Duration(l.muxer.lanes[media].rate)
			day[media] = ntpTime(sr.NTPTime) - time.Duration(sr.RTPTime-l.muxer.lanes[media].base)*time.Second/rate
		}
		if d := day[0] - day[1]; d > 10 || d < -10 {
			t.Fatalf("got reports at %v that are %v apart; want nanoseconds", at, d)
		}
	}
}
