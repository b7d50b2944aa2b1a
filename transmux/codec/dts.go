package codec

import (
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"weir/transmux"
)

const (
	maxReorder = 16               // pictures in a decoded picture buffer (ITU-T H.264 A.3.1, H.265 A.4.1)
	dtsJump    = 10 * time.Second // a step of PTS that is not reordering but another time line
	dtsFrame   = 40 * time.Millisecond
	maxSets    = 32  // parameter sets looked at in one unit
	maxWait    = 600 // units without an IDR picture, after which none is expected
)

// DTS derives decoding times for origins that tell only presentation times, as RTP does.
//
// Where the stream says how many pictures may be reordered (H.265 always, H.264 with bitstream restrictions, with
// picture order count type 2 or in baseline profile), the DTS of a unit is the smallest PTS that has not been one yet,
// that many units late. That is what encoders do, so the result is exact for any frame rate, and lost units do no harm.
// Elsewhere picture order counts are followed, until they lead to an error; from then on the reordering is estimated
// from the number of reference frames.
//
// For one goroutine at a time.
type DTS struct {
	codec   transmux.Codec
	reorder int           // units that may precede one in decoding and follow it in output order; -1: not told
	frame   time.Duration // duration of one, as far as it is known

	pending []time.Duration // ascending PTS that have not been a DTS
	last    time.Duration
	lastPTS time.Duration
	started bool // on this time line
	begun   bool // at all

	extract  *h264.DTSExtractor // nil when it is of no use
	anchored bool               // extract has had an IDR picture
	waited   int                // units without one
	refs     int
	sps      []byte
	pre      [][]byte // parameter sets of the configuration record, given to extract with its first unit
}

// NewDTS returns a DTS for a stream of codec c. config is the configuration record, nil if unknown.
func NewDTS(c transmux.Codec, config []byte) *DTS {
	d := &DTS{codec: c, frame: dtsFrame}
	if c != transmux.H264 && c != transmux.H265 {
		return d
	}
	d.reorder = -1
	d.pre = ParameterSets(&transmux.Track{Codec: c, Config: config})
	for _, s := range d.pre {
		d.noteSPS(s)
	}
	return d
}

// Next returns the DTS of a unit (au as [transmux.AccessUnit.Data]) with the given PTS. It is never above pts. It never
// decreases, except where pts itself goes back below what was already returned: when the origin's time jumps, and once
// when a stream turns out to reorder more than it told. The same arguments in the same order give the same results.
func (d *DTS) Next(au []byte, pts time.Duration) (dts time.Duration) {
	if d.codec == transmux.H264 || d.codec == transmux.H265 {
		sets := 0
		for nalu := range transmux.NALUs(au) {
			if sets < maxSets && IsParameterSet(d.codec, nalu) { // hostile units may be nothing but these
				sets++
				d.noteSPS(nalu)
			}
		}
	}
	if d.started && (pts-d.lastPTS > dtsJump || d.lastPTS-pts > dtsJump) {
		d.restart()
	}
	d.lastPTS = pts
	dts = d.derive(au, pts)
	d.last, d.started, d.begun = dts, true, true
	return dts
}

func (d *DTS) derive(au []byte, pts time.Duration) (dts time.Duration) {
	if d.reorder >= 0 {
		return d.byRank(au, pts)
	}
	if d.extract != nil && !d.anchored && d.waited < maxWait {
		if d.anchored = isClosedStart(d.codec, au); !d.anchored {
			// Picture order counts mean nothing before the first IDR picture.
			d.waited++
			d.reorder = d.guess()
			dts = d.byRank(au, pts)
			d.reorder = -1
			return dts
		}
		d.pending = d.pending[:0]
	}
	if dts, ok := d.byPictureOrder(au, pts); ok {
		return dts
	}
	d.reorder = d.guess()
	return d.byRank(au, pts)
}

// guess is how much may be reordered in a stream that does not tell: no more than there are reference frames.
func (d *DTS) guess() int { return min(max(d.refs, 1), 4) }

// noteSPS learns the reordering depth from nalu if it is an SPS that differs from the one before.
func (d *DTS) noteSPS(nalu []byte) {
	t := naluType(d.codec, nalu)
	if (d.codec != transmux.H264 || t != avcSPS) && (d.codec != transmux.H265 || t != hevcSPS) {
		return
	}
	if slices.Equal(nalu, d.sps) {
		return
	}
	d.sps = slices.Clone(nalu)
	var fps float64
	if d.codec == transmux.H264 {
		info, ok := parseAVCSPS(nalu)
		if !ok {
			return
		}
		d.refs, fps = info.refs, info.fps
		switch {
		case info.reorder >= 0:
			d.reorder, d.extract = info.reorder, nil
		case d.extract == nil && !d.started:
			d.extract = &h264.DTSExtractor{}
			d.extract.Initialize()
		}
	} else {
		info, ok := parseHEVCSPS(nalu)
		if !ok {
			return
		}
		d.reorder, fps = info.reorder, hevcFPS(nalu)
	}
	if fps > 0 {
		d.frame = time.Duration(float64(time.Second) / fps)
	}
}

// restart begins a new time line.
func (d *DTS) restart() {
	d.pending = d.pending[:0]
	d.started = false
	if d.extract != nil {
		d.extract = nil // it cannot start again in the middle
		d.reorder = d.guess()
	}
}

// byPictureOrder asks the picture order counts; ok is false for good once they make no sense.
func (d *DTS) byPictureOrder(au []byte, pts time.Duration) (dts time.Duration, ok bool) {
	if d.extract == nil {
		return 0, false
	}
	nalus := d.pre
	d.pre = nil
	for nalu := range transmux.NALUs(au) {
		nalus = append(nalus, nalu)
	}
	v, err := d.extract.Extract(nalus, int64(pts))
	if err != nil || d.started && pts < d.last {
		d.extract = nil
		return 0, false
	}
	// While it is learning how much is reordered it may be off by a little.
	dts = min(time.Duration(v), pts)
	if d.started {
		dts = max(dts, d.last)
	}
	return dts, true
}

// byRank returns the smallest PTS that has not been a DTS yet, reorder units late.
func (d *DTS) byRank(au []byte, pts time.Duration) time.Duration {
	if d.started && pts < d.last {
		// More is reordered than we knew. From here on it is known.
		if d.reorder < maxReorder {
			d.reorder++
		}
		d.pending = d.pending[:0]
		d.last = pts - d.frame
	}
	i, _ := slices.BinarySearch(d.pending, pts)
	d.pending = slices.Insert(d.pending, i, pts)
	if len(d.pending) <= d.reorder {
		return d.early(au, pts)
	}
	var dts time.Duration
	for len(d.pending) > d.reorder {
		dts = d.pending[0]
		d.pending = d.pending[:copy(d.pending, d.pending[1:])]
	}
	return dts
}

// early is a DTS for the first units, as long as less units are pending than may be reordered.
func (d *DTS) early(au []byte, pts time.Duration) time.Duration {
	if !d.started {
		n := d.reorder
		if !isClosedStart(d.codec, au) {
			n += 2 * d.reorder // pictures that precede the first one in output order may follow
		}
		dts := pts - time.Duration(n)*d.frame
		if d.begun && pts >= d.last {
			return max(dts, d.last)
		}
		return dts
	}
	return max(min(d.last+d.frame, d.pending[0]), d.last)
}

// isClosedStart reports whether no picture after au in decoding order precedes it in output order.
func isClosedStart(c transmux.Codec, au []byte) bool {
	for nalu := range transmux.NALUs(au) {
		t := naluType(c, nalu)
		if c == transmux.H264 && t == avcIDR || c == transmux.H265 && (t == 19 || t == 20) {
			return true
		}
	}
	return false
}
