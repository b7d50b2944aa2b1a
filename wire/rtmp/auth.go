package rtmp

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"strings"
	"time"
)

// answerTime is how long a challenge may be answered. The client opens a new connection for each step.
const answerTime = 30 * time.Second

// An Auth asks encoders for a password as Adobe's servers do: in three connections, of which the last proves by MD5 that
// it knows the password. It keeps no state, so all connections of a listener share one. Safe for concurrent use.
type Auth struct {
	password func(user string) (string, bool)
	key      [32]byte
}

// NewAuth returns an Auth over a function that knows passwords.
func NewAuth(password func(user string) (string, bool)) *Auth {
	a := &Auth{password: password}
	_, _ = rand.Read(a.key[:]) // never fails
	return a
}

// Descriptions of refusals, which clients search for these words.
const (
	authNeeded = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
	authReason = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason="
)

// judge looks at the query of app. With a good answer the user is verified; otherwise it returns what to refuse with, or
// nothing if the client did not begin authentication. addr is the client's address without port.
func (a *Auth) judge(r *ConnectRequest, addr string, now time.Time) (refuse string) {
	params, rest := authParams(r.Query)
	if params["authmod"] != "adobe" {
		return ""
	}
	r.Query = rest
	user := r.User
	if user == "" {
		return authNeeded
	}
	if params["response"] == "" {
		return authReason + "needauth&user=" + url.QueryEscape(user) + "&salt=" + a.salt(user) +
			"&challenge=" + a.mac("challenge", user, now.String()) + "&opaque=" + a.opaque(user, addr, now.Unix())
	}
	password, known := a.password(user)
	want := adobeResponse(user, password, a.salt(user), params["opaque"], params["challenge"])
	// Unknown users take the same way, so that a reply tells nothing about who exists.
	if !hmac.Equal([]byte(want), []byte(params["response"])) || !known || !a.fresh(params["opaque"], user, addr, now) {
		return authReason + "authfailed"
	}
	r.Password, r.Verified = "", true
	return ""
}

func (a *Auth) mac(parts ...string) string {
	h := hmac.New(sha256.New, a.key[:])
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (a *Auth) salt(user string) string { return a.mac("salt", user) }

// opaque is what the client brings back, and the only thing of ours that enters its answer: it says when it was made,
// and that it was made for this user at this address.
func (a *Auth) opaque(user, addr string, issued int64) string {
	when := hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(issued)))
	return when + a.mac("opaque", user, addr, when)
}

func (a *Auth) fresh(opaque, user, addr string, now time.Time) bool {
	b, err := hex.DecodeString(opaque[:min(16, len(opaque))])
	if err != nil || len(b) != 8 {
		return false
	}
	issued := int64(binary.BigEndian.Uint64(b))
	age := now.Unix() - issued
	return age >= 0 && age <= int64(answerTime/time.Second) && hmac.Equal([]byte(opaque), []byte(a.opaque(user, addr, issued)))
}

// adobeResponse is base64(MD5(base64(MD5(user salt password)) given answer)): given is the server's opaque, or its
// challenge if it sent no opaque; answer is the client's own challenge.
func adobeResponse(user, password, salt, given, answer string) string {
	first := md5.Sum([]byte(user + salt + password))
	second := md5.Sum([]byte(base64.StdEncoding.EncodeToString(first[:]) + given + answer))
	return base64.StdEncoding.EncodeToString(second[:])
}

// authParams takes the parameters of authentication out of a raw query. Base64 stands there unescaped, so a plus is a
// plus.
func authParams(query string) (params map[string]string, rest string) {
	params = make(map[string]string)
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "authmod", "challenge", "response", "opaque", "salt", "reason", "nonce", "cnonce", "nc":
			if v, err := url.PathUnescape(value); err == nil {
				value = v
			}
			if len(value) <= 256 {
				params[key] = value
			}
		case "":
		default:
			kept = append(kept, part)
		}
	}
	return params, strings.Join(kept, "&")
}

// randomWord is a client's challenge.
func randomWord() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
