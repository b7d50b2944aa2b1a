package rtsp

import (
	"errors"
	"io"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"weir/wire"
)

func is(err, target error) bool { return errors.Is(err, target) }

func asRefusal(err error) (*wire.Refusal, bool) {
	var r *wire.Refusal
	ok := errors.As(err, &r)
	return r, ok
}

// sessionEnd translates why the engine closed a session.
func sessionEnd(err error) error {
	var (
		torn     liberrors.ErrServerSessionTornDown
		idle     liberrors.ErrServerSessionTimedOut
		unused   liberrors.ErrServerSessionNotInUse
		finished liberrors.ErrServerTerminated
	)
	switch {
	case err == nil, errors.As(err, &torn):
		return io.EOF
	case errors.As(err, &idle):
		return wire.ErrIdle
	case errors.As(err, &unused):
		return errors.New("the connection was lost without TEARDOWN")
	case errors.As(err, &finished):
		return wire.ErrDrain
	}
	return err
}

// Status returns the status code of a response that a client got instead of 200, 0 for other errors.
func Status(err error) int {
	var bad liberrors.ErrClientBadStatusCode
	if errors.As(err, &bad) {
		return int(bad.Code)
	}
	return 0
}

// ClientError adds to an error of a client what the gateway decides by: wire.ErrWrongUser, wire.ErrNeedUser,
// wire.ErrNotAllowed, wire.ErrNotFound. user tells whether credentials were there to be sent.
func ClientError(err error, user bool) error {
	var kind error
	switch base.StatusCode(Status(err)) {
	case base.StatusUnauthorized:
		kind = wire.ErrNeedUser
		if user {
			kind = wire.ErrWrongUser
		}
	case base.StatusForbidden:
		kind = wire.ErrNotAllowed
	case base.StatusNotFound, base.StatusGone:
		kind = wire.ErrNotFound
	default:
		return err
	}
	return &classified{kind, err}
}

type classified struct{ kind, err error }

func (e *classified) Error() string   { return e.kind.Error() + " (" + e.err.Error() + ")" }
func (e *classified) Unwrap() []error { return []error{e.kind, e.err} }
