package rules

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// hidden stands for what must not be seen.
const hidden = "•••"

// A Text is a value of the file that may hold secrets: what came from the environment, and passwords in URLs. However it
// is printed, they show as •••; only Reveal has them. Texts are equal (==) when both forms are.
type Text struct{ real, shown string }

// Plain returns a Text without secrets of the environment; the password of a URL is still hidden.
func Plain(s string) Text { return Text{s, maskURL(s)} }

// Reveal returns the value itself. It belongs into the protocol, never into a log.
func (t Text) Reveal() string { return t.real }

// String returns the value with ••• for secrets.
func (t Text) String() string { return t.shown }

// GoString returns the same as String.
func (t Text) GoString() string { return t.shown }

// MarshalText returns the same as String.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.shown), nil }

// LogValue returns the same as String.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.shown) }

// Scheme is the part of a URL before the first colon, in lower case; empty if there is none.
func (t Text) Scheme() string { return schemeOf(t.real) }

// Protocol is the name that rules use for what is fetched from a URL; "http" if its path does not tell.
func (t Text) Protocol() string {
	u, err := url.Parse(t.real)
	if err != nil {
		return t.Scheme()
	}
	return ProtocolOf(u)
}

func schemeOf(s string) string {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok {
		return ""
	}
	return strings.ToLower(scheme)
}

// maskURL hides the password of a URL and the values of query keys that carry secrets. It looks at text, so that it also
// hides them in what is not a proper URL.
func maskURL(s string) string {
	i := strings.Index(s, "://")
	if i < 0 {
		return s
	}
	head, rest := s[:i+3], s[i+3:]
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	cut := strings.LastIndexByte(rest[:end], '@')
	if cut < 0 {
		// A password with a bare / ? or # in it: the first colon is not followed by a port.
		if _, port, ok := strings.Cut(rest[:end], ":"); ok && !digits(port) && !strings.HasPrefix(rest, "[") {
			cut = strings.LastIndexByte(rest, '@')
		}
	}
	if cut >= 0 {
		if user, _, ok := strings.Cut(rest[:cut], ":"); ok {
			rest = user + ":" + hidden + rest[cut:]
		}
	}
	before, query, ok := strings.Cut(rest, "?")
	if !ok {
		return head + rest
	}
	query, fragment, hasFragment := strings.Cut(query, "#")
	params := strings.Split(query, "&")
	for i, p := range params {
		if k, _, ok := strings.Cut(p, "="); ok && slices.Contains(secretParams(), strings.ToLower(k)) {
			params[i] = k + "=" + hidden
		}
	}
	rest = before + "?" + strings.Join(params, "&")
	if hasFragment {
		rest += "#" + fragment
	}
	return head + rest
}

func secretParams() []string {
	return []string{"pass", "password", "passwd", "pwd", "passphrase", "token", "secret"}
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// clearPassword reports whether a URL written in the file has a password that did not come from the environment.
func clearPassword(parts []part) bool {
	var b strings.Builder
	for _, p := range parts {
		if p.kind == literal && !p.secret {
			b.WriteString(p.text)
		} else {
			b.WriteString("\x00")
		}
	}
	s := b.String()
	if _, rest, ok := strings.Cut(s, "://"); ok {
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			rest = rest[:end]
		}
		if cut := strings.LastIndexByte(rest, '@'); cut >= 0 {
			_, password, ok := strings.Cut(rest[:cut], ":")
			return ok && password != "" && !strings.Contains(password, "\x00")
		}
	}
	return false
}
