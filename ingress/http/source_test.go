package http

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"log/slog"

	"github.com/coder/websocket"

	"weir/ingress/container"
	"weir/transmux"
	"weir/transmux/ring"
	"weir/wire"
)

func remote(t testing.TB, text string) wire.Remote {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Remote{URL: u, Log: slog.New(slog.DiscardHandler)}
}

// fetch runs a source to its end.
func fetch(t *testing.T, r wire.Remote, transport http.RoundTripper) (units int, m *wire.Meter, err error) {
	t.Helper()
	s, err := New(r, transport)
	if err != nil {
		t.Fatal(err)
	}
	stream := transmux.NewStream("it", ring.Limits{})
	m = new(wire.Meter)
	err = s.Run(t.Context(), stream.NewWriter(), m)
	return pictures(stream), m, err
}

// origin serves everything that a source may meet.
func origin(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/it.flv", func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() != "weir" {
			http.Error(w, "who", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(movie(0, 50))
	})
	mux.HandleFunc("/private.flv", func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "u" || p != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(movie(0, 50))
	})
	mux.Handle("/moved.flv", http.RedirectHandler("/it.flv", http.StatusFound))
	mux.Handle("/loop.flv", http.RedirectHandler("/loop.flv", http.StatusFound))
	mux.HandleFunc("/page.flv", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html>"+strings.Repeat(" ", 2000))
	})
	mux.HandleFunc("/forbidden.flv", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("/broken.flv", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/header.flv", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 100_000)) })
	mux.HandleFunc("/cut.flv", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(movie(0, 50))
	})
	mux.HandleFunc("/ws.flv", func(w http.ResponseWriter, r *http.Request) {
		if _, p, ok := r.BasicAuth(); ok && p != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		b := movie(0, 50)
		_ = c.Write(r.Context(), websocket.MessageBinary, b[:13])
		_ = c.Write(r.Context(), websocket.MessageBinary, b[13:100])
		_ = c.Write(r.Context(), websocket.MessageBinary, b[100:])
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestSource(t *testing.T) {
	t.Parallel()
	s := origin(t)
	for _, tt := range []struct {
		it, user, path string
		socket         bool
		units          int
		err            error
		text           string
	}{
		{"fetches FLV", "", "/it.flv", false, 50, nil, ""},
		{"follows a redirect", "", "/moved.flv", false, 50, nil, ""},
		{"follows no endless redirects", "", "/loop.flv?token=hidden", false, 0, nil, "more than 5 redirects"},
		{"tells a user", "u:secret@", "/private.flv", false, 50, nil, ""},
		{"tells that a user is needed", "", "/private.flv", false, 0, wire.ErrNeedUser, "answered 401"},
		{"tells that the user is wrong", "u:wrong@", "/private.flv", false, 0, wire.ErrWrongUser, "answered 401"},
		{"tells what is forbidden", "", "/forbidden.flv", false, 0, wire.ErrNotAllowed, "answered 403"},
		{"tells what is missing", "", "/nothing.flv", false, 0, wire.ErrNotFound, "answered 404"},
		{"tells other troubles", "", "/broken.flv", false, 0, nil, "answered 502 Bad Gateway"},
		{"bounds headers", "", "/header.flv", false, 0, nil, "headers exceeded"},
		{"knows a web page", "", "/page.flv", false, 0, container.ErrUnknown, "a web page"},
		{"tells that the end came early", "", "/cut.flv", false, 50, io.ErrUnexpectedEOF, "unexpected EOF"},
		{"fetches over WebSocket", "", "/ws.flv", true, 50, nil, ""},
		{"tells a user over WebSocket", "u:secret@", "/ws.flv", true, 50, nil, ""},
		{"tells over WebSocket that the user is wrong", "u:wrong@", "/ws.flv", true, 0, wire.ErrWrongUser, "answered 401"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			address := strings.Replace(s.URL, "http://", "http://"+tt.user, 1) + tt.path
			if tt.socket {
				address = "ws" + strings.TrimPrefix(address, "http")
			}
			units, m, err := fetch(t, remote(t, address), nil)
			if units != tt.units || tt.err != nil && !errors.Is(err, tt.err) || (err == nil) != (tt.text == "") || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %d units, %v; want %d, %q", units, err, tt.units, tt.text)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "wrong@") || strings.Contains(err.Error(), "hidden")) {
				t.Errorf("got %v; want no secrets", err)
			}
			if n, _, _ := m.Totals(); tt.units > 0 && n != uint64(len(movie(0, 50))) {
				t.Errorf("got %d bytes counted; want %d", n, len(movie(0, 50)))
			}
		})
	}
}

// stuck is a server whose body stops.
type stuck struct{ io.Reader }

func (s stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Request: r, Body: io.NopCloser(io.MultiReader(s.Reader, readerFunc(func([]byte) (int, error) {
		<-r.Context().Done()
		return 0, r.Context().Err()
	})))}, nil
}

func TestSourceWaitsTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		units, _, err := fetch(t, remote(t, "http://u:p@it/it.flv?token=hidden"), stuck{strings.NewReader(string(movie(0, 25)))})
		if got := time.Since(begin); !errors.Is(err, wire.ErrIdle) || got != 10*time.Second || units != 25 {
			t.Errorf("got %v after %s, %d units; want %v after 10s, 25", err, got, units, wire.ErrIdle)
		}
		if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "u:p") {
			t.Errorf("got %v; want no secrets", err)
		}
	})
}

func TestSourceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(remote(t, "http://it/it.flv"), stuck{strings.NewReader("")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(wire.ErrDrain) })
		if err := s.Run(ctx, transmux.NewStream("it", ring.Limits{}).NewWriter(), new(wire.Meter)); !errors.Is(err, wire.ErrDrain) {
			t.Errorf("got %v; want %v", err, wire.ErrDrain)
		}
	})
}

func TestURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ it, url, want string }{
		{"takes http", "http://host/x.flv", ""},
		{"takes wss", "wss://host/x.flv", ""},
		{"takes nothing else", "ftp://host/x.flv", `scheme "ftp" is not`},
		{"wants a host", "http:///x.flv", "a host is missing"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			_, err := New(remote(t, tt.url), nil)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
}
