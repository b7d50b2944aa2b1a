package udp

import (
	"time"

	"weir/transmux/mpegts"
	"weir/wire/udp"
)

// report is what an analyser says of what was sent.
type report struct {
	packets, nulls, continuity int
	clocks                     int
	clockGap                   time.Duration // between PCRs, by their value
	clockError                 time.Duration // of PCR against the time of sending, after the first
	psiGap                     time.Duration // between PATs, by the time of sending
	burst                      int           // most datagrams within 5 ms
	discontinuities            int
	clockBack                  bool
	units                      map[uint16]int
	slack                      time.Duration // least time from sending the begin of a unit to its DTS
	stray                      int           // datagrams that are not whole packets
}

func analyse(all []sent, rtp bool) (r report) {
	r.units = make(map[uint16]int)
	r.slack = time.Hour
	cc := make(map[uint16]int)
	var first, last, lastPSI, zero time.Duration
	for i, s := range all {
		data := s.data
		if rtp {
			_, data, _ = udp.ParseRTP(data)
		}
		if len(data) == 0 || len(data)%188 != 0 {
			r.stray++
			continue
		}
		n := 0
		for j := i; j < len(all) && all[j].at-s.at < 5*time.Millisecond; j++ {
			n++
		}
		r.burst = max(r.burst, n)
		for len(data) > 0 {
			p := data[:188]
			data = data[188:]
			r.packets++
			pid := pidOf(p)
			if pid == nullPID {
				r.nulls++
				continue
			}
			if hasPayload(p) {
				if prev, ok := cc[pid]; ok && (prev+1)&15 != int(p[3]&15) {
					r.continuity++
				}
				cc[pid] = int(p[3] & 15)
			}
			if ticks, _, ok := mpegts.PCR(p); ok {
				pcr := time.Duration(float64(ticks) / 27e6 * 1e9)
				if p[5]&0x80 != 0 {
					r.discontinuities++
				}
				if r.clocks == 0 || p[5]&0x80 != 0 {
					first = pcr - s.at
				} else {
					r.clockGap = max(r.clockGap, pcr-last)
					r.clockBack = r.clockBack || pcr < last
				}
				r.clockError = max(r.clockError, (pcr - s.at - first).Abs())
				zero = first
				last = pcr
				r.clocks++
			}
			if pid == 0 {
				if lastPSI > 0 {
					r.psiGap = max(r.psiGap, s.at-lastPSI)
				}
				lastPSI = s.at
			}
			if starts(p) && pid != 0 && pid != 0x11 && pid != 0x1000 {
				r.units[pid]++
				if dts, ok := dtsOf(p); ok {
					r.slack = min(r.slack, dts-(s.at+zero))
				}
			}
		}
	}
	return r
}

// dtsOf reads DTS, or PTS if there is none, of a packet that begins a PES packet.
func dtsOf(p []byte) (time.Duration, bool) {
	at := 4
	if p[3]&0x20 != 0 {
		at += 1 + int(p[4])
	}
	h := p[at:]
	if len(h) < 19 || h[7]&0x80 == 0 {
		return 0, false
	}
	b := h[9:]
	if h[7]&0x40 != 0 {
		b = h[14:]
	}
	t := int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	return time.Duration(t) * time.Second / 90000, true
}
