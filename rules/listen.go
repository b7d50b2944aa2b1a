package rules

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// A Listener is where others reach the gateway.
type Listener struct {
	Name           string // the key in `listen`, which is also what it speaks
	Line           int
	Address        string         // host:port; the host may be empty
	Cert, Key      string         // PEM files, or both empty
	TLSMin, TLSMax string         // "1.0" to "1.3", or empty for the library's choice
	Batch          time.Duration  // how long receivers wait for more to be written at once; 0 to 1 s
	Proxy          []netip.Prefix // balancers whose PROXY protocol header is believed and required

	pos pos
}

// Carries returns the protocols that can be served over the listener.
func (l *Listener) Carries() []string {
	k, _ := listenerKind(l.Name)
	if l.Cert != "" {
		return append(slices.Clone(k.Serves), k.OverTLS...)
	}
	return k.Serves
}

// Identity returns a value that is equal for listeners with the same settings, wherever they stand in the file.
func (l *Listener) Identity() Identity {
	h := newHasher("listener", l.Name, l.Address, l.Cert, l.Key, l.TLSMin, l.TLSMax, l.Batch.String())
	for _, p := range l.Proxy {
		h.add(p.String())
	}
	return h.sum()
}

func (d *decoder) listen(n *yaml.Node) (out []Listener) {
	var known []string
	for _, k := range Listeners() {
		known = append(known, k.Name)
	}
	d.pairs(n, "listen", func(k, v *yaml.Node) {
		if _, ok := listenerKind(k.Value); !ok {
			d.fail(at(k), "listen has no key %q%s", clip(k.Value), didYouMean(k.Value, known))
			return
		}
		out = append(out, d.listener(k, v))
	})
	return out
}

func (d *decoder) listener(k, v *yaml.Node) Listener {
	l := Listener{Name: k.Value, Line: k.Line, pos: at(k)}
	path := "listen: " + k.Value
	addr := func(n *yaml.Node) {
		var a hostPort
		if d.unmarshal(n, path, &a) {
			l.Address = string(a)
		} else {
			l.Address = "?" // said already
		}
	}
	text := func(to *string, key string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			t, _ := d.text(n, path+": "+key)
			*to = t.Reveal()
		}
	}
	version := func(to *string, key string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			w := oneOf{known: []string{"1.0", "1.1", "1.2", "1.3"}}
			d.unmarshal(n, path+": "+key, &w)
			*to = w.word
		}
	}
	if real, ok := d.node(v); ok && real.Kind == yaml.ScalarNode {
		addr(v)
		return l
	}
	d.mapping(v, path,
		field{"address", addr}, field{"cert", text(&l.Cert, "cert")}, field{"key", text(&l.Key, "key")},
		field{"tls_min", version(&l.TLSMin, "tls_min")}, field{"tls_max", version(&l.TLSMax, "tls_max")},
		field{"batch", func(n *yaml.Node) {
			var b duration
			d.unmarshal(n, path+": batch", &b)
			if l.Batch = time.Duration(b); l.Batch > time.Second {
				d.fail(at(n), "%s: batch is at most 1s", path)
			}
		}},
		field{"proxy", func(n *yaml.Node) {
			d.list(n, path+": proxy", func(_ int, n *yaml.Node) {
				var p prefix
				if d.unmarshal(n, path+": proxy", &p) {
					l.Proxy = append(l.Proxy, netip.Prefix(p))
				}
			})
		}})
	return l
}

func (f *File) checkListen(r *report, o Options) {
	for i := range f.Listen {
		l := &f.Listen[i]
		k, _ := listenerKind(l.Name)
		path := "listen: " + l.Name
		if !o.available(RoleListen, l.Name) {
			r.fail(l.pos, "listen: %q is not available in this build", l.Name)
		}
		if l.Address == "" {
			r.fail(l.pos, "%s needs an address like %s", path, k.Address)
		}
		switch {
		case (l.Cert == "") != (l.Key == ""):
			r.fail(l.pos, "%s needs both cert and key", path)
		case k.TLS && l.Cert == "":
			r.fail(l.pos, "%s needs cert and key", path)
		case l.Cert == "" && l.TLSMin+l.TLSMax != "":
			r.fail(l.pos, "%s: tls_min and tls_max do nothing without cert and key", path)
		}
		if l.TLSMin != "" && l.TLSMax != "" && l.TLSMin > l.TLSMax {
			r.fail(l.pos, "%s: tls_min %s is above tls_max %s", path, l.TLSMin, l.TLSMax)
		}
	}
}

// own returns the listener that a host and port of a network lead to, as far as the file can tell; nil if none.
func (f *File) own(network, host, port string) *Listener {
	a, err := netip.ParseAddr(host)
	if host == "localhost" {
		a, err = netip.IPv6Loopback(), nil
	}
	if err != nil {
		return nil
	}
	a = a.Unmap()
	here := a.IsLoopback() || a.IsUnspecified()
	for i := range f.Listen {
		l := &f.Listen[i]
		k, _ := listenerKind(l.Name)
		lhost, lport, err := net.SplitHostPort(l.Address)
		if err != nil || lport != port || k.Network != network || l.Name == "admin" {
			continue
		}
		la, err := netip.ParseAddr(lhost)
		everywhere := lhost == "" || err == nil && la.IsUnspecified()
		loop := lhost == "localhost" || err == nil && la.IsLoopback()
		if here && (everywhere || loop) || err == nil && la.Unmap() == a {
			return l
		}
	}
	return nil
}
