package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"weir/rules"
	"weir/wire"
)

// admit checks name, password and access list, and returns who the peer has proved to be; empty if it has not.
func (h *hub) admit(action, name string, p wire.Peer) (d rules.Decision, user string, err error) {
	file := h.g.file()
	if !rules.ValidName(name) {
		return d, "", h.refuse(action, name, p, &wire.Refusal{Err: wire.ErrBadName, Reason: "segments of A-Z a-z 0-9 . _ - joined by /, at most 255 bytes"})
	}
	ask := func(user string) rules.Decision {
		return file.Admit(rules.Request{
			Action: rules.Action(action), Name: name, Protocol: p.Protocol, Listener: p.Listener, Address: p.Addr.Addr().Unmap(), User: user,
		})
	}
	wrong := false
	if p.User != "" {
		want, known := file.Password(p.User)
		if wrong = !p.Verified && !(known && sameSecret(want, p.Password)); !wrong {
			user = p.User
		}
	}
	d = ask(user)
	switch {
	case d.Allow:
		// A stream key that merely looks like credentials does not lock out a peer whom nobody asked for any.
		return d, user, nil
	case wrong:
		return d, "", h.refuse(action, name, p, &wire.Refusal{Err: wire.ErrWrongUser})
	case d.NeedUser && user == "":
		return d, "", h.refuse(action, name, p, &wire.Refusal{Err: wire.ErrNeedUser})
	}
	return d, "", h.refuse(action, name, p, &wire.Refusal{Err: wire.ErrNotAllowed, Reason: d.Reason}, "entry", d.Entry, "line", d.Line)
}

// refuse counts and logs a refusal, and returns it.
func (h *hub) refuse(action, name string, p wire.Peer, err error, args ...any) error {
	h.g.metrics.refusals.WithLabelValues(refusalLabel(err)).Inc()
	log := h.log.Info
	if errors.Is(err, wire.ErrNeedUser) { // a challenge is the normal first step, not an event
		log = h.log.Debug
	}
	log("refused", append([]any{"action", action, "name", clip(name), "protocol", p.Protocol, "address", p.Addr,
		"user", clip(p.User), "reason", err}, args...)...)
	return err
}

// sameSecret compares without telling by its duration where the difference is.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// clip bounds what a peer can write into the log.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// refusalLabel is the bounded metric label of a refusal.
func refusalLabel(err error) string {
	for _, r := range []struct {
		label string
		err   error
	}{
		{"need_user", wire.ErrNeedUser}, {"wrong_user", wire.ErrWrongUser}, {"not_allowed", wire.ErrNotAllowed}, {"busy", wire.ErrBusy},
		{"not_found", wire.ErrNotFound}, {"bad_name", wire.ErrBadName}, {"no_track", wire.ErrNoTrack}, {"limit", wire.ErrLimit},
	} {
		if errors.Is(err, r.err) {
			return r.label
		}
	}
	return "other"
}
