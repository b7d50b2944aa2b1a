package rtmp

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
	"weir/wire/rtmp/handshake"
)

// A ClientConfig says how to reach a server and what to tell it. All of it may be left out.
type ClientConfig struct {
	Limits     Limits                                                            // Handshake counts for each connection, until the stream begins
	Dial       func(ctx context.Context, network, addr string) (net.Conn, error) // nil is net.Dialer's
	TLS        *tls.Config                                                       // for rtmps and rtmpts; nil checks the server's name
	Layer      func(ctx context.Context, nc net.Conn) (net.Conn, error)          // put on the connection (on TLS) before RTMP
	Handshaken bool                                                              // Layer does the handshake

	App, PlayPath                    string // instead of what the URL says
	TcURL, SwfURL, PageURL, FlashVer string // connect fields; empty for the usual ones
	PublishType                      string // live (also if empty), record or append
	FourCCs                          []string
	CapsEx                           int
}

// A ClientConn is a connection that publishes or plays one stream. One goroutine reads, any may write.
type ClientConn struct {
	*conn
	id       uint32
	server   Capabilities
	publish  bool
	key      string
	secrets  []string
	redirect string // tcUrl of our connect, that a reconnect request may be relative to
	pending  []chunk.Message
	goodbye  sync.Once
}

// Capabilities are what a server says of itself.
type Capabilities struct {
	FourCCs     []string
	VideoFourCC map[string]int
	AudioFourCC map[string]int
	CapsEx      int
}

// Publish connects to u and begins to publish. When it returns, the server waits for media. Errors wrap
// wire.ErrWrongUser, ErrNeedUser, ErrNotAllowed, ErrNotFound or ErrBusy where the server said so, or a *ReconnectError,
// and hold no secret.
func Publish(ctx context.Context, u *url.URL, cfg ClientConfig) (*ClientConn, error) {
	return dial(ctx, u, cfg, true)
}

// Play connects to u and begins to play. The errors are those of Publish.
func Play(ctx context.Context, u *url.URL, cfg ClientConfig) (*ClientConn, error) {
	return dial(ctx, u, cfg, false)
}

func dial(ctx context.Context, u *url.URL, cfg ClientConfig, publish bool) (*ClientConn, error) {
	l, err := Locate(u)
	if err != nil {
		return nil, err
	}
	if cfg.App != "" {
		l.App = strings.Trim(cfg.App, "/")
		l.TcURL = u.Scheme + "://" + u.Host + "/" + l.App
	}
	if cfg.PlayPath != "" {
		l.PlayPath = cfg.PlayPath
	}
	if cfg.TcURL != "" {
		l.TcURL = cfg.TcURL
	}
	if l.PlayPath == "" {
		return nil, fmt.Errorf("it has no stream name: %w", ErrURL)
	}
	suffix := ""
	for range 3 { // plain, who we are, the proof
		c, err := open(ctx, l, cfg, publish, suffix)
		var refused *StatusError
		if err == nil || !errors.As(err, &refused) {
			return c, err
		}
		if suffix, err = adobeAnswer(refused, l.user, l.password); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the server asks again after authentication: %w", wire.ErrWrongUser)
}

// open makes one connection and begins the stream on it.
func open(ctx context.Context, l Location, cfg ClientConfig, publish bool, suffix string) (_ *ClientConn, err error) {
	limits := cfg.Limits.filled()
	dialing, cancel := context.WithTimeout(ctx, limits.Handshake)
	defer cancel()
	nc, err := reach(dialing, l, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l.Address, err)
	}
	c := &ClientConn{conn: newConn(nc, limits), publish: publish, redirect: l.TcURL}
	_, query, _ := strings.Cut(l.PlayPath, "?")
	for _, s := range []string{l.password, query, suffix} {
		if s != "" {
			c.secrets = append(c.secrets, s)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer func() {
		if !stop() {
			err = context.Cause(ctx)
		}
		if err != nil {
			_ = nc.Close()
		}
	}()
	if !cfg.Handshaken {
		_ = nc.SetWriteDeadline(c.until) // an error shows in the write
		rw := struct {
			io.Reader
			io.Writer
		}{(*source)(c.conn), nc}
		if err := handshake.Client(rw); err != nil {
			return nil, fmt.Errorf("handshake with %s: %w", l.Address, err)
		}
	}
	if err := c.connect(l, cfg, suffix); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l.Address, err)
	}
	if err := c.begin(l.PlayPath, cfg); err != nil {
		return nil, fmt.Errorf("begin the stream at %s: %w", l.Address, err)
	}
	c.until = time.Time{}
	c.r.Limit(chunk.MaxMessage)
	if !publish {
		c.r.Large()
	}
	return c, nil
}

// reach dials, and puts TLS and the layer on.
func reach(ctx context.Context, l Location, cfg ClientConfig) (net.Conn, error) {
	dial := cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", l.Address)
	if err != nil {
		return nil, err
	}
	if l.TLS {
		t := cfg.TLS.Clone()
		if t == nil {
			t = &tls.Config{}
		}
		if t.ServerName == "" {
			t.ServerName = l.Host
		}
		secure := tls.Client(nc, t)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		nc = secure
	}
	if cfg.Layer == nil {
		return nc, nil
	}
	layered, err := cfg.Layer(ctx, nc)
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return layered, nil
}

// connect sends connect and waits for its answer.
func (c *ClientConn) connect(l Location, cfg ClientConfig, suffix string) error {
	flashVer := cfg.FlashVer
	fields := []amf.Field{{Name: "app", Value: l.App + suffix}}
	if c.publish {
		fields = append(fields, amf.Field{Name: "type", Value: "nonprivate"})
		if flashVer == "" {
			flashVer = "FMLE/3.0 (compatible; FMSc/1.0)"
		}
	} else if flashVer == "" {
		flashVer = "LNX 9,0,124,2"
	}
	fields = append(fields, amf.Field{Name: "flashVer", Value: flashVer})
	if cfg.SwfURL != "" {
		fields = append(fields, amf.Field{Name: "swfUrl", Value: cfg.SwfURL})
	}
	fields = append(fields, amf.Field{Name: "tcUrl", Value: l.TcURL + suffix})
	if !c.publish {
		fields = append(fields, amf.Field{Name: "fpad", Value: false}, amf.Field{Name: "capabilities", Value: 15.0},
			amf.Field{Name: "audioCodecs", Value: 4071.0}, amf.Field{Name: "videoCodecs", Value: 252.0}, amf.Field{Name: "videoFunction", Value: 1.0})
	}
	if cfg.PageURL != "" {
		fields = append(fields, amf.Field{Name: "pageUrl", Value: cfg.PageURL})
	}
	fields = append(fields, amf.Field{Name: "objectEncoding", Value: 0.0})
	if len(cfg.FourCCs) > 0 {
		list := make(amf.Array, 0, len(cfg.FourCCs))
		for _, f := range cfg.FourCCs {
			list = append(list, f)
		}
		fields = append(fields, amf.Field{Name: "fourCcList", Value: list})
	}
	if cfg.CapsEx != 0 {
		fields = append(fields, amf.Field{Name: "capsEx", Value: float64(cfg.CapsEx)})
	}
	if err := c.call(0, Command{Name: "connect", Transaction: 1, Args: []amf.Value{&amf.Object{Fields: fields}}}); err != nil {
		return err
	}
	answer, err := c.await(func(a Command) bool { return a.Transaction == 1 && (a.Name == "_result" || a.Name == "_error") })
	if err != nil {
		return err
	}
	if code, _ := find(answer.arg(1), "code").(string); answer.Name == "_error" || code != "" && code != "NetConnection.Connect.Success" {
		return c.refusal(answer.arg(1))
	}
	for _, v := range answer.Args {
		for _, f := range amf.Members(v) {
			switch f.Name {
			case "fourCcList":
				c.server.FourCCs = fourCCs(f.Value)
			case "videoFourCcInfoMap":
				c.server.VideoFourCC = infoMap(f.Value)
			case "audioFourCcInfoMap":
				c.server.AudioFourCC = infoMap(f.Value)
			case "capsEx":
				n, _ := amf.Number(f.Value)
				c.server.CapsEx = int(int32(n))
			}
		}
	}
	c.told = window
	return c.write(control(chunk.WindowAckSize, window), control(chunk.SetChunkSize, chunk.OutChunkSize))
}

func find(v amf.Value, name string) amf.Value {
	for _, f := range amf.Members(v) {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// begin creates the stream, and publishes or plays on it.
func (c *ClientConn) begin(path string, cfg ClientConfig) error {
	c.key, _, _ = strings.Cut(path, "?")
	var before []Command
	if c.publish {
		before = []Command{{Name: "releaseStream", Transaction: 2, Args: []amf.Value{nil, path}}, {Name: "FCPublish", Transaction: 3, Args: []amf.Value{nil, path}}}
	}
	if err := c.call(0, append(before, Command{Name: "createStream", Transaction: 4, Args: []amf.Value{nil}})...); err != nil {
		return err
	}
	answer, err := c.await(func(a Command) bool { return a.Transaction == 4 && (a.Name == "_result" || a.Name == "_error") })
	if err != nil {
		return err
	}
	n, ok := answer.arg(1).(float64)
	if answer.Name == "_error" || !ok || n < 0 || n > 0xffffff {
		return c.refusal(answer.arg(1))
	}
	c.id = uint32(n)
	wanted := "NetStream.Play.Start"
	if c.publish {
		wanted = "NetStream.Publish.Start"
		kind := cfg.PublishType
		if kind == "" {
			kind = "live"
		}
		err = c.call(c.id, Command{Name: "publish", Transaction: 5, Args: []amf.Value{nil, path, kind}})
	} else {
		buffer := userControl(setBufferLength, c.id)
		buffer.Payload = binary.BigEndian.AppendUint32(buffer.Payload, 3000)
		var play chunk.Message
		if play, err = (Command{Name: "play", Transaction: 5, Args: []amf.Value{nil, path, -2000.0}}).Message(c.id); err == nil {
			err = c.write(play, buffer)
		}
	}
	if err != nil {
		return err
	}
	_, err = c.await(func(a Command) bool {
		code, _ := find(a.arg(1), "code").(string)
		return a.Name == "onStatus" && code == wanted
	})
	if errors.Is(err, errMedia) {
		err = nil
	}
	return err
}

// errMedia means that media come already, from a server that says nothing first.
var errMedia = errors.New("media before the stream began")

// await reads until the wanted command. Statuses of failure end it.
func (c *ClientConn) await(wanted func(Command) bool) (Command, error) {
	for {
		m, err := c.next()
		if err != nil {
			return Command{}, err
		}
		if m.Type != chunk.CommandAMF0 {
			if c.publish {
				continue
			}
			if c.pending = append(c.pending, m); m.Type != chunk.DataAMF0 {
				return Command{}, errMedia
			}
			if len(c.pending) > 64 {
				return Command{}, fmt.Errorf("too much data before the stream began: %w", ErrProtocol)
			}
			continue
		}
		cmd, err := ParseCommand(m)
		if err != nil {
			continue
		}
		if wanted(cmd) {
			return cmd, nil
		}
		if err := c.ended(cmd); err != nil {
			return Command{}, err
		}
	}
}
