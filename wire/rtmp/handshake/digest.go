package handshake

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Size is the length of C1, C2, S1 and S2 in bytes.
const Size = 1536

const digestSize = sha256.Size

// Keys of the digest handshake. The long form of each is the text and then the bytes of crud.
const (
	clientText = "Genuine Adobe Flash Player 001"
	serverText = "Genuine Adobe Flash Media Server 001"
	crud       = "\xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57\x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae"
)

// A Scheme is where a packet of the digest handshake keeps its digest and its Diffie-Hellman key: 0 or 1.
type Scheme int

// DigestAt is the offset of the 32-byte digest in p, which has Size bytes.
func (s Scheme) DigestAt(p []byte) int {
	if s == 0 {
		return sum(p[8:12])%728 + 12
	}
	return sum(p[772:776])%728 + 776
}

// KeyAt is the offset of the 128-byte Diffie-Hellman key in p, which has Size bytes.
func (s Scheme) KeyAt(p []byte) int {
	if s == 0 {
		return sum(p[1532:1536])%632 + 772
	}
	return sum(p[768:772])%632 + 8
}

func sum(p []byte) int { return int(p[0]) + int(p[1]) + int(p[2]) + int(p[3]) }

// Find looks for the digest that a client (C1) or a server (S1) left in p, which has Size bytes.
func Find(p []byte, server bool) (s Scheme, digest []byte, ok bool) {
	for s := range Scheme(2) {
		at := s.DigestAt(p)
		if hmac.Equal(p[at:at+digestSize], digestOf(p, at, server)) {
			return s, p[at : at+digestSize], true
		}
	}
	return 0, nil, false
}

// Sign puts the digest of a client (C1) or a server (S1) into p, which has Size bytes, and returns it.
func Sign(p []byte, s Scheme, server bool) []byte {
	at := s.DigestAt(p)
	return p[at : at+copy(p[at:], digestOf(p, at, server))]
}

func digestOf(p []byte, at int, server bool) []byte {
	key := clientText
	if server {
		key = serverText
	}
	return mac([]byte(key), p[:at], p[at+digestSize:])
}

// Answer signs p, an S2 of a server or a C2 of a client with Size bytes, by the digest that came from the other side.
func Answer(p, digest []byte, server bool) {
	at := Size - digestSize
	copy(p[at:], mac(answerKey(digest, server), p[:at]))
}

// Answered tells whether p answers the digest that was sent: the check of a C2 (by a server) or an S2 (by a client).
func Answered(p, digest []byte, fromServer bool) bool {
	at := Size - digestSize
	return hmac.Equal(p[at:], mac(answerKey(digest, fromServer), p[:at]))
}

func answerKey(digest []byte, server bool) []byte {
	key := clientText + crud
	if server {
		key = serverText + crud
	}
	return mac([]byte(key), digest)
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
