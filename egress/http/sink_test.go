package http

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

func TestSink(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, path, user string
		answer         func(w http.ResponseWriter, body func() []byte)
		err            error
		text           string
	}{
		{"posts FLV", "/it.flv", "", nil, nil, ""},
		{"posts MPEG-TS", "/it.ts", "", nil, nil, ""},
		{"tells a user", "/it.flv", "u:secret@", nil, nil, ""},
		{"tells a refusal", "/it.flv?token=hidden", "", func(w http.ResponseWriter, _ func() []byte) { w.WriteHeader(http.StatusForbidden) }, wire.ErrNotAllowed, "answered 403"},
		{"tells a refusal in the end", "/it.flv", "", func(w http.ResponseWriter, body func() []byte) {
			body()
			w.WriteHeader(http.StatusConflict)
		}, wire.ErrBusy, "answered 409"},
		{"tells that the user is wrong", "/it.flv", "u:secret@", func(w http.ResponseWriter, _ func() []byte) { w.WriteHeader(http.StatusUnauthorized) }, wire.ErrWrongUser, "answered 401"},
		{"follows no redirect", "/it.flv", "", func(w http.ResponseWriter, _ func() []byte) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		}, nil, "answered 302"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			tracks := flvTracks
			if strings.HasSuffix(tt.path, ".ts") {
				tracks = tsTracks
			}
			got := make(chan []byte, 1)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.answer != nil {
					tt.answer(w, func() []byte { b, _ := io.ReadAll(r.Body); return b })
					return
				}
				if _, p, _ := r.BasicAuth(); r.Method != "POST" || !strings.HasPrefix(r.Header.Get("Content-Type"), "video/") || tt.user != "" && p != "secret" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				b, _ := io.ReadAll(r.Body)
				got <- b
			}))
			defer s.Close()
			d := newDoor(ring.Limits{})
			fill(d, tracks)
			sink, err := NewSink(remote(t, strings.Replace(s.URL, "http://", "http://"+tt.user, 1)+tt.path), nil)
			if err != nil {
				t.Fatal(err)
			}
			m := new(wire.Meter)
			err = sink.Run(t.Context(), d.stream, m)
			if (err == nil) != (tt.text == "") || tt.err != nil && !errors.Is(err, tt.err) || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v; want %q", err, tt.text)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hidden")) {
				t.Errorf("got %v; want no secrets", err)
			}
			if tt.text != "" {
				return
			}
			body := <-got
			if f := demux(t, tt.path, body); string(f.pictures) != string(lastGroup()) {
				t.Errorf("got pictures %v; want %v", f.pictures, lastGroup())
			}
			if n, _, _ := m.Totals(); n != uint64(len(body)) {
				t.Errorf("got %d bytes counted; want %d", n, len(body))
			}
		})
	}
}

// full is a server that takes nothing.
type full struct{}

func (full) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestSinkIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(ring.Limits{})
		fill(d, flvTracks)
		s, err := NewSink(remote(t, "http://it/it.flv"), full{})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := s.Run(t.Context(), d.stream, new(wire.Meter)); !errors.Is(err, wire.ErrSlow) || time.Since(begin) != 10*time.Second {
			t.Errorf("got %v after %s; want %v after 10s", err, time.Since(begin), wire.ErrSlow)
		}
	})
}

func TestSinkURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ it, url, want string }{
		{"takes FLV", "https://host/live/x.flv", ""},
		{"wants to know the format", "http://host/x", "must end in .flv or .ts"},
		{"wants a host", "http:///x.flv", "write it like"},
		{"takes http only", "ws://host/x.flv", "write it like"},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			_, err := NewSink(remote(t, tt.url), nil)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
}
