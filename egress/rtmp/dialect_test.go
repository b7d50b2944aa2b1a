package rtmp

import (
	"testing"

	"weir/transmux"
	wirertmp "weir/wire/rtmp"
)

func TestDialects(t *testing.T) {
	t.Parallel()
	vp8 := &transmux.Track{Codec: transmux.VP8}
	private := &transmux.Track{Codec: transmux.KLV}
	all := []*transmux.Track{h264, aac, cues, h265, av1, opus, vp8, private}
	const classic = "h264 aac amf "
	for _, c := range []struct {
		name       string
		d          dialect
		want       string
		multitrack bool
	}{
		{"it gives a classic player what FLV always had", ofPlayer(&wirertmp.ConnectRequest{}), classic, false},
		{"it takes capsEx alone for classic", ofPlayer(&wirertmp.ConnectRequest{CapsEx: wirertmp.CapsMultitrack}), classic, false},
		{"it gives a player what it lists", ofPlayer(&wirertmp.ConnectRequest{FourCCs: []string{"av01", "vp08"}}), classic + "av1 vp8 ", false},
		{"it gives a player what its map lists", ofPlayer(&wirertmp.ConnectRequest{VideoFourCC: map[string]int{"hvc1": wirertmp.CanDecode, "av01": wirertmp.CanEncode}}), classic + "h265 ", false},
		{"it gives all to who wants all", ofPlayer(&wirertmp.ConnectRequest{FourCCs: []string{"*"}, CapsEx: wirertmp.CapsMultitrack}), classic + "h265 av1 opus vp8 ", true},
		{"it sends Enhanced RTMP v1 to a server that says nothing", ofServer(wirertmp.Capabilities{}), classic + "h265 av1 ", false},
		{"it obeys the list of a server", ofServer(wirertmp.Capabilities{FourCCs: []string{"Opus"}}), classic + "opus ", false},
		{"it obeys the maps of a server", ofServer(wirertmp.Capabilities{AudioFourCC: map[string]int{"*": wirertmp.CanForward}, CapsEx: wirertmp.CapsMultitrack}), classic + "h265 av1 opus vp8 ", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			for _, track := range all {
				if c.d.carries(track) == nil {
					got += string(track.Codec) + " "
				}
			}
			if got != c.want || c.d.options().Multitrack != c.multitrack {
				t.Errorf("got %q, several tracks %v; want %q, %v", got, c.d.options().Multitrack, c.want, c.multitrack)
			}
		})
	}
	if a, b := ofPlayer(&wirertmp.ConnectRequest{FourCCs: []string{"hvc1", "av01"}}), ofPlayer(&wirertmp.ConnectRequest{FourCCs: []string{"av01", "zzzz", "hvc1"}}); a.format() != b.format() {
		t.Errorf("got formats %q and %q; want one, so that players share it", a.format(), b.format())
	}
}
