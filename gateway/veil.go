package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"weir/rules"
)

// blank is what rules.Text shows for a secret.
const blank = "•••"

// minSecret is the shortest secret that is looked for: replacing shorter ones would garble everything else.
const minSecret = 3

// A veil takes the secrets of URLs out of what adapters say about them: they know a URL's credentials, but not which part
// of its path came from the environment. The zero value takes out nothing.
type veil struct{ replacer *strings.Replacer }

func newVeil(texts ...rules.Text) veil {
	var pairs []string
	for _, t := range texts {
		for _, s := range secretsOf(t) {
			pairs = append(pairs, s, blank)
		}
	}
	if pairs == nil {
		return veil{}
	}
	return veil{strings.NewReplacer(pairs...)}
}

// veilOf is the veil of a URL with its settings.
func veilOf(set rules.Settings, urls ...rules.Text) veil {
	return newVeil(append(slices.Clone(urls), set.TcURL, set.SwfURL, set.PageURL, set.FlashVer)...)
}

// secretsOf returns what a text hides, as it is and as it is written in URLs, the longest first.
func secretsOf(t rules.Text) []string {
	parts := strings.Split(t.String(), blank)
	rest, ok := strings.CutPrefix(t.Reveal(), parts[0])
	if !ok {
		return nil
	}
	var found []string
	for i, p := range parts[1:] {
		at := strings.Index(rest, p)
		if p == "" && i == len(parts)-2 {
			at = len(rest)
		}
		if at < 0 {
			break
		}
		s := rest[:at]
		rest = rest[at+len(p):]
		found = append(found, s, url.PathEscape(s), url.QueryEscape(s))
		if plain, err := url.PathUnescape(s); err == nil {
			found = append(found, plain)
		}
	}
	found = slices.DeleteFunc(found, func(s string) bool { return len(s) < minSecret })
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(found)
}

func (v veil) hide(s string) string {
	if v.replacer == nil {
		return s
	}
	return v.replacer.Replace(s)
}

// err returns err with another text, if that has a secret.
func (v veil) err(err error) error {
	if err == nil || v.hide(err.Error()) == err.Error() {
		return err
	}
	return veiled{v.hide(err.Error()), err}
}

type veiled struct {
	text string
	err  error
}

func (e veiled) Error() string { return e.text }
func (e veiled) Unwrap() error { return e.err }

// log returns a logger whose attributes have no secrets.
func (v veil) log(l *slog.Logger) *slog.Logger {
	if v.replacer == nil {
		return l
	}
	return slog.New(veiledHandler{l.Handler(), v})
}

type veiledHandler struct {
	slog.Handler
	veil veil
}

// Handle implements slog.Handler.
func (h veiledHandler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h veiledHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = h.attr(a)
	}
	return veiledHandler{h.Handler.WithAttrs(out), h.veil}
}

// WithGroup implements slog.Handler.
func (h veiledHandler) WithGroup(name string) slog.Handler {
	return veiledHandler{h.Handler.WithGroup(name), h.veil}
}

func (h veiledHandler) attr(a slog.Attr) slog.Attr {
	switch a.Key {
	case "name", "stream", "rule": // ours, and a secret may be a word that stands in them
		return a
	}
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(h.veil.hide(v.String()))
	case slog.KindAny:
		text := fmt.Sprint(v.Any())
		if hidden := h.veil.hide(text); hidden != text {
			a.Value = slog.StringValue(hidden)
		}
	}
	return a
}
