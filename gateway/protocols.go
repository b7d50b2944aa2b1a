package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"weir/egress"
	outhttp "weir/egress/http"
	outrtmp "weir/egress/rtmp"
	outrtsp "weir/egress/rtsp"
	"weir/egress/stdout"
	outtcp "weir/egress/tcp"
	outudp "weir/egress/udp"
	"weir/ingress"
	"weir/ingress/demo"
	inhttp "weir/ingress/http"
	inrtmp "weir/ingress/rtmp"
	inrtsp "weir/ingress/rtsp"
	"weir/ingress/stdin"
	intcp "weir/ingress/tcp"
	inudp "weir/ingress/udp"
	"weir/rules"
	"weir/transmux"
	"weir/wire"
)

// scheme is what a URL in `sources` or `send` can begin with, from the wire upwards, and what runs it.
type scheme struct {
	name   string
	layers string
	fetch  func(g *Gateway, r wire.Remote) (ingress.Source, error) // nil: not in sources
	send   func(g *Gateway, r wire.Remote) (egress.Sink, error)    // nil: not in send
}

// listener is what a key of `listen` opens, and the protocols that players may have over it.
type listener struct {
	name   string
	layers string
	serves []string
	listen func(g *Gateway, l rules.Listener, p *port) (server, error)
}

// schemes is the table of all that is dialled. A new protocol is a folder on each side that it has, and a row here.
func schemes() []scheme {
	return []scheme{
		{"rtmp", "tcp → rtmp", fetchRTMP, sendRTMP},
		{"rtmps", "tcp → tls → rtmp", fetchRTMP, sendRTMP},
		{"rtsp", "tcp → rtsp", fetchRTSP, sendRTSP},
		{"rtsps", "tcp → tls → rtsp", fetchRTSP, sendRTSP},
		{"udp", "udp → ts", fetchUDP, sendUDP},
		{"rtp", "udp → rtp → ts", fetchUDP, sendUDP},
		{"tcp", "tcp → flv or ts", fetchTCP, sendTCP},
		{"http", "tcp → http → flv or ts", fetchHTTP, sendHTTP},
		{"https", "tcp → tls → http → flv or ts", fetchHTTP, sendHTTP},
		{"ws", "tcp → http → websocket → flv", fetchHTTP, nil},
		{"wss", "tcp → tls → http → websocket → flv", fetchHTTP, nil},
		{"stdin", "flv or ts", fetchStdin, nil},
		{"stdout", "flv or ts", nil, sendStdout},
		{"demo", "clip", fetchDemo, nil},
		{"stream", "stream", fetchStream, nil},
	}
}

// listeners is the table of all that listens.
func listeners() []listener {
	return []listener{
		{"rtmp", "tcp → (tls →) rtmp", []string{"rtmp", "rtmps"}, (*Gateway).listenRTMP},
		{"rtmps", "tcp → tls → rtmp", []string{"rtmps"}, (*Gateway).listenRTMP},
		{"rtsp", "tcp → (tls →) rtsp", []string{"rtsp", "rtsps"}, (*Gateway).listenRTSP},
		{"rtsps", "tcp → tls → rtsp", []string{"rtsps"}, (*Gateway).listenRTSP},
		{"http", "tcp → (tls →) http", []string{"http-flv", "ws-flv", "http-ts"}, (*Gateway).listenHTTP},
		{"https", "tcp → tls → http", []string{"http-flv", "ws-flv", "http-ts"}, (*Gateway).listenHTTP},
		{"admin", "tcp → (tls →) http", nil, (*Gateway).listenAdmin},
	}
}

// Available reports whether this build has what the rules language knows; see rules.Options.
func Available(r rules.Role, name string) bool {
	switch r {
	case rules.RoleFetch:
		return slices.ContainsFunc(schemes(), func(s scheme) bool { return s.name == name && s.fetch != nil })
	case rules.RoleSend:
		return slices.ContainsFunc(schemes(), func(s scheme) bool { return s.name == name && s.send != nil })
	case rules.RoleServe:
		return slices.ContainsFunc(listeners(), func(l listener) bool { return slices.Contains(l.serves, name) })
	case rules.RoleListen:
		return slices.ContainsFunc(listeners(), func(l listener) bool { return l.name == name })
	}
	return false
}

// listen makes the server of one listener of the file.
func (g *Gateway) listen(l rules.Listener, p *port) (server, error) {
	for _, row := range listeners() {
		if row.name == l.Name {
			return row.listen(g, l, p)
		}
	}
	return server{}, fmt.Errorf("%q is not available in this build", l.Name)
}

// remote makes what adapters dial of a URL of the file. The error holds no secret.
func (g *Gateway) remote(text rules.Text, set rules.Settings, tracks []string) (wire.Remote, error) {
	u, err := url.Parse(text.Reveal())
	if err != nil {
		return wire.Remote{}, fmt.Errorf("%s is not a URL", text)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	choose, err := transmux.ParseSelection(tracks)
	if err != nil {
		return wire.Remote{}, err
	}
	return wire.Remote{
		URL: u, Interface: set.Interface, Program: set.Program, Transport: set.Transport, Tracks: choose, Log: veilOf(set, text).log(g.log),
		TcURL: set.TcURL.Reveal(), SwfURL: set.SwfURL.Reveal(), PageURL: set.PageURL.Reveal(), FlashVer: set.FlashVer.Reveal(),
	}, nil
}

func (g *Gateway) newIngress(r wire.Remote) (ingress.Source, error) {
	for _, row := range g.table {
		if row.name == r.URL.Scheme && row.fetch != nil {
			return row.fetch(g, r)
		}
	}
	return nil, fmt.Errorf("%q cannot be fetched in this build", r.URL.Scheme)
}

func (g *Gateway) newSink(r wire.Remote) (egress.Sink, error) {
	for _, row := range g.table {
		if row.name == r.URL.Scheme && row.send != nil {
			return row.send(g, r)
		}
	}
	return nil, fmt.Errorf("%q cannot be sent to in this build", r.URL.Scheme)
}

func fetchRTMP(_ *Gateway, r wire.Remote) (ingress.Source, error) { return inrtmp.New(r) }
func sendRTMP(_ *Gateway, r wire.Remote) (egress.Sink, error)     { return outrtmp.New(r) }

func fetchRTSP(_ *Gateway, r wire.Remote) (ingress.Source, error) { return inrtsp.New(r) }
func sendRTSP(_ *Gateway, r wire.Remote) (egress.Sink, error)     { return outrtsp.New(r) }

func fetchUDP(g *Gateway, r wire.Remote) (ingress.Source, error) { return inudp.New(r, &g.sockets) }
func sendUDP(_ *Gateway, r wire.Remote) (egress.Sink, error)     { return outudp.New(r) }

func fetchTCP(_ *Gateway, r wire.Remote) (ingress.Source, error) { return intcp.New(r) }
func sendTCP(_ *Gateway, r wire.Remote) (egress.Sink, error)     { return outtcp.New(r) }

func fetchHTTP(_ *Gateway, r wire.Remote) (ingress.Source, error) { return inhttp.New(r, nil) }
func sendHTTP(_ *Gateway, r wire.Remote) (egress.Sink, error)     { return outhttp.NewSink(r, nil) }

func fetchStdin(g *Gateway, r wire.Remote) (ingress.Source, error) { return stdin.New(r, g.opt.Stdin) }
func sendStdout(g *Gateway, r wire.Remote) (egress.Sink, error)    { return stdout.New(r, g.opt.Stdout) }

func fetchDemo(_ *Gateway, r wire.Remote) (ingress.Source, error) { return demo.New(r) }

func fetchStream(g *Gateway, r wire.Remote) (ingress.Source, error) {
	return &follower{g: g, name: strings.TrimPrefix(r.URL.Opaque, "//"), tracks: r.Tracks}, nil
}
