package server

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// FuzzForwarded: of what a client says of its way only a trusted proxy's goes on, each field stands there once, and the client's address
// is the last of the chain that is not a trusted proxy's.
func FuzzForwarded(f *testing.F) {
	f.Add("192.0.2.1", "1.2.3.4", "for=1.2.3.4", "id", false)
	f.Add("10.0.0.1", "evil, 1.2.3.4 ,\t10.0.0.2", "for=1.2.3.4", "id", true)
	f.Add("10.0.0.1", "10.0.0.2,::ffff:10.0.0.3", "", "", true)
	f.Add("fe80::1%eth0", `::%", fe80::2%x`, "", "", true)
	f.Add("10.0.0.1", `::%"`, "", "a b", false)
	f.Add("10.0.0.1", "1.2.3.4,", "", "", false)
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}
	f.Fuzz(func(t *testing.T, from, chain, forwarded, id string, standard bool) {
		peer, err := netip.ParseAddr(from)
		if err != nil || peer.Is4In6() {
			return
		}
		x := &proxy.Exchange{}
		x.Request.Scheme, x.Request.Authority = "http", []byte("h")
		x.Request.Peer, x.Request.ClientIP = netip.AddrPortFrom(peer, 5), peer
		for _, field := range [][2]string{
			{"x-forwarded-for", chain}, {"forwarded", forwarded}, {"X-Request-ID", id}, {"X-Real-Ip", "6.6.6.6"}, {"X-Forwarded-Foo", "foo"},
		} {
			x.Request.Header.Add([]byte(field[0]), []byte(field[1]))
		}
		w := newForwarder(Forwarded{TrustedProxies: trusted, Standard: standard})
		w.apply(x)

		fields := map[string]string{}
		for _, field := range x.Request.Header.Fields {
			name := strings.ToLower(string(field.Name))
			if _, ok := fields[name]; ok {
				t.Errorf("%s is there twice", name)
			}
			fields[name] = string(field.Value)
		}
		isTrusted := slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(peer.WithZone("")) })
		plain := peer.WithZone("").String()
		client, path, way := peer, plain, ""
		if standard {
			node := plain
			if peer.Is6() {
				node = `"[` + plain + `]"`
			}
			if way = "for=" + node + `;host="h";proto=http`; isTrusted && forwarded != "" {
				way = forwarded + ", " + way
			}
		}
		if isTrusted && chain != "" {
			client, path = lastUntrusted(trusted, chain, peer), chain+", "+plain
		}
		if x.Request.ClientIP != client || fields["x-real-ip"] != client.WithZone("").String() {
			t.Errorf("%q from %v: the client is %v, X-Real-IP %q, want %v", chain, peer, x.Request.ClientIP, fields["x-real-ip"], client)
		}
		if fields["x-forwarded-for"] != path {
			t.Errorf("X-Forwarded-For is %q, want %q", fields["x-forwarded-for"], path)
		}
		if _, ok := fields["x-forwarded-foo"]; ok != isTrusted {
			t.Errorf("from %v: %v", peer, fields)
		}
		if got := fields["x-request-id"]; !harmless.MatchString(got) || harmless.MatchString(id) && got != id {
			t.Errorf("X-Request-Id is %q, of the client's %q", got, id)
		}
		if fields["forwarded"] != way {
			t.Errorf("Forwarded is %q, want %q", fields["forwarded"], way)
		}
	})
}

var harmless = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// lastUntrusted reads a chain from its end; what stands left of something that is no address counts for nothing.
func lastUntrusted(trusted []netip.Prefix, chain string, peer netip.Addr) netip.Addr {
	client := peer
	for _, text := range slices.Backward(strings.Split(chain, ",")) {
		a, err := netip.ParseAddr(strings.Trim(text, " \t"))
		if err != nil {
			break
		}
		client = a.Unmap().WithZone("")
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(client) }) {
			break
		}
	}
	return client
}
