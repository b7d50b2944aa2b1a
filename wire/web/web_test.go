package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/wire"
)

func TestPeer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		it, target  string
		basic       bool
		user, words string
	}{
		{"takes Basic authentication", "/a.flv?user=x&pass=y", true, "b", "c"},
		{"takes user and pass", "/a.flv?user=x&pass=y", false, "x", "y"},
		{"takes username and password", "/a.flv?username=x&password=y", false, "x", "y"},
		{"takes nobody", "/a.flv", false, "", ""},
	} {
		t.Run(tt.it, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", tt.target, http.NoBody)
			r.RemoteAddr = "[::ffff:10.0.0.1]:5"
			r.Header.Set("User-Agent", strings.Repeat("é", 300))
			if tt.basic {
				r.SetBasicAuth("b", "c")
			}
			p := Peer(r, "http-flv", "http")
			if p.User != tt.user || p.Password != tt.words || p.Addr.String() != "10.0.0.1:5" || len(p.Agent) > 200 || p.Protocol != "http-flv" || p.Listener != "http" {
				t.Errorf("got %+v; want %s, %s", p, tt.user, tt.words)
			}
		})
	}
}

func TestFromStatus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		user   bool
		want   error
	}{
		{200, false, nil}, {204, true, nil}, {401, false, wire.ErrNeedUser}, {401, true, wire.ErrWrongUser}, {403, true, wire.ErrNotAllowed},
		{404, false, wire.ErrNotFound}, {410, false, wire.ErrNotFound}, {409, false, wire.ErrBusy},
	} {
		t.Run(fmt.Sprint(tt.status, tt.user), func(t *testing.T) {
			t.Parallel()
			if err := FromStatus(tt.status, tt.user); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
	if err := FromStatus(500, false); err == nil {
		t.Error("got nil for 500; want an error")
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	revoke, cancel := context.WithCancelCause(t.Context())
	g := wire.NewGrant(revoke, func(error) {})
	held, release := Hold(t.Context(), g)
	cancel(wire.ErrDenied)
	<-held.Done()
	if got := context.Cause(held); !errors.Is(got, wire.ErrDenied) {
		t.Errorf("got %v; want %v", got, wire.ErrDenied)
	}
	release(nil)

	held, release = Hold(t.Context(), wire.NewGrant(t.Context(), func(error) {}))
	release(wire.ErrIdle)
	if got := context.Cause(held); !errors.Is(got, wire.ErrIdle) {
		t.Errorf("got %v; want %v", got, wire.ErrIdle)
	}
}
