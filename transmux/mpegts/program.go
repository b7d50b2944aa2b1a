package mpegts

import (
	"slices"

	"weir/transmux"
)

// maxPrograms bounds what a PAT may list.
const maxPrograms = 512

// program is what is known of one program.
type program struct {
	number, pmtPID, pcrPID uint16
	seen                   int // PMT sections, repetitions too
	name, provider         string
	streams                []pmtEntry

	hasPCR bool
	pcr    uint64 // latest, 27 MHz modulo 2^33*300
	span   uint64 // sum of all healthy steps
}

const pcrRange = 300 << 33

// notePCR reports whether the step was wrong (TR 101 290 2.3b).
func (p *program) notePCR(v uint64, discontinuity bool) (jump bool) {
	if p.hasPCR && !discontinuity {
		step := (v + pcrRange - p.pcr) % pcrRange
		jump = step > 27_000_000/10
		if step < 10*27_000_000 {
			p.span += step
		}
	}
	p.pcr, p.hasPCR = v, true
	return jump
}

func (p *program) hasMedia() bool {
	return slices.ContainsFunc(p.streams, func(e pmtEntry) bool { return e.codec().Kind() != transmux.KindData })
}

func (d *Demuxer) gotPAT(section []byte, again bool) {
	if again {
		return
	}
	t, ok := parseTable(section)
	if !ok || t.id != tablePAT {
		d.n.Section++
		return
	}
	if !t.current {
		return
	}
	if t.number == 0 || t.version != d.patVer {
		d.patVer, d.patHave, d.pat = t.version, [256]bool{}, nil
	}
	if !d.patHave[t.number] {
		d.patHave[t.number] = true
		d.pat = append(d.pat, parsePAT(t.body)...)
	}
	for i := range int(t.last) + 1 {
		if !d.patHave[i] {
			return
		}
	}
	d.setPrograms(d.pat)
}

// setPrograms makes the program list that of a complete PAT.
func (d *Demuxer) setPrograms(list []patEntry) {
	old := d.programs
	d.programs = nil
	for _, e := range list[:min(len(list), maxPrograms)] {
		i := slices.IndexFunc(old, func(p *program) bool { return p.number == e.number && p.pmtPID == e.pid })
		if i >= 0 {
			d.programs = append(d.programs, old[i])
		} else if !slices.ContainsFunc(d.programs, func(p *program) bool { return p.number == e.number }) {
			d.programs = append(d.programs, &program{number: e.number, pmtPID: e.pid, pcrPID: noPID})
		}
	}
	for _, p := range old {
		if !slices.Contains(d.programs, p) {
			d.setClock(p, noPID)
			if p == d.current {
				d.current = nil // its tracks stay until another PMT comes
			}
			pid := d.pid(p.pmtPID)
			if pid.sections != nil && !slices.ContainsFunc(d.programs, func(o *program) bool { return o.pmtPID == p.pmtPID }) {
				pid.sections = nil
			}
		}
	}
	for _, p := range d.programs {
		pid := d.pid(p.pmtPID)
		if pid.sections == nil {
			from := p.pmtPID
			pid.sections = &assembler{n: &d.n, got: func(s []byte, again bool) { d.gotPMT(from, s, again) }}
		}
	}
	d.name()
	d.choose()
}

func (d *Demuxer) gotPMT(pid uint16, section []byte, again bool) {
	if section[0] != tablePMT {
		return // other tables may share the PID
	}
	t, ok := parseTable(section)
	if !ok {
		d.n.Section++
		return
	}
	i := slices.IndexFunc(d.programs, func(p *program) bool { return p.number == t.extension && p.pmtPID == pid })
	if i < 0 || !t.current {
		return
	}
	p := d.programs[i]
	p.seen++
	if again && p.seen > 2 {
		return
	}
	pcr, _, list, ok := parsePMT(t.body)
	if !ok {
		d.n.Section++
		return
	}
	d.setClock(p, pcr)
	p.streams = list
	if p == d.current {
		d.attach()
		return
	}
	d.choose()
}

func (d *Demuxer) setClock(p *program, pid uint16) {
	if p.pcrPID == pid {
		return
	}
	if p.pcrPID != noPID {
		old := d.pid(p.pcrPID)
		old.clocks = slices.DeleteFunc(old.clocks, func(o *program) bool { return o == p })
	}
	p.pcrPID, p.hasPCR = pid, false
	if pid != noPID {
		now := d.pid(pid)
		now.clocks = append(now.clocks, p)
	}
}

// choose takes the program that was asked for. Without a wish it is the first in the PAT that has media: a later one is
// taken only when the PMT of all before have come, or when its own came twice and they are silent.
func (d *Demuxer) choose() {
	if d.current != nil {
		return
	}
	silent := false
	for _, p := range d.programs {
		if d.opts.Program != 0 && int(p.number) != d.opts.Program {
			continue
		}
		if p.seen == 0 {
			silent = true
			continue
		}
		if d.opts.Program == 0 && (!p.hasMedia() || silent && p.seen < 2) {
			continue
		}
		d.current = p
		d.attach()
		return
	}
}

func (d *Demuxer) gotSDT(section []byte, again bool) {
	if again || section[0] != tableSDT {
		return
	}
	t, ok := parseTable(section)
	if !ok {
		d.n.Section++
		return
	}
	if !t.current {
		return
	}
	if t.number == 0 {
		d.services = nil
	}
	if len(d.services) < maxPrograms {
		d.services = append(d.services, parseSDT(t.body)...)
	}
	d.name()
}

// name gives programs the names of their services; either may come first.
func (d *Demuxer) name() {
	for _, e := range d.services {
		for _, p := range d.programs {
			if p.number == e.number {
				p.name, p.provider = e.name, e.provider
			}
		}
	}
}

// A Program describes one program of the stream, for a person.
type Program struct {
	Number         int
	Name, Provider string // service name and provider of the SDT, or empty
	PMT, PCR       uint16 // PIDs; PCR is 0x1fff if the program has none
	Selected       bool   // it is the one that is taken
	Streams        []Stream
}

// A Stream describes one PID of a program.
type Stream struct {
	PID       uint16
	Type      uint8 // stream_type of the PMT
	Codec     transmux.Codec
	Lang      string
	Scrambled bool
	Packets   uint64
	Rate      int // bit/s of all its packets, by the PCR; 0 if unknown
}

// Programs returns what is known of all programs, in the order of the PAT.
func (d *Demuxer) Programs() []Program {
	out := make([]Program, 0, len(d.programs))
	for _, p := range d.programs {
		info := Program{
			Number: int(p.number), Name: p.name, Provider: p.provider,
			PMT: p.pmtPID, PCR: p.pcrPID, Selected: p == d.current,
		}
		for i := range p.streams {
			e := &p.streams[i]
			pid := d.pid(e.pid)
			s := Stream{
				PID: e.pid, Type: e.streamType, Codec: e.codec(), Lang: language(e.descriptors),
				Scrambled: pid.scrambled > 0, Packets: pid.packets,
			}
			if info.Selected && pid.es != nil {
				s.Codec = pid.es.track.Codec
			}
			if p.span > 0 {
				s.Rate = int(float64(pid.packets*PacketSize*8) * 27e6 / float64(p.span))
			}
			info.Streams = append(info.Streams, s)
		}
		out = append(out, info)
	}
	return out
}
