package mpegts

import "bytes"

const (
	confirmFirst = 5 // packets in a row that must begin with a sync byte before any is believed
	confirmAgain = 3 // the same, when the packet size is known
)

// syncer cuts a byte stream into packets.
type syncer struct {
	n    *Counters
	size int    // distance of packets; 0 while it is searched
	last int    // the distance before it was lost
	debt int    // bytes to leave out, of a packet whose last bytes have not come
	rest []byte // what waits for more
}

// write calls each with the 188 bytes of every packet. final tells that nothing more comes.
func (s *syncer) write(b []byte, final bool, each func([]byte)) {
	if s.debt > 0 {
		n := min(s.debt, len(b))
		s.debt -= n
		b = b[n:]
	}
	joined := len(s.rest) > 0
	if joined {
		s.rest = append(s.rest, b...)
		b = s.rest
	}
	used := s.cut(b, final, each)
	if used > len(b) {
		s.debt, used = used-len(b), len(b)
	}
	if joined {
		s.rest = s.rest[:copy(s.rest, b[used:])]
	} else {
		s.rest = append(s.rest[:0], b[used:]...)
	}
}

// cut returns how many bytes are done with; it may exceed len(b) by what belongs to the last packet.
func (s *syncer) cut(b []byte, final bool, each func([]byte)) int {
	pos := 0
	for {
		if s.size == 0 {
			off, size := s.find(b[min(pos, len(b)):], final)
			s.n.Skipped += uint64(off)
			pos += off
			if size == 0 {
				return pos
			}
			s.size, s.last = size, size
		}
		if len(b)-pos < PacketSize {
			if final && pos < len(b) {
				s.n.Skipped += uint64(len(b) - pos)
				return len(b)
			}
			return pos
		}
		next := pos + s.size
		if b[pos] != syncByte {
			if next >= len(b) && !final {
				return pos
			}
			s.n.SyncByte++
			if next < len(b) && b[next] == syncByte && (next+s.size >= len(b) || b[next+s.size] == syncByte) {
				pos = next // only this byte is damaged, and with it maybe more of this packet
				continue
			}
			s.lose()
			continue
		}
		if next < len(b) && b[next] != syncByte {
			// Either the next sync byte is damaged, or bytes are missing or too many in this packet.
			if next+s.size >= len(b) && !final {
				return pos
			}
			if next+s.size < len(b) && b[next+s.size] != syncByte {
				s.n.SyncByte++
				s.lose()
				pos++
				s.n.Skipped++
				continue
			}
		}
		each(b[pos : pos+PacketSize])
		pos = next
	}
}

func (s *syncer) lose() {
	s.n.SyncLoss++
	s.size = 0
}

// find looks for the first packet: off bytes are to be left out, size is the distance of packets or 0 if more must come.
func (s *syncer) find(b []byte, final bool) (off, size int) {
	for {
		i := bytes.IndexByte(b[off:], syncByte)
		if i < 0 {
			return len(b), 0
		}
		off += i
		wait := false
		for _, try := range [...]int{s.last, PacketSize, 192, 204} {
			if try == 0 {
				continue
			}
			need := confirmFirst
			if try == s.last {
				need = confirmAgain
			}
			good, open := confirmed(b[off:], try, need, final)
			if good {
				return off, try
			}
			wait = wait || open
		}
		if wait {
			return off, 0
		}
		off++
	}
}

// confirmed reports whether need packets of a size begin here, or whether more bytes must come to know.
func confirmed(b []byte, size, need int, final bool) (good, open bool) {
	if final && len(b) < PacketSize {
		return false, false
	}
	for k := 1; k < need; k++ {
		if k*size >= len(b) {
			return final, !final
		}
		if b[k*size] != syncByte {
			return false, false
		}
	}
	return true, false
}
