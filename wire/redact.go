package wire

import (
	"net/url"
	"strings"
)

const blank = "•••"

// Redact returns u without credentials: userinfo becomes •••, as do the values of keys known to carry secrets in the
// query and in the fragment. The path stays as it is, and with it the stream key of an RTMP URL, which is no more than
// a name there; whoever fills secrets into paths must blank them.
func Redact(u *url.URL) string {
	if u == nil {
		return ""
	}
	c := *u
	c.User, c.RawQuery, c.ForceQuery, c.Fragment, c.RawFragment = nil, "", false, "", ""
	if i := strings.LastIndexByte(c.Opaque, '@'); i >= 0 { // "rtsp:user:pass@host": the slashes were forgotten
		c.Opaque = blank + c.Opaque[i:]
	}
	s := c.String()
	if u.User != nil {
		if rest, ok := strings.CutPrefix(s, c.Scheme+"://"); ok {
			s = c.Scheme + "://" + blank + "@" + rest
		} else if rest, ok := strings.CutPrefix(s, "//"); ok {
			s = "//" + blank + "@" + rest
		}
	}
	if u.RawQuery != "" {
		s += "?" + redactPairs(u.RawQuery)
	}
	if u.Fragment != "" {
		s += "#" + redactPairs(u.EscapedFragment())
	}
	return s
}

// redactPairs blanks the values of keys that carry secrets, and leaves the rest as it was written.
func redactPairs(q string) string {
	parts := strings.FieldsFunc(q, isPairEnd)
	var b strings.Builder
	for _, p := range parts {
		i := strings.Index(q, p)
		b.WriteString(q[:i]) // separators
		q = q[i+len(p):]
		if k, _, has := strings.Cut(p, "="); has && isSecret(k) {
			p = k + "=" + blank
		}
		b.WriteString(p)
	}
	return b.String() + q
}

func isPairEnd(r rune) bool { return r == '&' || r == ';' }

// isSecret reports whether the value of a query key must not appear in a log. Rather too many than too few.
func isSecret(key string) bool {
	if k, err := url.QueryUnescape(key); err == nil {
		key = k
	}
	key = strings.ToLower(strings.TrimSpace(key))
	switch key {
	case "user", "username", "usr", "login", "pwd", "pw", "sig", "key", "jwt", "credential", "credentials":
		return true
	}
	for _, part := range []string{"pass", "secret", "token", "sign", "auth"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	for _, end := range []string{"key", "credential"} { // streamkey, api_key, X-Amz-Credential
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}
