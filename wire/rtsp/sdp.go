package rtsp

import (
	"bytes"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// A repair mends what some devices write in their descriptions. It gets the whole SDP and returns it, changed or not.
type repair struct {
	name string // for whom or what
	mend func(sdp []byte) []byte
}

// repairs lists all, in order. Whoever meets another device adds a row and a test.
func repairs() []repair {
	return []repair{
		{"H.264 without packetization-mode", packetizationMode},
	}
}

// Repair mends the body of a message that carries a description; others are left alone.
func Repair(header base.Header, body []byte) []byte {
	ct := header["Content-Type"]
	if len(body) == 0 || len(ct) != 1 || !strings.HasPrefix(strings.ToLower(ct[0]), "application/sdp") {
		return body
	}
	for _, r := range repairs() {
		body = r.mend(body)
	}
	return body
}

// packetizationMode announces mode 1 where H.264 is announced with mode 0 or none (RFC 6184 8.1): a receiver of mode 1
// reads mode 0 as well, and over any transport.
func packetizationMode(sdp []byte) []byte {
	lines := bytes.Split(sdp, []byte("\n"))
	types := make(map[string]bool) // of H.264
	for _, l := range lines {
		if pt, rest, ok := attribute(l, "a=rtpmap:"); ok && strings.HasPrefix(strings.ToUpper(rest), "H264/") {
			types[pt] = true
		}
	}
	if len(types) == 0 {
		return sdp
	}
	var out [][]byte
	seen := make(map[string]bool)
	for _, l := range lines {
		if pt, rest, ok := attribute(l, "a=fmtp:"); ok && types[pt] {
			seen[pt] = true
			l = []byte("a=fmtp:" + pt + " " + withMode1(rest))
		}
		out = append(out, l)
	}
	for i := 0; i < len(out); i++ {
		if pt, _, ok := attribute(out[i], "a=rtpmap:"); ok && types[pt] && !seen[pt] {
			seen[pt] = true
			fmtp := []byte("a=fmtp:" + pt + " packetization-mode=1")
			out = append(out[:i+1], append([][]byte{fmtp}, out[i+1:]...)...)
		}
	}
	return bytes.Join(out, []byte("\n"))
}

// attribute takes a line like "a=rtpmap:96 H264/90000" apart.
func attribute(line []byte, prefix string) (pt, rest string, ok bool) {
	s, ok := strings.CutPrefix(strings.TrimSpace(string(line)), prefix)
	if !ok {
		return "", "", false
	}
	pt, rest, ok = strings.Cut(s, " ")
	return pt, strings.TrimSpace(rest), ok
}

func withMode1(fmtp string) string {
	fields := strings.Split(fmtp, ";")
	for i, f := range fields {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		if strings.EqualFold(k, "packetization-mode") {
			if v == "0" {
				fields[i] = "packetization-mode=1"
			}
			return strings.Join(fields, ";")
		}
	}
	return "packetization-mode=1;" + fmtp
}
