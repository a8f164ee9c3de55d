package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy/authority"
)

// guard refuses what no operator's tool sends.
type guard struct {
	next     http.Handler
	hosts    authority.Names
	controls map[string]bool // paths that take POST and nothing else
}

func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch read := r.Method == http.MethodGet || r.Method == http.MethodHead; {
	case g.controls[r.URL.Path] && r.Method != http.MethodPost:
		h.Set("Allow", "POST")
		text(w, http.StatusMethodNotAllowed, "only POST\n")
	case !g.controls[r.URL.Path] && !read:
		h.Set("Allow", "GET, HEAD")
		text(w, http.StatusMethodNotAllowed, "only GET and HEAD\n")
	case r.ContentLength != 0:
		text(w, http.StatusBadRequest, "no body is expected\n")
	case !g.hosts.Known(r.Host):
		text(w, http.StatusMisdirectedRequest, "call this endpoint by address, as localhost or by a name in --admin-hosts\n")
	case foreign(r):
		text(w, http.StatusForbidden, "not for pages of another origin\n")
	default:
		g.next.ServeHTTP(w, r)
	}
}

// foreign reports whether a browser sent the request on behalf of another origin (Fetch Metadata, RFC 6454).
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

// local serves clients on loopback only, and not too many at once.
func (e *endpoint) local(next http.HandlerFunc) http.Handler {
	return onLoopback(func(w http.ResponseWriter, r *http.Request) {
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
			next(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			text(w, http.StatusServiceUnavailable, "busy\n")
		}
	})
}

// onLoopback serves clients on loopback only.
func onLoopback(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !peer.Addr().Unmap().IsLoopback() {
			text(w, http.StatusForbidden, "only for clients on this machine: use kubectl port-forward\n")
			return
		}
		next(w, r)
	})
}
