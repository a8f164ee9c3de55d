package server

import (
	"bytes"
	"math/rand/v2"
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Forwarded says what endpoints are told of the client, and whom to believe.
type Forwarded struct {
	// TrustedProxies are the networks whose X-Forwarded-For is believed: it tells the client's address, and is extended. Their other
	// X-Forwarded-* fields are passed on as they are. Their Forwarded field is extended if Standard is set, and removed otherwise;
	// their X-Real-IP is replaced; neither is looked at for the client's address. From anybody else all of these are removed.
	// Default none.
	TrustedProxies []netip.Prefix
	// Standard adds the Forwarded field (RFC 7239) to the X-Forwarded-* ones.
	Standard bool
}

// forwarder writes the fields. It is immutable.
type forwarder struct {
	trusted  *bart.Lite // nil: nobody
	standard bool
}

func newForwarder(f Forwarded) forwarder {
	w := forwarder{standard: f.Standard}
	if len(f.TrustedProxies) > 0 {
		w.trusted = new(bart.Lite)
		for _, p := range f.TrustedProxies {
			w.trusted.Insert(p.Masked())
		}
	}
	return w
}

func (w *forwarder) trusts(a netip.Addr) bool { return w.trusted != nil && w.trusted.Contains(a) }

var (
	nameFor       = []byte("X-Forwarded-For")
	nameProto     = []byte("X-Forwarded-Proto")
	nameHost      = []byte("X-Forwarded-Host")
	nameRealIP    = []byte("X-Real-IP")
	nameForwarded = []byte("Forwarded")
	nameRequestID = []byte("X-Request-Id")
	schemeHTTP    = []byte("http")
	schemeHTTPS   = []byte("https")
)

// apply removes what the client must not say of itself, finds the client's address and adds our own fields.
func (w *forwarder) apply(x *proxy.Exchange) {
	r := &x.Request
	trusted := w.trusts(r.Peer.Addr())
	var seen forwardedSeen
	kept := r.Header.Fields[:0]
	for _, f := range r.Header.Fields {
		keep, own := seen.note(&f, trusted)
		if keep || !own {
			kept = append(kept, f)
		}
	}
	r.Header.Fields = kept
	peer := r.Peer.Addr().WithZone("").AppendTo(x.Scratch(48)[:0]) // the zone is one of ours, and says nothing elsewhere
	chain := peer
	if trusted {
		r.ClientIP = w.client(seen.chain, r.Peer.Addr())
		chain = appendChain(x, seen.chain, peer)
	}
	client := peer
	if r.ClientIP != r.Peer.Addr() {
		client = r.ClientIP.AppendTo(x.Scratch(48)[:0])
	}
	r.Header.Add(nameFor, chain)
	if !seen.proto {
		proto := schemeHTTP
		if r.Scheme == "https" {
			proto = schemeHTTPS
		}
		r.Header.Add(nameProto, proto)
	}
	if !seen.host {
		r.Header.Add(nameHost, r.Authority)
	}
	r.Header.Add(nameRealIP, client)
	if w.standard {
		r.Header.Add(nameForwarded, w.element(x, seen.forwarded, peer))
	}
	if !seen.requestID {
		r.Header.Add(nameRequestID, newRequestID(x))
	}
}

// forwardedSeen is what a request says of its way so far.
type forwardedSeen struct {
	chain, forwarded       []byte
	proto, host, requestID bool
}

// note looks at a field. own is true for those that say who the client is; keep for those among them that are passed on as they
// are.
func (s *forwardedSeen) note(f *proxy.Field, trusted bool) (keep, own bool) {
	n := f.Name
	switch len(n) {
	case 9:
		if proxy.EqualFold(n, "x-real-ip") {
			return false, true
		}
		if proxy.EqualFold(n, "forwarded") {
			if trusted {
				s.forwarded = joinList(s.forwarded, f.Value)
			}
			return false, true
		}
	case 12:
		if proxy.EqualFold(n, "x-request-id") {
			if s.requestID || !validRequestID(f.Value) {
				return false, true
			}
			s.requestID = true
			return true, true
		}
	}
	if len(n) <= 12 || !proxy.EqualFold(n[:12], "x-forwarded-") {
		return false, false
	}
	if !trusted {
		return false, true
	}
	switch rest := n[12:]; {
	case proxy.EqualFold(rest, "for"):
		s.chain = joinList(s.chain, f.Value)
		return false, true
	case proxy.EqualFold(rest, "proto"):
		s.proto = true
	case proxy.EqualFold(rest, "host"):
		s.host = true
	}
	return true, true
}

// joinList joins two lists as RFC 9110 section 5.3 does.
func joinList(a, b []byte) []byte {
	if len(a) == 0 {
		return b
	}
	return append(append(append(make([]byte, 0, len(a)+len(b)+2), a...), ", "...), b...)
}

// client is the last address of the chain that is not a trusted proxy's.
func (w *forwarder) client(chain []byte, peer netip.Addr) netip.Addr {
	client := peer
	for len(chain) > 0 {
		i := len(chain)
		for i > 0 && chain[i-1] != ',' {
			i--
		}
		a, err := netip.ParseAddr(string(bytes.Trim(chain[i:], " \t")))
		if err != nil {
			return client // what stands further left cannot be relied on
		}
		client = a.Unmap().WithZone("") // which is any text
		if !w.trusts(client) {
			return client
		}
		chain = chain[:max(0, i-1)]
	}
	return client
}

func appendChain(x *proxy.Exchange, chain, peer []byte) []byte {
	if len(chain) == 0 {
		return peer
	}
	out := x.Scratch(len(chain) + len(peer) + 2)[:0]
	return append(append(append(out, chain...), ", "...), peer...)
}

// element appends ours to a Forwarded field (RFC 7239 section 4).
func (w *forwarder) element(x *proxy.Exchange, before, peer []byte) []byte {
	r := &x.Request
	out := x.Scratch(len(before) + len(peer) + len(r.Authority) + 48)[:0]
	if len(before) > 0 {
		out = append(append(out, before...), ", "...)
	}
	out = append(out, "for="...)
	if r.Peer.Addr().Is6() {
		out = append(append(append(out, `"[`...), peer...), `]"`...)
	} else {
		out = append(out, peer...)
	}
	out = append(append(out, `;host="`...), r.Authority...)
	return append(append(out, `";proto=`...), r.Scheme...)
}

// validRequestID reports whether a client's request id may go on: short, and harmless in any log.
func validRequestID(v []byte) bool {
	if len(v) == 0 || len(v) > 128 {
		return false
	}
	for _, c := range v {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=':
		default:
			return false
		}
	}
	return true
}

// newRequestID draws 128 random bits.
func newRequestID(x *proxy.Exchange) []byte {
	const hex = "0123456789abcdef"
	id := x.Scratch(32)
	for i := 0; i < 32; i += 16 {
		bits := rand.Uint64()
		for j := range 16 {
			id[i+j] = hex[bits&15]
			bits >>= 4
		}
	}
	return id
}
