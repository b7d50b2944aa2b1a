package codec

import (
	"bytes"
	"maps"
	"slices"

	"weir/transmux"
)

// maxParams bounds the bytes of all parameter sets that a Params remembers.
const maxParams = 64 << 10

// A Params follows the parameter sets of an H.264 or H.265 stream in band and says when the configuration record
// changes. The newest set of each ID counts. For one goroutine at a time.
type Params struct {
	codec   transmux.Codec
	sets    map[int][]byte // by key: kind, then ID
	size    int
	record  []byte
	dirty   bool // sets are newer than record
	changed bool // record is newer than what Config returned
}

// NewParams starts from a configuration record, which may be nil.
func NewParams(c transmux.Codec, config []byte) *Params {
	p := &Params{codec: c, sets: make(map[int][]byte)}
	t := transmux.Track{Codec: c, Config: config}
	for _, s := range ParameterSets(&t) {
		p.Note(s)
	}
	p.dirty = false
	if p.complete() {
		p.record = config
	}
	return p
}

// Note remembers nalu if it is a parameter set; other and malformed NAL units are ignored, and sets that do not fit in
// 64 KiB altogether. It does not keep nalu.
func (p *Params) Note(nalu []byte) {
	if !IsParameterSet(p.codec, nalu) {
		return
	}
	id, ok := p.key(nalu)
	if !ok {
		return
	}
	old := p.sets[id]
	if bytes.Equal(old, nalu) || p.size-len(old)+len(nalu) > maxParams {
		return
	}
	p.size += len(nalu) - len(old)
	p.sets[id] = bytes.Clone(nalu)
	p.dirty = true
}

// Config returns the configuration record, nil as long as a kind of parameter set is missing, and whether it changed
// since the last call (or since NewParams).
func (p *Params) Config() (config []byte, changed bool) {
	if p.dirty && p.complete() {
		p.dirty = false
		if r := p.build(); r != nil && !bytes.Equal(r, p.record) {
			p.record, p.changed = r, true
		}
	}
	changed, p.changed = p.changed, false
	return p.record, changed
}

// setKey makes kinds sort in decoding order and IDs within them.
func setKey(kind, id int) int { return kind<<8 | id }

// key returns where nalu is kept; ok is false if its ID is out of range.
func (p *Params) key(nalu []byte) (key int, ok bool) {
	kind := naluType(p.codec, nalu)
	var id uint32
	limit := uint32(255)
	switch {
	case p.codec == transmux.H264 && kind == avcSPS:
		if len(nalu) < 5 {
			return 0, false
		}
		r := bitReader{b: nalu[4:min(len(nalu), 12)]}
		id, ok, limit = r.ue(), !r.bad, 31
	case p.codec == transmux.H264:
		r := bitReader{b: nalu[1:min(len(nalu), 12)]}
		id, ok = r.ue(), !r.bad
	case kind == hevcVPS:
		if len(nalu) < 4 {
			return 0, false
		}
		id, ok = uint32(nalu[2]>>4), true
	case kind == hevcSPS:
		var info hevcInfo
		info, ok = parseHEVCSPS(nalu)
		id = info.id
	default:
		if len(nalu) < 3 {
			return 0, false
		}
		r := bitReader{b: nalu[2:min(len(nalu), 12)]}
		id, ok, limit = r.ue(), !r.bad, 63
	}
	if !ok || id > limit {
		return 0, false
	}
	return setKey(kind, int(id)), true
}

// of returns the sets of a kind, ordered by ID.
func (p *Params) of(kind int) (sets [][]byte) {
	for _, k := range slices.Sorted(maps.Keys(p.sets)) {
		if k>>8 == kind {
			sets = append(sets, p.sets[k])
		}
	}
	return sets
}

func (p *Params) complete() bool {
	need := []int{avcSPS, avcPPS}
	if p.codec == transmux.H265 {
		need = []int{hevcVPS, hevcSPS, hevcPPS}
	}
	var have [64]bool
	for k := range p.sets {
		have[k>>8] = true
	}
	return !slices.ContainsFunc(need, func(kind int) bool { return !have[kind] })
}

func (p *Params) build() []byte {
	if p.codec == transmux.H265 {
		return HVCC(p.of(hevcVPS), p.of(hevcSPS), p.of(hevcPPS))
	}
	sps := p.of(avcSPS)
	return AVCC(sps[:min(len(sps), 31)], p.of(avcPPS)[:min(len(p.of(avcPPS)), 255)])
}
