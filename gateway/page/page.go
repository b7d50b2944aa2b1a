// Package page is the web page that plays the demo.
package page

import (
	"embed"
	"html/template"
	"net/http"
)

// mpegts.js is vendored as published (Apache-2.0, licence beside it).
//
//go:embed index.html page.js mpegts.js
var files embed.FS

// Has reports whether a path belongs to the page.
func Has(path string) bool {
	switch path {
	case "/", "/page.js", "/mpegts.js":
		return true
	}
	return false
}

// Handler serves the page and its scripts, for the named stream, from the same origin only.
func Handler(stream string) (http.Handler, error) {
	t, err := template.ParseFS(files, "index.html")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'unsafe-inline'; connect-src 'self'; media-src 'self' blob:")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		_ = t.Execute(w, stream)
	})
	script := func(name string) {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, files, name)
		})
	}
	script("page.js")
	script("mpegts.js")
	return mux, nil
}
