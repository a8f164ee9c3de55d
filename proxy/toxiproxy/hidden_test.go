package toxiproxy

import (
	"strings"
	"testing"
)

// A proxy was there before a route of its name: its name stays its own until it is deleted, and the route is left alone meanwhile.
func TestProxyHidesALaterRouteOfItsName(t *testing.T) {
	r := &routes{set: map[string]string{}, absent: true}
	s := serve(t, Config{Routes: r})
	const own, routed = `"upstream":"192.0.2.1:1"`, `"upstream":"shop/db:5432"`
	const proxy = `{"name":"shop.db","listen":"127.0.0.1:0","upstream":"192.0.2.1:1","enabled":false}`
	if status, body := ask(s, "POST", "/proxies", proxy); status != 201 {
		t.Fatalf("%d %s", status, body)
	}
	r.setAbsent(false)
	for _, c := range []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/proxies", "", 200, own},
		{"POST", "/proxies/shop.db/toxics", `{"type":"noop"}`, 200, "noop_downstream"},
		{"GET", "/proxies/shop.db", "", 200, own},
		{"POST", "/populate", "[" + proxy + "]", 201, own}, // as a client does at each start
		{"POST", "/proxies", proxy, 409, "proxy already exists"},
		{"DELETE", "/proxies/shop.db", "", 204, ""},
		{"GET", "/proxies/shop.db", "", 200, routed},
		{"POST", "/populate", "[" + proxy + "]", 409, "proxy already exists"},
	} {
		status, body := ask(s, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.contains) || r.set["shop.db"] != "" {
			t.Errorf("%s %s %s: %d %s, the route has toxics %q", c.method, c.path, c.body, status, body, r.set["shop.db"])
		}
	}
}
