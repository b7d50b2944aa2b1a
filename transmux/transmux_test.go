package transmux_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"weir/transmux"
)

func TestNALUs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   []byte
		want []string
	}{
		{"it finds none in nothing", nil, nil},
		{"it finds all", []byte("\x00\x00\x00\x01a\x00\x00\x00\x03bcd"), []string{"a", "bcd"}},
		{"it leaves out empty ones", []byte("\x00\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x00\x00"), []string{"a"}},
		{"it stops at a length that does not fit", []byte("\x00\x00\x00\x01a\x00\x00\x00\x03bc"), []string{"a"}},
		{"it stops at a huge length", []byte("\x00\x00\x00\x01a\xff\xff\xff\xffbc"), []string{"a"}},
		{"it stops at a broken length", []byte("\x00\x00\x00\x01a\x00\x00\x00"), []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for n := range (&transmux.AccessUnit{Data: c.in}).NALUs() {
				got = append(got, string(n))
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
	t.Run("it ends when told", func(t *testing.T) {
		t.Parallel()
		for n := range transmux.NALUs([]byte("\x00\x00\x00\x01a\x00\x00\x00\x01b")) {
			if string(n) != "a" {
				t.Errorf("got %q; want a", n)
			}
			break
		}
	})
}

func FuzzNALUs(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x01a\x00\x00\x00\x03bcd"))
	f.Add([]byte("\x00\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var again []byte
		for n := range transmux.NALUs(in) {
			if len(n) == 0 || cap(n) != len(n) {
				t.Fatalf("got a view of %d bytes with room for %d; want some, without room", len(n), cap(n))
			}
			again = append(binary.BigEndian.AppendUint32(again, uint32(len(n))), n...)
		}
		if len(again) > len(in) {
			t.Fatalf("got %d bytes of NAL units out of %d", len(again), len(in))
		}
		var twice []byte
		for n := range transmux.NALUs(again) {
			twice = append(binary.BigEndian.AppendUint32(twice, uint32(len(n))), n...)
		}
		if !bytes.Equal(again, twice) {
			t.Fatalf("got %x; want %x", twice, again)
		}
	})
}

func TestCodecs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		codec  transmux.Codec
		kind   transmux.Kind
		name   string
		config bool
	}{
		{transmux.H264, transmux.KindVideo, "video", true},
		{transmux.H265, transmux.KindVideo, "video", true},
		{transmux.VP6A, transmux.KindVideo, "video", false},
		{transmux.AAC, transmux.KindAudio, "audio", true},
		{transmux.PCMFLV, transmux.KindAudio, "audio", false},
		{transmux.AMF, transmux.KindData, "data", false},
		{"of tomorrow", transmux.KindData, "data", false},
	} {
		t.Run("it knows "+string(c.codec), func(t *testing.T) {
			t.Parallel()
			track := &transmux.Track{Codec: c.codec}
			if got := track.Kind(); got != c.kind || got.String() != c.name {
				t.Errorf("got kind %v; want %v", got, c.name)
			}
			if got := c.codec.NeedsConfig(); got != c.config {
				t.Errorf("got needs config %v; want %v", got, c.config)
			}
			if got := track.Configured(); got == c.config {
				t.Errorf("got configured %v without a record; want %v", got, !c.config)
			}
			if track.Config = []byte{1}; !track.Configured() {
				t.Error("got not configured with a record; want it")
			}
		})
	}
}
