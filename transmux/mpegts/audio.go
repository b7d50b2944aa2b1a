package mpegts

import (
	"bytes"
	"time"

	"weir/transmux"
	"weir/transmux/codec"
)

// form knows the frames of one audio coding.
type form interface {
	// size tells the length of the frame that begins at b[0]: 0 if more bytes must come to know, -1 if none begins here.
	// final tells that nothing comes after b.
	size(b []byte, final bool) int
	// frame turns a frame into units, and notes in the track what it tells.
	frame(a *audio, b []byte)
}

// audio cuts a stream of audio frames. Frames need not begin where PES packets do; a frame without a time of its own
// follows the one before.
type audio struct {
	s       *stream
	form    form
	buf     []byte
	base    int64 // position in the elementary stream of buf[0]
	synced  bool
	aligned int64 // where the newest PES packet begins: a frame may be believed there
	anchors anchors
	next    stamp
}

func (a *audio) begin(t stamp) {
	a.aligned = a.base + int64(len(a.buf))
	a.anchors.add(a.aligned, t)
}

func (a *audio) data(b []byte) {
	a.buf = append(a.buf, b...)
	a.drain(false)
}

func (a *audio) end()           {}
func (a *audio) flush()         { a.drain(true) }
func (a *audio) pending() bool  { return len(a.buf) > 0 }
func (a *audio) limit() (n int) { return len(a.buf) }

func (a *audio) lost() {
	a.base += int64(len(a.buf))
	a.buf = a.buf[:0]
	a.synced = false
	a.anchors.clear()
	a.next.ok = false
}

// drain hands out all whole frames.
func (a *audio) drain(final bool) {
	used := 0
	for used < len(a.buf) {
		b := a.buf[used:]
		n := a.form.size(b, final)
		if n == 0 && !final {
			break
		}
		if n > len(b) && (a.synced || a.base+int64(used) == a.aligned) && !final {
			break
		}
		if n > 0 && n <= len(b) && !a.synced && a.base+int64(used) != a.aligned {
			// Found in the middle of something: only believed if another follows.
			if after := b[n:]; len(after) > 0 {
				switch a.form.size(after, final) {
				case -1:
					n = -1
				case 0:
					if !final {
						n = 0
					}
				}
			} else if !final {
				n = 0
			}
			if n == 0 {
				break
			}
		}
		if n > len(b) && !a.synced && !final {
			break
		}
		if n <= 0 || n > len(b) {
			if a.synced {
				a.synced = false
				a.s.gap = true
				a.s.d.n.Frame++
			}
			used++
			continue
		}
		a.synced = true
		pos := a.base + int64(used)
		if t := a.anchors.at(pos); t.ok {
			a.next = stamp{pts: t.pts, dts: t.pts, ok: true}
		}
		a.form.frame(a, b[:n])
		used += n
	}
	a.base += int64(used)
	a.buf = a.buf[:copy(a.buf, a.buf[used:])]
}

// emit hands out one frame, and moves the clock on by its duration. It copies b.
func (a *audio) emit(b []byte) {
	data := bytes.Clone(b)
	a.s.emit(data, a.next, true)
	d := codec.FrameDuration(a.s.track, data)
	a.step(d)
}

func (a *audio) step(d time.Duration) {
	a.next.pts += d
	a.next.dts += d
	a.next.ok = a.next.ok && d > 0
}

// describe makes the track tell codec, rate and channels.
func (a *audio) describe(c transmux.Codec, rate, channels int) {
	t := a.s.track
	if t.Codec != c || t.Rate != rate || t.Channels != channels {
		a.s.retrack(func(t *transmux.Track) { t.Codec, t.Rate, t.Channels = c, rate, channels })
	}
}

// adts is AAC with ADTS heads (ISO 14496-3 1.A.2.2).
type adts struct{ head [3]byte }

func (*adts) size(b []byte, _ bool) int {
	if b[0] != 0xff || len(b) > 1 && b[1]&0xf6 != 0xf0 {
		return -1
	}
	if len(b) < 6 {
		return 0
	}
	n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5)
	if b[2]>>2&0xf > 12 || n < adtsHead(b) {
		return -1
	}
	return n
}

// adtsHead is the length of the head: with CRC it is 2 bytes longer.
func adtsHead(b []byte) int {
	if b[1]&1 == 0 {
		return 9
	}
	return 7
}

func (f *adts) frame(a *audio, b []byte) {
	object, channels := int(b[2]>>6)+1, int(b[2]&1)<<2|int(b[3]>>6)
	if head := [3]byte{b[2] & 0xfd, b[3] & 0xc0, 1}; head != f.head { // profile, rate and channels
		f.head = head
		rate := adtsRates()[b[2]>>2&0xf]
		config := codec.AAC(object, rate, channels)
		if channels == 7 {
			channels = 8
		}
		a.s.retrack(func(t *transmux.Track) {
			t.Codec, t.Rate, t.Channels, t.Config = transmux.AAC, rate, channels, config
		})
	}
	if len(b) > adtsHead(b) {
		a.emit(b[adtsHead(b):])
	}
}

func adtsRates() [13]int {
	return [13]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
}
