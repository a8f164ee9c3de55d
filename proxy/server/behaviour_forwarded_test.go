package server

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestForwardedFields(t *testing.T) {
	const ours = "X-Forwarded-For: 203.0.113.9|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 203.0.113.9|X-Request-Id: RANDOM"
	trusted := Forwarded{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	standard := Forwarded{Standard: true}
	both := Forwarded{TrustedProxies: trusted.TrustedProxies, Standard: true}
	for name, tc := range map[string]struct {
		cfg    Forwarded
		peer   string
		sent   string
		want   string
		client string
	}{
		"plain":                {Forwarded{}, "203.0.113.9", "", ours, "203.0.113.9"},
		"others stay in order": {Forwarded{}, "203.0.113.9", "A: 1|B: 2|A: 3", "A: 1|B: 2|A: 3|" + ours, "203.0.113.9"},
		"nobody is believed": {Forwarded{}, "203.0.113.9",
			"X-Forwarded-For: 1.1.1.1|x-forwarded-PROTO: https|X-Forwarded-Host: evil|X-Forwarded-Port: 1|X-Forwarded-Prefix: /x|X-FORWARDED-ANYTHING: x|x-real-ip: 2.2.2.2|Forwarded: for=3.3.3.3",
			ours, "203.0.113.9"},
		"a stranger is not believed": {trusted, "203.0.113.9", "X-Forwarded-For: 1.1.1.1|X-Real-IP: 1.1.1.1|X-Forwarded-Proto: https", ours, "203.0.113.9"},
		"a trusted proxy": {trusted, "10.0.0.1", "X-Forwarded-For: 198.51.100.7|X-Forwarded-Proto: https|X-Forwarded-Host: front.example|X-Forwarded-Port: 443|X-Real-IP: 6.6.6.6",
			"X-Forwarded-Proto: https|X-Forwarded-Host: front.example|X-Forwarded-Port: 443|X-Forwarded-For: 198.51.100.7, 10.0.0.1|X-Real-IP: 198.51.100.7|X-Request-Id: RANDOM", "198.51.100.7"},
		"a trusted proxy that says nothing": {trusted, "10.0.0.1", "",
			"X-Forwarded-For: 10.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 10.0.0.1|X-Request-Id: RANDOM", "10.0.0.1"},
		"the last that is not trusted counts": {trusted, "10.0.0.1", "X-Forwarded-For: 1.1.1.1, 198.51.100.7 , 10.2.2.2,10.3.3.3",
			"X-Forwarded-For: 1.1.1.1, 198.51.100.7 , 10.2.2.2,10.3.3.3, 10.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 198.51.100.7|X-Request-Id: RANDOM", "198.51.100.7"},
		"several lines are one list": {trusted, "10.0.0.1", "X-Forwarded-For: 1.1.1.1|A: 1|x-forwarded-for: 198.51.100.7",
			"A: 1|X-Forwarded-For: 1.1.1.1, 198.51.100.7, 10.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 198.51.100.7|X-Request-Id: RANDOM", "198.51.100.7"},
		"all are trusted": {trusted, "10.0.0.1", "X-Forwarded-For: 10.9.9.9, 10.2.2.2",
			"X-Forwarded-For: 10.9.9.9, 10.2.2.2, 10.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 10.9.9.9|X-Request-Id: RANDOM", "10.9.9.9"},
		"what is no address ends the search": {trusted, "10.0.0.1", "X-Forwarded-For: 1.1.1.1, unknown, 10.2.2.2",
			"X-Forwarded-For: 1.1.1.1, unknown, 10.2.2.2, 10.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 10.2.2.2|X-Request-Id: RANDOM", "10.2.2.2"},
		"IPv6": {Forwarded{}, "2001:db8::1", "",
			"X-Forwarded-For: 2001:db8::1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 2001:db8::1|X-Request-Id: RANDOM", "2001:db8::1"},
		"IPv6, trusted": {trusted, "fd00::1", "X-Forwarded-For: 2001:db8::7",
			"X-Forwarded-For: 2001:db8::7, fd00::1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 2001:db8::7|X-Request-Id: RANDOM", "2001:db8::7"},
		"RFC 7239": {standard, "203.0.113.9", "Forwarded: for=1.1.1.1",
			strings.Replace(ours, "|X-Request-Id", `|Forwarded: for=203.0.113.9;host="shop.example:8080";proto=http|X-Request-Id`, 1), "203.0.113.9"},
		"RFC 7239, IPv6": {standard, "2001:db8::1", "",
			`X-Forwarded-For: 2001:db8::1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 2001:db8::1|Forwarded: for="[2001:db8::1]";host="shop.example:8080";proto=http|X-Request-Id: RANDOM`, "2001:db8::1"},
		"RFC 7239, a trusted proxy's lines": {both, "10.0.0.1", "Forwarded: for=1.1.1.1|Forwarded: for=2.2.2.2",
			`X-Forwarded-For: 10.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: shop.example:8080|X-Real-IP: 10.0.0.1|Forwarded: for=1.1.1.1, for=2.2.2.2, for=10.0.0.1;host="shop.example:8080";proto=http|X-Request-Id: RANDOM`, "10.0.0.1"},
		"a request id is kept":          {Forwarded{}, "203.0.113.9", "x-request-id: ab.c-1/2", "x-request-id: ab.c-1/2|" + strings.TrimSuffix(ours, "|X-Request-Id: RANDOM"), "203.0.113.9"},
		"only the first request id":     {Forwarded{}, "203.0.113.9", "X-Request-Id: a|X-Request-Id: b|X-Request-Id: c", "X-Request-Id: a|" + strings.TrimSuffix(ours, "|X-Request-Id: RANDOM"), "203.0.113.9"},
		"a bad request id is replaced":  {Forwarded{}, "203.0.113.9", "X-Request-Id: a b", ours, "203.0.113.9"},
		"an empty one":                  {Forwarded{}, "203.0.113.9", "X-Request-Id: ", ours, "203.0.113.9"},
		"a long one":                    {Forwarded{}, "203.0.113.9", "X-Request-Id: " + strings.Repeat("a", 129), ours, "203.0.113.9"},
		"the good one behind a bad one": {Forwarded{}, "203.0.113.9", "X-Request-Id: a\"b|X-Request-Id: c", "X-Request-Id: c|" + strings.TrimSuffix(ours, "|X-Request-Id: RANDOM"), "203.0.113.9"},
	} {
		t.Run(name, func(t *testing.T) {
			peer := netip.AddrPortFrom(netip.MustParseAddr(tc.peer), 1234)
			x := &proxy.Exchange{Request: proxy.Request{Scheme: "http", Authority: []byte("shop.example:8080"), Peer: peer, ClientIP: peer.Addr()}}
			if tc.sent != "" {
				for _, line := range strings.Split(tc.sent, "|") {
					name, value, _ := strings.Cut(line, ": ")
					x.Request.Header.Add([]byte(name), []byte(value))
				}
			}
			w := newForwarder(tc.cfg)
			w.apply(x)
			var got []string
			for _, f := range x.Request.Header.Fields {
				line := fmt.Sprintf("%s: %s", f.Name, f.Value)
				got = append(got, regexp.MustCompile(`^X-Request-Id: [0-9a-f]{32}$`).ReplaceAllString(line, "X-Request-Id: RANDOM"))
			}
			if g := strings.Join(got, "|"); g != tc.want {
				t.Errorf("got  %s\nwant %s", g, tc.want)
			}
			if g := x.Request.ClientIP.String(); g != tc.client {
				t.Errorf("client %s, want %s", g, tc.client)
			}
		})
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	var x proxy.Exchange
	for range 1000 {
		id := string(newRequestID(&x))
		if seen[id] {
			t.Fatal("twice the same:", id)
		}
		seen[id] = true
	}
}
