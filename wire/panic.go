package wire

import "runtime/debug"

// A Panic is the error of a session in which something panicked. The gateway counts it and logs its stack; the peer hears
// nothing of it.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return "internal error, see the log" }

// Recover turns a panic into a *Panic in err. It is deferred, with a named result, where a library calls us on a goroutine
// of its own, so that the process survives.
func Recover(err *error) {
	if v := recover(); v != nil {
		*err = &Panic{v, debug.Stack()}
	}
}
