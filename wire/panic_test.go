package wire_test

import (
	"errors"
	"strings"
	"testing"

	"weir/wire"
)

func TestRecover(t *testing.T) {
	t.Parallel()
	session := func(v any) (err error) {
		defer wire.Recover(&err)
		if v != nil {
			panic(v)
		}
		return nil
	}
	if err := session(nil); err != nil {
		t.Errorf("got %v; want no error without a panic", err)
	}
	var p *wire.Panic
	if err := session("secret"); !errors.As(err, &p) || p.Value != "secret" || len(p.Stack) == 0 {
		t.Fatalf("got %v; want a *Panic with its value and stack", err)
	}
	if strings.Contains(p.Error(), "secret") {
		t.Errorf("got %q; want nothing of the value", p.Error())
	}
}
