package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

// An Identity stands for settings, secrets included: settings are equal if and only if their identities are (==). It
// tells nothing about them.
type Identity [sha256.Size]byte

// String returns the first bytes in hexadecimal.
func (i Identity) String() string { return hex.EncodeToString(i[:6]) }

// hasher builds an Identity of texts, whose borders matter.
type hasher struct{ h hash.Hash }

func newHasher(parts ...string) hasher {
	h := hasher{sha256.New()}
	for _, p := range parts {
		h.add(p)
	}
	return h
}

func (h hasher) add(s string) { fmt.Fprintf(h.h, "%d:%s,", len(s), s) }

func (h hasher) sum() (i Identity) {
	h.h.Sum(i[:0])
	return i
}
