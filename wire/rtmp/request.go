package rtmp

import (
	"net/url"
	"path"
	"strconv"
	"strings"

	"weir/transmux/amf"
)

// Bits of capsEx (Enhanced RTMP v2, NetConnection connect).
const (
	CapsReconnect       = 1
	CapsMultitrack      = 2
	CapsModEx           = 4
	CapsTimestampOffset = 8
)

// Values of a FourCC in VideoFourCC and AudioFourCC, as a mask.
const (
	CanDecode  = 1
	CanEncode  = 2
	CanForward = 4
)

// A ConnectRequest is what a client said when it connected. It holds no secret but Password.
type ConnectRequest struct {
	App            string // without query and slashes at its ends
	Query          string // of app and of tcUrl, raw, without credentials
	TcURL          string // without userinfo and query
	FlashVer       string
	SwfURL         string // without query
	PageURL        string // without query
	ObjectEncoding int    // 0 or 3
	AudioCodecs    int
	VideoCodecs    int
	VideoFunction  int

	FourCCs     []string       // fourCcList; "*" is all
	VideoFourCC map[string]int // videoFourCcInfoMap
	AudioFourCC map[string]int
	CapsEx      int

	// User and Password are what the client offered, in whatever place. Verified means that the password was proved by
	// Adobe authentication; Password is empty then.
	User, Password string
	Verified       bool
}

// Enhanced tells whether the client can take Enhanced RTMP at all.
func (r *ConnectRequest) Enhanced() bool {
	return len(r.FourCCs) > 0 || len(r.VideoFourCC) > 0 || len(r.AudioFourCC) > 0
}

// Takes tells whether the client said that it can take a FourCC such as "hvc1" or "Opus".
func (r *ConnectRequest) Takes(fourCC string) bool {
	for _, f := range r.FourCCs {
		if f == "*" || f == fourCC {
			return true
		}
	}
	for _, m := range []map[string]int{r.VideoFourCC, r.AudioFourCC} {
		if (m[fourCC]|m["*"])&(CanDecode|CanForward) != 0 {
			return true
		}
	}
	return false
}

// Encoder tells whether the client calls itself an encoder, as FMLE, OBS and ffmpeg do when they publish. Only such
// clients know Adobe authentication.
func (r *ConnectRequest) Encoder() bool { return strings.HasPrefix(r.FlashVer, "FMLE/") }

// A PublishRequest asks to write a stream.
type PublishRequest struct {
	*ConnectRequest
	Name           string // app and stream name, joined
	Key            string // the stream name alone, without query
	StreamQuery    string // of the stream name, raw, without credentials
	Type           string // live, record or append; all are live here
	User, Password string // from the stream name's query, else those of the connection
}

// A PlayRequest asks to read a stream. Start is as sent: -2, -1 or an offset, and the live stream is meant by all.
type PlayRequest struct {
	*ConnectRequest
	Name           string
	Key            string
	StreamQuery    string
	Start          float64
	Reset          bool
	User, Password string
}

// connectRequest reads the arguments of connect.
func connectRequest(c Command) *ConnectRequest {
	var r ConnectRequest
	var tcQuery, appQuery, tcUser, tcPassword string
	for _, f := range amf.Members(c.arg(0)) {
		s, _ := f.Value.(string)
		if len(s) > maxNameBytes {
			s = ""
		}
		n, _ := amf.Number(f.Value)
		switch f.Name {
		case "app":
			r.App, appQuery, _ = strings.Cut(s, "?")
		case "tcUrl":
			r.TcURL, tcQuery, tcUser, tcPassword = splitTcURL(s)
		case "flashVer", "flashver":
			r.FlashVer = s
		case "swfUrl":
			r.SwfURL, _, _ = strings.Cut(s, "?")
		case "pageUrl":
			r.PageURL, _, _ = strings.Cut(s, "?")
		case "objectEncoding":
			if n == 3 {
				r.ObjectEncoding = 3
			}
		case "audioCodecs":
			r.AudioCodecs = int(int32(n))
		case "videoCodecs":
			r.VideoCodecs = int(int32(n))
		case "videoFunction":
			r.VideoFunction = int(int32(n))
		case "fourCcList":
			r.FourCCs = fourCCs(f.Value)
		case "videoFourCcInfoMap":
			r.VideoFourCC = infoMap(f.Value)
		case "audioFourCcInfoMap":
			r.AudioFourCC = infoMap(f.Value)
		case "capsEx":
			r.CapsEx = int(int32(n))
		}
	}
	if r.App == "" {
		if u, err := url.Parse(r.TcURL); err == nil {
			r.App = u.Path
		}
	}
	r.App = strings.Trim(r.App, "/")
	// The default instance of Adobe's servers is the application itself.
	r.App = strings.TrimSuffix(strings.TrimSuffix(r.App, "_definst_"), "/")

	// The nearer to the stream, the stronger: app before tcUrl before further arguments.
	r.User, r.Password = c.text(1), c.text(2)
	if r.User == "" {
		r.Password = ""
	}
	offer := func(user, password string) {
		if user != "" || password != "" {
			r.User, r.Password = user, password
		}
	}
	offer(tcUser, tcPassword)
	rest, user, password := credentials(tcQuery)
	offer(user, password)
	r.Query, user, password = credentials(appQuery)
	offer(user, password)
	if r.Query == "" {
		r.Query = rest
	}
	return &r
}

// splitTcURL takes query and userinfo off a URL that need not be a good one.
func splitTcURL(s string) (rest, query, user, password string) {
	s, query, _ = strings.Cut(s, "?")
	scheme, host, ok := strings.Cut(s, "://")
	if !ok {
		return s, query, "", ""
	}
	host, path, hasPath := strings.Cut(host, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		user, password, _ = strings.Cut(host[:at], ":")
		user, password = unescape(user), unescape(password)
		host = host[at+1:]
	}
	rest = scheme + "://" + host
	if hasPath {
		rest += "/" + path
	}
	return rest, query, user, password
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// credentials takes user and password out of a raw query.
func credentials(query string) (rest, user, password string) {
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		switch strings.ToLower(key) {
		case "user", "username":
			user = value
		case "pass", "password":
			password = value
		case "":
		default:
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&"), user, password
}

// fourCCs reads fourCcList, with a bound that no honest list meets.
func fourCCs(v amf.Value) []string {
	list, _ := v.(amf.Array)
	var out []string
	for _, e := range list[:min(len(list), 64)] {
		if s, ok := e.(string); ok && (s == "*" || len(s) == 4) {
			out = append(out, s)
		}
	}
	return out
}

func infoMap(v amf.Value) map[string]int {
	members := amf.Members(v)
	if len(members) == 0 {
		return nil
	}
	out := make(map[string]int)
	for _, f := range members[:min(len(members), 64)] {
		if n, ok := amf.Number(f.Value); ok && (f.Name == "*" || len(f.Name) == 4) {
			out[f.Name] = int(int32(n))
		}
	}
	return out
}

// target is what publish and play name.
type target struct {
	name, key, query, user, password string
	implied                          bool // the stream name was empty
}

// target reads a stream name: a path with a query, in some players behind the type of a file. Clients that take a whole
// path for the app send an empty one; then the app's last component is the name.
func (r *ConnectRequest) target(name string) target {
	var t target
	t.key, t.query, _ = strings.Cut(name, "?")
	t.key = strings.Trim(t.key, "/")
	for _, prefix := range []string{"flv:", "mp4:", "mp3:"} {
		t.key = strings.Trim(strings.TrimPrefix(t.key, prefix), "/")
	}
	t.query, t.user, t.password = credentials(t.query)
	if t.user == "" && t.password == "" || r.Verified {
		t.user, t.password = r.User, r.Password
	}
	t.name = strings.Trim(r.App+"/"+t.key, "/")
	if app, last := path.Split(r.App); t.key == "" && app != "" {
		t.key, t.implied = last, true
	}
	return t
}

// nameOf is a stream name argument; numbers are names too, and false and null mean "none".
func nameOf(v amf.Value) (name string, none bool) {
	switch v := v.(type) {
	case string:
		if len(v) <= maxNameBytes {
			return v, false
		}
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), false
	case bool:
		return "", !v
	case nil, amf.Undefined:
		return "", true
	}
	return "", false
}
