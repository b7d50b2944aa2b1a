// Package handshake opens RTMP connections, in the simple form of RTMP 1.0, section 5.2, or with the digests that Flash asks for.
package handshake

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// Versions: what C0 and S0 say.
const (
	Plain          = 3
	Encrypted      = 6 // RTMPE
	EncryptedXTEA  = 8
	EncryptedBlow  = 9
	firstNonsense  = 32 // no RTMP peer says this or more (5.2.2)
	playerVersion  = "\x09\x00\x7c\x02"
	serverVersion  = "\x03\x05\x07\x09"
	simpleVersions = "\x00\x00\x00\x00"
)

// Errors of a handshake.
var (
	ErrEncrypted = errors.New("the peer wants an encrypted connection (RTMPE), which this listener does not take")
	ErrNotRTMP   = errors.New("the peer does not speak RTMP")
	ErrDigest    = errors.New("the peer's handshake has no valid digest")
)

// Server answers a client. It reads 3073 bytes, not one more, and writes as many; deadlines are those of rw. A client
// without a valid digest gets the simple answer, unless strict is set: then it is refused with ErrDigest.
func Server(rw io.ReadWriter, strict bool) error {
	var c [1 + Size]byte
	if _, err := io.ReadFull(rw, c[:1]); err != nil {
		return fmt.Errorf("read C0: %w", err)
	}
	switch v := c[0]; {
	case v == Encrypted || v == EncryptedXTEA || v == EncryptedBlow:
		return ErrEncrypted
	case v >= firstNonsense || v == 0:
		return fmt.Errorf("version %d: %w", v, ErrNotRTMP)
	}
	if _, err := io.ReadFull(rw, c[1:]); err != nil {
		return fmt.Errorf("read C1: %w", err)
	}
	s, err := answerClient(c[1:], strict)
	if err != nil {
		return err
	}
	if _, err := rw.Write(s); err != nil {
		return fmt.Errorf("write S0, S1 and S2: %w", err)
	}
	// What C2 says is never checked: too many clients get it wrong, and it proves nothing.
	if _, err := io.ReadFull(rw, c[1:]); err != nil {
		return fmt.Errorf("read C2: %w", err)
	}
	return nil
}

// answerClient makes S0, S1 and S2 for c1.
func answerClient(c1 []byte, strict bool) ([]byte, error) {
	s := make([]byte, 1+2*Size)
	s[0] = Plain
	s1, s2 := s[1:1+Size], s[1+Size:]
	random(s1[8:])
	if string(c1[4:8]) != simpleVersions {
		if scheme, digest, ok := Find(c1, false); ok {
			copy(s1[4:], serverVersion)
			Sign(s1, scheme, true)
			random(s2)
			Answer(s2, digest, true)
			return s, nil
		}
	}
	if strict {
		return nil, ErrDigest
	}
	copy(s2, c1)
	return s, nil
}

// Client opens a connection as Flash does, with a digest, and takes a simple answer as well. It reads and writes 3073
// bytes; deadlines are those of rw.
func Client(rw io.ReadWriter) error {
	c := make([]byte, 1+Size)
	c[0] = Plain
	c1 := c[1:]
	random(c1[8:])
	copy(c1[4:], playerVersion)
	Sign(c1, 0, false)
	if _, err := rw.Write(c); err != nil {
		return fmt.Errorf("write C0 and C1: %w", err)
	}
	var s [1 + 2*Size]byte
	if _, err := io.ReadFull(rw, s[:1]); err != nil {
		return fmt.Errorf("read S0: %w", err)
	}
	if s[0] != Plain {
		return fmt.Errorf("version %d: %w", s[0], ErrNotRTMP)
	}
	if _, err := io.ReadFull(rw, s[1:]); err != nil {
		return fmt.Errorf("read S1 and S2: %w", err)
	}
	if _, err := rw.Write(answerServer(s[1 : 1+Size])); err != nil {
		return fmt.Errorf("write C2: %w", err)
	}
	return nil
}

// answerServer makes C2 for s1.
func answerServer(s1 []byte) []byte {
	c2 := make([]byte, Size)
	if string(s1[4:8]) != simpleVersions {
		if _, digest, ok := Find(s1, true); ok {
			random(c2)
			Answer(c2, digest, false)
			return c2
		}
	}
	copy(c2, s1)
	return c2
}

// random fills p; crypto/rand never fails.
func random(p []byte) { _, _ = rand.Read(p) }
