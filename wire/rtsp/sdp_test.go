package rtsp

import (
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

func sdpHeader() base.Header {
	return base.Header{"Content-Type": base.HeaderValue{"application/sdp"}}
}

func TestRepair(t *testing.T) {
	t.Parallel()
	const head = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
	for _, test := range []struct{ it, sdp, want string }{
		{"it leaves mode 1 alone", head + "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=\r\n", "packetization-mode=1;sprop-parameter-sets=Z0I=,aM4="},
		{"it raises mode 0", head + "a=fmtp:96 sprop-parameter-sets=Z0I=,aM4=;packetization-mode=0\r\n", "sprop-parameter-sets=Z0I=,aM4=;packetization-mode=1"},
		{"it adds a mode", head + "a=fmtp:96 profile-level-id=42001e\r\n", "a=fmtp:96 packetization-mode=1;profile-level-id=42001e"},
		{"it adds a line", head, "a=fmtp:96 packetization-mode=1"},
		{"it leaves other codecs alone", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n", "a=rtpmap:96 H265/90000\r\n"},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			got := string(Repair(sdpHeader(), []byte(test.sdp)))
			if !strings.Contains(got, test.want) || strings.Count(got, "packetization-mode") != strings.Count(test.want, "packetization-mode") {
				t.Errorf("got %q; want %q in it", got, test.want)
			}
			if again := string(Repair(sdpHeader(), []byte(got))); again != got {
				t.Errorf("got %q the second time; want no change", again)
			}
		})
	}
	if got := string(Repair(nil, []byte(head))); got != head {
		t.Errorf("got %q for a body that is no SDP; want it as it was", got)
	}
}

func FuzzRepair(f *testing.F) {
	f.Add([]byte("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=0\r\n"))
	f.Add([]byte("a=rtpmap:96 H264/90000"))
	f.Add([]byte("a=fmtp:\na=rtpmap:\n"))
	f.Fuzz(func(t *testing.T, sdp []byte) {
		once := Repair(sdpHeader(), sdp)
		if len(once) > len(sdp)*8+64 {
			t.Errorf("got %d bytes of %d", len(once), len(sdp))
		}
	})
}

func TestTrackNumber(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		it, url string
		want    int
	}{
		{"it reads the end of the path", "rtsp://h/live/a/trackID=1", 1},
		{"it reads after a query", "rtsp://h/live/a?x=y/trackID=2", 2},
		{"it takes the first if none is said", "rtsp://h/live/a/", 0},
		{"it refuses what is no number", "rtsp://h/live/a/trackID=x", -1},
	} {
		t.Run(test.it, func(t *testing.T) {
			t.Parallel()
			if got := trackNumber(test.url); got != test.want {
				t.Errorf("got %d; want %d", got, test.want)
			}
		})
	}
}

func TestRefusalsHaveOneLine(t *testing.T) {
	t.Parallel()
	if got := oneLine("no\r\nX-Header: 1\x00"); strings.ContainsAny(got, "\r\n\x00") {
		t.Errorf("got %q; want one line", got)
	}
}
