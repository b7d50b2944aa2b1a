package web

import "net/http"

// policy lets Flash players of any page read from here. It is what Access-Control-Allow-Origin: * is for others.
const policy = `<?xml version="1.0"?>
<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd">
<cross-domain-policy>
<site-control permitted-cross-domain-policies="all"/>
<allow-access-from domain="*" secure="false"/>
<allow-http-request-headers-from domain="*" headers="*" secure="false"/>
</cross-domain-policy>
`

// AllowOrigins lets pages of any origin read the answer. Credentials that a browser keeps are not sent along.
func AllowOrigins(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Type, Date")
}

// Preflight answers OPTIONS, for handlers that take the given methods ("GET, HEAD").
func Preflight(w http.ResponseWriter, methods string) {
	h := w.Header()
	AllowOrigins(h)
	h.Set("Allow", methods+", OPTIONS")
	h.Set("Access-Control-Allow-Methods", methods+", OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// CrossDomain answers GET /crossdomain.xml.
func CrossDomain(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/x-cross-domain-policy")
	w.Header().Set("Cache-Control", "max-age=86400")
	_, _ = w.Write([]byte(policy)) // the peer is gone if it fails
}
