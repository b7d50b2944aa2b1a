package rtmp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/transmux/amf"
	"weir/wire"
	"weir/wire/rtmp/chunk"
)

// authenticating lets in only who proved to be studio.
func authenticating() ServerConfig {
	return ServerConfig{
		Auth: NewAuth(func(user string) (string, bool) { return "s3cret", user == "studio" }),
		Admit: func(r *ConnectRequest) error {
			if !r.Verified {
				return wire.ErrNeedUser
			}
			return nil
		},
	}
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestLocate(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, address, app, path, tcURL string }{
		{"rtmp://h/live/cam", "h:1935", "live", "cam", "rtmp://h/live"},
		{"rtmp://u:p@h:1/live/cam?k=v", "h:1", "live", "cam?k=v", "rtmp://h:1/live"},
		{"rtmps://h/a/b/c", "h:443", "a/b", "c", "rtmps://h/a/b"},
		{"rtmp://h/a/b/c/d", "h:1935", "a/b", "c/d", "rtmp://h/a/b"},
		{"rtmp://h/a/mp4:b/c", "h:1935", "a", "mp4:b/c", "rtmp://h/a"},
		{"rtmp://h/cam", "h:1935", "", "cam", "rtmp://h/"},
		{"rtmpt://[::1]/a/b", "[::1]:80", "a", "b", "rtmpt://[::1]/a"},
		{"rtmp://h/a/", "h:1935", "a", "", "rtmp://h/a"},
		{"rtmp://h/a/b/", "h:1935", "a", "b/", "rtmp://h/a"},
	}
	for _, tt := range tests {
		l, err := Locate(parse(t, tt.in))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{l.Address, l.App, l.PlayPath, l.TcURL}, []string{tt.address, tt.app, tt.path, tt.tcURL}); d != "" {
			t.Errorf("%s: got -; want +\n%s", tt.in, d)
		}
	}
	for _, bad := range []string{"http://h/a/b", "rtmp:///a/b"} {
		if _, err := Locate(parse(t, bad)); !errors.Is(err, ErrURL) {
			t.Errorf("%s: got %v; want %v", bad, err, ErrURL)
		}
	}
}

func TestClientThroughServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h := &relay{}
	base := "rtmp://" + listen(t, ServerConfig{}, h) + "/live/cam"
	through(ctx, t, base, ClientConfig{FourCCs: []string{"hvc1"}, CapsEx: CapsReconnect})
}

func through(ctx context.Context, t *testing.T, base string, cfg ClientConfig) {
	t.Helper()
	p, err := Publish(ctx, parse(t, base+"?key=hidden"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- p.Wait() }()
	var want []chunk.Message
	for i := range 100 {
		m := chunk.Message{Type: chunk.Video, StreamID: 1, Timestamp: 0xfffff0 + uint32(i), ChunkID: 6, Payload: make([]byte, 1+i*2000)}
		_, _ = rand.Read(m.Payload)
		want = append(want, m)
		if err := p.WriteBuffers(chunk.Split(m).AppendTo(nil, p.ID())); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Play(ctx, parse(t, base), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		m, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(string(m.Payload), string(w.Payload)) || m.Timestamp != w.Timestamp || m.Type != w.Type {
			t.Fatalf("got another message at %d; want that at %d", m.Timestamp, w.Timestamp)
		}
	}
	if len(cfg.FourCCs) > 0 && (len(c.Server().FourCCs) == 0 || c.Server().CapsEx == 0) {
		t.Errorf("got %+v; want what the server takes", c.Server())
	}
	if err := p.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := <-waited; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v; want %v", err, net.ErrClosed)
	}
	if _, err := c.Read(); err != io.EOF {
		t.Errorf("got %v; want %v", err, io.EOF)
	}
	_ = c.Close()
}

func TestClientOverTLS(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, ServerConfig{}, &relay{})
	base := "rtmps://" + l.Addr().String() + "/live/cam"
	through(ctx, t, base, ClientConfig{TLS: &tls.Config{RootCAs: roots}})
	if _, err := Play(ctx, parse(t, base), ClientConfig{}); err == nil || !strings.Contains(err.Error(), "TLS handshake") {
		t.Errorf("got %v; want an unknown certificate refused", err)
	}
}

func TestClientErrors(t *testing.T) {
	t.Parallel()
	refusing := func(err error) *script { return &script{publishErr: err, playErr: err} }
	tests := []struct {
		it      string
		cfg     ServerConfig
		h       *script
		user    string
		publish bool
		want    error
	}{
		{"knows that a name is live", ServerConfig{}, refusing(wire.ErrBusy), "", true, wire.ErrBusy},
		{"knows that a stream is not there", ServerConfig{}, refusing(wire.ErrNotFound), "", false, wire.ErrNotFound},
		{"knows that it was rejected", ServerConfig{Admit: func(*ConnectRequest) error { return wire.ErrNotAllowed }}, &script{}, "", true, wire.ErrNotAllowed},
		{"knows that it needs a password", authenticating(), &script{}, "", true, wire.ErrNeedUser},
		{"knows that its password is wrong", authenticating(), &script{}, "studio:hidden@", true, wire.ErrWrongUser},
		{"knows that its user is wrong", authenticating(), &script{}, "nobody:hidden@", true, wire.ErrWrongUser},
		{"proves its password", authenticating(), &script{}, "studio:s3cret@", true, nil},
		{"refuses Limelight's authentication", ServerConfig{Admit: func(*ConnectRequest) error {
			return &wire.Refusal{Err: wire.ErrNotAllowed, Reason: "code=403 need auth; authmod=llnw"}
		}}, &script{}, "studio:hidden@", true, wire.ErrNotAllowed},
	}
	for _, tt := range tests {
		t.Run("it "+tt.it, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			u := parse(t, "rtmp://"+tt.user+listen(t, tt.cfg, tt.h)+"/live/cam?token=hidden")
			dial := Play
			if tt.publish {
				dial = Publish
			}
			c, err := dial(ctx, u, ClientConfig{})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
			if err == nil {
				_ = c.Close()
				tt.h.mu.Lock()
				defer tt.h.mu.Unlock()
				if got := tt.h.publish[0]; got.User != "studio" || !got.Verified || got.Password != "" {
					t.Errorf("got user %q, verified %v; want studio verified", got.User, got.Verified)
				}
			} else if s := err.Error(); strings.Contains(s, "hidden") || strings.Contains(s, "response=") {
				t.Errorf("got a secret in %q; want none", s)
			}
		})
	}
}

func TestReconnectRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	h := &script{play: func(ctx context.Context, s *ServerStream, _ *PlayRequest) error {
		if err := s.WriteStart(); err != nil {
			return err
		}
		if ok, err := s.Conn().Reconnect("/other", "maintenance"); !ok || err != nil {
			return errors.Join(errors.New("no reconnect request"), err)
		}
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	addr := listen(t, ServerConfig{}, h)
	c, err := Play(ctx, parse(t, "rtmp://"+addr+"/live/cam"), ClientConfig{CapsEx: CapsReconnect})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, err = c.Read()
	var again *ReconnectError
	if !errors.As(err, &again) || again.URL == nil || again.URL.String() != "rtmp://"+addr+"/other" {
		t.Errorf("got %v; want a reconnect to /other", err)
	}
}

func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	dial := func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		t.Cleanup(func() { _ = b.Close() })
		return a, nil
	}
	u := parse(t, "rtmp://h/live/cam")
	if _, err := Play(t.Context(), u, ClientConfig{Dial: dial, Limits: Limits{Handshake: 50 * time.Millisecond}}); err == nil {
		t.Error("got a stream from a server that says nothing; want an error")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(wire.ErrDrain) })
	if _, err := Play(ctx, u, ClientConfig{Dial: dial}); !errors.Is(err, wire.ErrDrain) {
		t.Errorf("got %v; want %v", err, wire.ErrDrain)
	}
	if _, err := Play(t.Context(), parse(t, "rtmp://h/live/"), ClientConfig{Dial: dial}); !errors.Is(err, ErrURL) {
		t.Errorf("got %v; want %v", err, ErrURL)
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, c := range []Command{{Name: "connect", Transaction: 1, Args: []amf.Value{&amf.Object{Fields: []amf.Field{{Name: "app", Value: "live?user=a"}, {Name: "tcUrl", Value: "rtmp://u:p@h/live"}, {Name: "fourCcList", Value: amf.Array{"*"}}}}, "u", "p"}}, onStatus("error", "NetStream.Publish.BadName", "x")} {
		m, err := c.Message(0)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.Payload, false)
		f.Add(append([]byte{0}, m.Payload...), true)
	}
	f.Fuzz(func(_ *testing.T, b []byte, amf3 bool) {
		m := chunk.Message{Type: chunk.CommandAMF0, Payload: b}
		if amf3 {
			m.Type = chunk.CommandAMF3
		}
		c, err := ParseCommand(m)
		if err != nil {
			return
		}
		r := connectRequest(c)
		r.target(c.text(1))
		nameOf(c.arg(1))
		NewAuth(func(string) (string, bool) { return "p", true }).judge(r, "h", time.Unix(0, 0))
		_ = (&ClientConn{conn: &conn{}}).ended(c)
		for _, err := range split(chunk.Message{Payload: b}) {
			if err != nil {
				break
			}
		}
	})
}
