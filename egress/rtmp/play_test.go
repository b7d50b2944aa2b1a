package rtmp

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux"
	"weir/transmux/amf"
	"weir/transmux/ring"
	"weir/wire"
)

// expect compares what a client got with lines.
func expect(t *testing.T, c *client, want string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if d := cmp.Diff(c.take(), lines); d != "" {
		t.Errorf("got -; want +\n%s", d)
	}
}

func TestPlay(t *testing.T) {
	t.Parallel()
	enhanced := func(codes ...amf.Value) amf.Field { return amf.Field{Name: "fourCcList", Value: amf.Array(codes)} }
	for _, c := range []struct {
		name   string
		fields []amf.Field
		limits ring.Limits
		run    func(t *testing.T, d *door, w *transmux.Writer, c *client)
	}{
		{"it starts a late joiner at the newest key frame", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0 P40")
			feed(t, w, aac, "a45")
			feed(t, w, h264, "K80 P120")
			feed(t, w, aac, "a125")
			c.play(1)
			expect(t, c, `
				1: NetStream.Play.Reset
				1: NetStream.Play.Start
				1: onMetaData
				1: avcC "avc" at 80
				1: ASC "\x12\x10" at 80
				1: key "K80" at 80
				1: inter "P120" at 120
				1: aac "a125" at 125`)
		}},
		{"it takes message streams of any number, several at once", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			feed(t, w, h264, "K0")
			time.Sleep(time.Second) // on the test's clock: no sound is to be expected
			c.play(3)
			c.call(2, "play", "cam")
			time.Sleep(time.Second)
			c.take()
			feed(t, w, h264, "P40")
			got := c.take()
			if len(got) != 2 || !strings.Contains(strings.Join(got, " "), `2: inter "P40"`) || !strings.Contains(strings.Join(got, " "), `3: inter "P40"`) {
				t.Errorf("got %q; want P40 on 2 and 3", got)
			}
		}},
		{"it keeps composition times of B-frames", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0+80 P40+160")
			c.play(1)
			c.take()
			feed(t, w, h264, "K160+80 P200+160 P240+40")
			expect(t, c, `
				1: key+80 "K160+80" at 160
				1: inter+160 "P200+160" at 200
				1: inter+40 "P240+40" at 240`)
		}},
		{"it pauses, and goes on at a key frame", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			c.call(1, "pause", true, 0.0)
			feed(t, w, h264, "P40 K80")
			feed(t, w, aac, "a85")
			c.call(1, "pause", false, 80.0)
			feed(t, w, aac, "a105")
			feed(t, w, h264, "P120 K160")
			expect(t, c, `
				1: NetStream.Pause.Notify
				1: NetStream.Unpause.Notify
				1: onMetaData
				1: avcC "avc" at 160
				1: ASC "\x12\x10" at 160
				1: key "K160" at 160`)
		}},
		{"it leaves out pictures and begins them again at a key frame", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			c.call(1, "receiveVideo", false)
			feed(t, w, h264, "P40")
			feed(t, w, aac, "a45")
			feed(t, w, next, "K80") // its configuration comes, though its pictures do not
			c.call(1, "receiveVideo", true)
			feed(t, w, next, "P120")
			feed(t, w, aac, "a125")
			feed(t, w, next, "K160 P200")
			expect(t, c, `
				1: aac "a45" at 45
				1: avcC "new" at 80
				1: aac "a125" at 125
				1: key "K160" at 160
				1: inter "P200" at 200`)
		}},
		{"it introduces the sound to who never wanted pictures", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			c.play(1) // waits for the key frame
			c.call(1, "receiveVideo", false)
			feed(t, w, h264, "K0")
			feed(t, w, aac, "a5 a25")
			expect(t, c, `
				1: NetStream.Play.Reset
				1: NetStream.Play.Start
				1: onMetaData
				1: avcC "avc" at 0
				1: ASC "\x12\x10" at 0
				1: aac "a5" at 5
				1: aac "a25" at 25`)
		}},
		{"it leaves out sound", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			c.call(1, "receiveAudio", false)
			feed(t, w, aac, "a5")
			feed(t, w, h264, "P40")
			c.call(1, "receiveAudio", true)
			feed(t, w, aac, "a45")
			expect(t, c, `
				1: inter "P40" at 40
				1: aac "a45" at 45`)
		}},
		{"it plays sound alone", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			feed(t, w, aac, "a0 a20 a40")
			time.Sleep(time.Second)
			c.play(1)
			time.Sleep(time.Second)
			feed(t, w, aac, "a60")
			expect(t, c, `
				1: NetStream.Play.Reset
				1: NetStream.Play.Start
				1: onMetaData
				1: ASC "\x12\x10" at 40
				1: aac "a40" at 40
				1: aac "a60" at 60`)
		}},
		{"it starts with sound when pictures were announced and never come", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, aac, "a0 a1000 a1990 a2010")
			c.play(1)
			feed(t, w, aac, "a3000 a4030")
			feed(t, w, h264, "P4040 K4080")
			got := strings.Join(c.take(), "\n")
			for _, want := range []string{`aac "a4030" at 4030`, `key "K4080" at 4080`} {
				if !strings.Contains(got, want) {
					t.Errorf("got no %s in\n%s", want, got)
				}
			}
			if strings.Contains(got, "P4040") {
				t.Errorf("got a picture before a key frame in\n%s", got)
			}
		}},
		{"it tells a new configuration in front of its key frame", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			feed(t, w, next, "K40 P80")
			expect(t, c, `
				1: avcC "new" at 40
				1: key "K40" at 40
				1: inter "P80" at 80`)
		}},
		{"it tells the configuration of the group that it starts with", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0 P40")
			w.SetTracks([]*transmux.Track{next, aac}) // announced before its first picture
			c.play(1)
			feed(t, w, next, "K80")
			expect(t, c, `
				1: NetStream.Play.Reset
				1: NetStream.Play.Start
				1: onMetaData
				1: avcC "avc" at 0
				1: ASC "\x12\x10" at 0
				1: key "K0" at 0
				1: inter "P40" at 40
				1: avcC "new" at 80
				1: key "K80" at 80`)
		}},
		{"it adds tracks that come later", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			feed(t, w, h264, "K0")
			time.Sleep(time.Second)
			c.play(1)
			time.Sleep(time.Second)
			c.take()
			feed(t, w, aac, "a20")
			feed(t, w, cues, "c30")
			expect(t, c, `
				1: ASC "\x12\x10" at 20
				1: aac "a20" at 20`)
		}},
		{"it carries cue points through", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac, cues})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			b, err := amf.Append(nil, "onCuePoint", "advert")
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(transmux.AccessUnit{Track: cues, DTS: 7 * time.Millisecond, PTS: 7 * time.Millisecond, Data: b, Arrived: time.Now()}); err != nil {
				t.Fatal(err)
			}
			expect(t, c, `1: onCuePoint advert at 7`)
		}},
		{"it leaves out what a classic player does not know", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h265, aac})
			feed(t, w, aac, "a0 a20")
			feed(t, w, h265, "K40")
			c.play(1)
			feed(t, w, aac, "a60")
			time.Sleep(3 * time.Second)
			expect(t, c, `
				1: NetStream.Play.Reset
				1: NetStream.Play.Start
				1: onMetaData
				1: ASC "\x12\x10" at 60
				1: aac "a60" at 60`)
			if !strings.Contains(d.log.String(), "h265") || !strings.Contains(d.log.String(), "Enhanced RTMP") {
				t.Errorf("got log %q; want that h265 is left out, and why", d.log)
			}
		}},
		{"it refuses a classic player when nothing remains", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h265, opus})
			feed(t, w, h265, "K0")
			c.play(1)
			time.Sleep(3 * time.Second)
			expect(t, c, `1: NetStream.Play.Failed no track that this protocol can carry`)
			if len(d.ends) != 1 || !errors.Is(d.ends[0], wire.ErrNoTrack) {
				t.Errorf("got ends %v; want %v once", d.ends, wire.ErrNoTrack)
			}
		}},
		{"it gives Enhanced players what they list", []amf.Field{enhanced("hvc1", "Opus")}, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h265, opus})
			feed(t, w, h265, "K0+40")
			feed(t, w, opus, "a5")
			c.play(1)
			expect(t, c, `
				1: NetStream.Play.Reset
				1: NetStream.Play.Start
				1: onMetaData
				1: hvc1 type 0 "hevc" at 0
				1: Opus type 0 "OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00" at 0
				1: hvc1 type 1 "K0+40" at 0
				1: Opus type 1 "a5" at 5`)
		}},
		{"it gives Enhanced players nothing that they do not list", []amf.Field{enhanced("hvc1")}, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h265, opus})
			feed(t, w, h265, "K0")
			c.play(1)
			feed(t, w, opus, "a5")
			feed(t, w, h265, "P40")
			time.Sleep(3 * time.Second)
			expect(t, c, `
				1: NetStream.Play.Reset
				1: NetStream.Play.Start
				1: onMetaData
				1: hvc1 type 0 "hevc" at 0
				1: hvc1 type 3 "K0" at 0
				1: hvc1 type 3 "P40" at 40`)
		}},
		{"it gives all tracks to players of several", []amf.Field{enhanced("*"), {Name: "capsEx", Value: 2.0}}, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, av1})
			feed(t, w, h264, "K0")
			time.Sleep(time.Second)
			c.play(1)
			time.Sleep(time.Second)
			feed(t, w, av1, "K10")
			got := strings.Join(c.take(), "\n")
			for _, want := range []string{`key "K0" at 0`, `av01 track 1 "K10" at 10`} {
				if !strings.Contains(got, want) {
					t.Errorf("got no %s in\n%s", want, got)
				}
			}
		}},
		{"it gives one track of a kind to others", []amf.Field{enhanced("*")}, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, av1})
			feed(t, w, h264, "K0")
			time.Sleep(time.Second)
			c.play(1)
			time.Sleep(time.Second)
			feed(t, w, av1, "K10")
			if got := strings.Join(c.take(), "\n"); strings.Contains(got, "av01") || !strings.Contains(got, `key "K0"`) {
				t.Errorf("got\n%s\nwant H.264 only", got)
			}
		}},
		{"it tells that the stream ended", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			feed(t, w, h264, "P40")
			d.stream.Close(nil)
			expect(t, c, `
				1: inter "P40" at 40
				1: NetStream.Play.UnpublishNotify
				1: NetStream.Play.Stop`)
			if len(d.ends) != 1 || d.ends[0] != wire.ErrEnded {
				t.Errorf("got ends %v; want %v once", d.ends, wire.ErrEnded)
			}
		}},
		{"it tells when the grant is taken back", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			d.revoke(wire.ErrDenied)
			expect(t, c, `
				1: NetStream.Play.UnpublishNotify
				1: NetStream.Play.Stop`)
			if len(d.ends) != 1 || d.ends[0] != wire.ErrDenied {
				t.Errorf("got ends %v; want %v once", d.ends, wire.ErrDenied)
			}
		}},
		{"it says the door's no", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			d.err = &wire.Refusal{Err: wire.ErrNotFound}
			c.play(1)
			expect(t, c, `1: NetStream.Play.StreamNotFound`)
		}},
		{"it ends the grant once when the player leaves", nil, ring.Limits{}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.call(1, "closeStream")
			if len(d.ends) != 1 {
				t.Fatalf("got ends %v; want one", d.ends)
			}
			c.call(1, "play", "cam")
			c.leave()
			if len(d.ends) != 2 {
				t.Errorf("got ends %v; want one for each play", d.ends)
			}
		}},
		{"it goes on at a key frame after it was overtaken", nil, ring.Limits{Items: 8, Span: time.Millisecond}, func(t *testing.T, d *door, w *transmux.Writer, c *client) {
			w.SetTracks([]*transmux.Track{h264, aac})
			feed(t, w, h264, "K0")
			c.play(1)
			c.take()
			proceed := c.stop()
			big := strings.Repeat("x", 5000) // more than anybody buffers here
			for i := range 30 {
				ms := time.Duration(40+i*40) * time.Millisecond
				if err := w.Write(transmux.AccessUnit{Track: h264, DTS: ms, PTS: ms, Key: i == 25, Data: []byte(big)}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			proceed()
			got := strings.Join(c.take(), "\n")
			_, after, ok := strings.Cut(strings.ReplaceAll(got, big, "x"), "1: onMetaData\n")
			if want := "1: avcC \"avc\" at 1040\n1: ASC \"\\x12\\x10\" at 1040\n1: key \"x\" at 1040\n1: inter \"x\" at 1080\n"; !ok || !strings.HasPrefix(after, want) {
				t.Errorf("got\n%s\nwant it to go on with\n%s", after, want)
			}
			if _, _, skips := d.meter.Totals(); skips != 1 {
				t.Errorf("got %d skips; want 1", skips)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(c.limits)
				defer d.revoke(nil)
				client := d.join(t, c.fields...)
				c.run(t, d, d.stream.NewWriter(), client)
				client.leave()
			})
		})
	}
}
