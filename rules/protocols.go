package rules

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// A Role is what a protocol, a scheme or a listener can be asked to do.
type Role uint8

// RoleFetch and RoleSend are roles of URL schemes, RoleServe of protocols, RoleListen of the keys of `listen`.
const (
	RoleFetch Role = iota
	RoleSend
	RoleServe
	RoleListen
)

// A Protocol is a name that a match may use; serve may use it if players can have streams over it.
type Protocol struct {
	Name  string
	Serve bool
}

// Protocols returns all of them, built or not.
func Protocols() []Protocol {
	return []Protocol{
		{"rtmp", true}, {"rtmps", true}, {"rtmpe", true}, {"rtmpt", true}, {"rtmpte", true}, {"rtmpts", true}, {"rtmfp", true},
		{"rtsp", true}, {"rtsps", true}, {"http-flv", true}, {"ws-flv", true}, {"http-ts", true}, {"http-mp4", true}, {"hls", true},
		{"whip", false}, {"whep", true}, {"srt", true}, {"mjpeg", true}, {"moq", true},
		{"udp", false}, {"rtp", false}, {"tcp", false}, {"onvif", false}, {"nats", false}, {"stdin", false}, {"demo", false}, {"stream", false},
	}
}

// A Scheme is how a URL in `sources` or `send` begins.
type Scheme struct {
	Name     string
	Protocol string // of what is fetched with it; empty if the path decides (http, https)
	Port     int    // default; 0 if the URL must name one, -1 if there is none
	Fetch    bool   // it may stand in sources
	Send     bool   // it may stand in send
	Opaque   bool   // no // and no host follow
}

// Schemes returns all of them, built or not.
func Schemes() []Scheme {
	return []Scheme{
		{"rtmp", "rtmp", 1935, true, true, false}, {"rtmps", "rtmps", 443, true, true, false},
		{"rtmpt", "rtmpt", 80, true, true, false}, {"rtmpts", "rtmpts", 443, true, true, false},
		{"rtmpe", "rtmpe", 1935, true, true, false}, {"rtmpte", "rtmpte", 80, true, true, false},
		{"rtmfp", "rtmfp", 1935, true, true, false},
		{"rtsp", "rtsp", 554, true, true, false}, {"rtsps", "rtsps", 322, true, true, false},
		{"onvif", "onvif", 80, true, false, false},
		{"udp", "udp", 0, true, true, false}, {"rtp", "rtp", 0, true, true, false}, {"rtp+sdp", "rtp", -1, true, false, true},
		{"tcp", "tcp", 0, true, true, false},
		{"http", "", 80, true, true, false}, {"https", "", 443, true, true, false},
		{"ws", "ws-flv", 80, true, false, false}, {"wss", "ws-flv", 443, true, false, false},
		{"srt", "srt", 0, true, true, false},
		{"whip", "whip", 80, false, true, false}, {"whips", "whip", 443, false, true, false},
		{"whep", "whep", 80, true, false, false}, {"wheps", "whep", 443, true, false, false},
		{"moqt", "moq", 443, true, true, false}, {"nats", "nats", 4222, true, true, false},
		{"stdin", "stdin", -1, true, false, true}, {"stdout", "", -1, false, true, true},
		{"demo", "demo", -1, true, false, true}, {"stream", "stream", -1, true, false, true},
	}
}

// A ListenerKind is a key that `listen` may have.
type ListenerKind struct {
	Name    string
	Address string // an example
	Network string // "tcp" or "udp"
	TLS     bool   // it requires a certificate
	Serves  []string
	OverTLS []string // served besides if it has a certificate
}

// Listeners returns all kinds, built or not.
func Listeners() []ListenerKind {
	web := []string{"http-flv", "ws-flv", "http-ts", "http-mp4", "hls", "whep", "mjpeg"}
	return []ListenerKind{
		{"rtmp", ":1935", "tcp", false, []string{"rtmp", "rtmpe"}, []string{"rtmps"}},
		{"rtmps", ":1936", "tcp", true, []string{"rtmps"}, nil},
		{"rtsp", ":8554", "tcp", false, []string{"rtsp"}, []string{"rtsps"}},
		{"rtsps", ":8322", "tcp", true, []string{"rtsps"}, nil},
		{"http", ":8080", "tcp", false, append(slices.Clone(web), "rtmpt", "rtmpte"), []string{"rtmpts"}},
		{"https", ":8443", "tcp", true, append(slices.Clone(web), "rtmpts"), nil},
		{"rtmfp", ":1935", "udp", false, []string{"rtmfp"}, nil},
		{"srt", ":8890", "udp", false, []string{"srt"}, nil},
		{"moq", ":4433", "udp", true, []string{"moq"}, nil},
		{"admin", "127.0.0.1:9090", "tcp", false, nil, nil},
	}
}

// Codecs returns the codec names that a match may use, video first.
func Codecs() (video, audio []string) {
	return []string{"h264", "h265", "av1", "vp8", "vp9", "mpeg2video", "mpeg4video", "mjpeg", "h263", "screen", "screen2", "vp6", "vp6a"},
		[]string{"aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "pcma", "pcmu", "l16", "g722", "g726", "speex", "nellymoser", "adpcm", "pcm"}
}

// ProtocolOf returns the name that rules use for what is fetched from u: for http and https the path decides, and it is
// "http" if the path does not tell.
func ProtocolOf(u *url.URL) string {
	s, ok := scheme(strings.ToLower(u.Scheme))
	if !ok {
		return u.Scheme
	}
	if s.Protocol != "" || !s.Fetch {
		return s.Protocol
	}
	switch strings.ToLower(path.Ext(u.Path)) {
	case ".flv":
		return "http-flv"
	case ".ts", ".m2ts", ".mts", ".mpegts":
		return "http-ts"
	case ".mp4":
		return "http-mp4"
	case ".m3u8", ".m3u":
		return "hls"
	case ".mjpg", ".mjpeg", ".cgi":
		return "mjpeg"
	}
	return "http"
}

func scheme(name string) (Scheme, bool) {
	for _, s := range Schemes() {
		if s.Name == name {
			return s, true
		}
	}
	return Scheme{}, false
}

func protocol(name string) (Protocol, bool) {
	for _, p := range Protocols() {
		if p.Name == name {
			return p, true
		}
	}
	return Protocol{}, false
}

func listenerKind(name string) (ListenerKind, bool) {
	for _, k := range Listeners() {
		if k.Name == name {
			return k, true
		}
	}
	return ListenerKind{}, false
}

// protocolNames are the protocols of one role, for suggestions: of RoleServe those that can be served, else all.
func protocolNames(r Role) []string {
	var out []string
	for _, p := range Protocols() {
		if r != RoleServe || p.Serve {
			out = append(out, p.Name)
		}
	}
	return out
}

// schemeNames are the schemes of one role, for suggestions.
func schemeNames(r Role) []string {
	var out []string
	for _, s := range Schemes() {
		if r == RoleFetch && s.Fetch || r == RoleSend && s.Send {
			out = append(out, s.Name)
		}
	}
	return out
}
