package container

import "weir/transmux"

// Only returns an Out that hands on the chosen tracks and leaves out the others; out itself if choose is nil. Like a
// demuxer, it is for one goroutine at a time.
func Only(out transmux.Out, choose transmux.Selection) transmux.Out {
	if choose == nil {
		return out
	}
	return &only{out: out, choose: choose}
}

type only struct {
	out    transmux.Out
	choose transmux.Selection
	all    []*transmux.Track
	picked map[int]*transmux.Track
}

func (o *only) SetTracks(all []*transmux.Track) {
	o.all = append(o.all[:0:0], all...)
	o.pick()
}

func (o *only) pick() {
	picked := o.choose.Pick(o.all)
	o.picked = make(map[int]*transmux.Track, len(picked))
	for _, t := range picked {
		o.picked[t.ID] = t
	}
	o.out.SetTracks(picked)
}

func (o *only) Write(au transmux.AccessUnit) error {
	if au.Track != o.picked[au.Track.ID] {
		o.note(au.Track)
	}
	if o.picked[au.Track.ID] == nil {
		return nil
	}
	return o.out.Write(au)
}

// note makes t a member of the set, in place of another track with its ID.
func (o *only) note(t *transmux.Track) {
	for i, other := range o.all {
		if other.ID != t.ID {
			continue
		}
		if other != t {
			o.all[i] = t
			if o.picked[t.ID] != nil {
				o.picked[t.ID] = t
			}
		}
		return
	}
	o.all = append(o.all, t)
	o.pick()
}
