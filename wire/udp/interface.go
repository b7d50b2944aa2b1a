package udp

import (
	"fmt"
	"net"
	"net/netip"
)

// Interface finds a network interface by its name or by one of its addresses. It returns nil for an empty text: the
// routing table decides then.
func Interface(text string) (*net.Interface, error) {
	if text == "" {
		return nil, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		ifi, err := net.InterfaceByName(text)
		if err != nil {
			return nil, fmt.Errorf("interface %q: there is none of that name; give a name or an address that `ip addr` shows", text)
		}
		return ifi, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	for _, ifi := range all {
		if have, err := addresses(&ifi); err == nil {
			for _, a := range have {
				if a == addr.WithZone("").Unmap() {
					return &ifi, nil
				}
			}
		}
	}
	return nil, fmt.Errorf("interface %q: no interface has this address; give a name or an address that `ip addr` shows", text)
}

// addresses returns the addresses of ifi.
func addresses(ifi *net.Interface) ([]netip.Addr, error) {
	list, err := ifi.Addrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses of interface %s: %w", ifi.Name, err)
	}
	var out []netip.Addr
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out, nil
}

// sourceAddress is the address of ifi from which datagrams to dst are sent: text itself if it is an address, else the
// first of the same family (for IPv6, of the same scope).
func sourceAddress(ifi *net.Interface, text string, dst netip.Addr) (netip.Addr, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Unmap().Is4() != dst.Is4() {
			return netip.Addr{}, fmt.Errorf("interface %s and destination %s are of different address families", text, dst)
		}
		return a.Unmap(), nil
	}
	have, err := addresses(ifi)
	if err != nil {
		return netip.Addr{}, err
	}
	var second netip.Addr
	for _, a := range have {
		if a.Is4() != dst.Is4() {
			continue
		}
		if a.Is4() || a.IsLinkLocalUnicast() == (dst.IsLinkLocalUnicast() || dst.IsLinkLocalMulticast()) {
			return a, nil
		}
		second = a
	}
	if second.IsValid() {
		return second, nil
	}
	return netip.Addr{}, fmt.Errorf("interface %s has no address for the family of %s", ifi.Name, dst)
}
