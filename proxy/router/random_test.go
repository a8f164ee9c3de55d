package router

import (
	"math/rand/v2"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// generator draws tables and requests from so few words that they often meet.
type generator struct {
	*rand.Rand
	routes int // made so far
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
}

func pick[E any](g *generator, from ...E) E { return from[g.IntN(len(from))] }

func (g *generator) listeners() []*proxy.Listener {
	hostnames := []string{"", "*.com", "*.a.com", "a.com", "b.a.com", "*.b.a.com"}
	g.Shuffle(len(hostnames), func(i, j int) { hostnames[i], hostnames[j] = hostnames[j], hostnames[i] })
	listeners := make([]*proxy.Listener, 1+g.IntN(3))
	for i := range listeners {
		listeners[i] = &proxy.Listener{
			ID:          proxy.ListenerID{Section: hostnames[i]},
			Port:        80,
			Protocol:    proxy.HTTP1,
			Hostname:    hostnames[i],
			Fallthrough: g.IntN(2) == 0,
			Hosts:       g.hosts(),
		}
		if g.IntN(2) == 0 {
			listeners[i].Default = g.route()
		}
	}
	return listeners
}

func (g *generator) hosts() []*proxy.Host {
	var hosts []*proxy.Host
	for _, name := range []string{"", "*.com", "*.a.com", "*.b.a.com", "a.com", "b.a.com", "c.b.a.com"} {
		if g.IntN(2) == 0 {
			hosts = append(hosts, g.host(name, false))
		}
		if strings.HasPrefix(name, "*") && g.IntN(3) == 0 {
			hosts = append(hosts, g.host(name, true))
		}
	}
	g.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	return hosts
}

func (g *generator) host(name string, single bool) *proxy.Host {
	routes := make([]*proxy.Route, g.IntN(pick(g, 2, 8, 40)))
	for i := range routes {
		routes[i] = g.route()
	}
	return &proxy.Host{Name: name, SingleLabel: single, Routes: routes}
}

func (g *generator) route() *proxy.Route {
	g.routes++
	m := proxy.Match{Method: pick(g, "", "", "GET", "POST")}
	switch g.IntN(5) {
	case 0, 1:
		m.Path = proxy.PathMatch{Type: proxy.PathExact, Value: g.path()}
	case 2:
		m.Path = proxy.PathMatch{Type: proxy.PathRegex, Value: pick(g, "/a.*", "/.*", "/(a|b)", "/[ab]/c?", "/(?i)A/b")}
	default:
		m.Path.Value = g.path()
		if g.IntN(10) == 0 {
			m.Path.Value = ""
		}
	}
	for _, name := range []string{"x-one", "X-Two"} {
		if g.IntN(3) == 0 {
			m.Headers = append(m.Headers, proxy.ValueMatch{Type: g.valueType(), Name: name, Value: pick(g, "1", "2", "1,2", "", "1|2")})
		}
	}
	for _, name := range []string{"q", "a b"} {
		if g.IntN(3) == 0 {
			m.Query = append(m.Query, proxy.ValueMatch{Type: g.valueType(), Name: name, Value: pick(g, "1", "2", "1 2", "", "[12 ]+")})
		}
	}
	return &proxy.Route{ID: proxy.RouteID{Rule: g.routes}, Match: m}
}

func (g *generator) valueType() proxy.ValueType { return pick(g, proxy.ValueExact, proxy.ValueRegex) }

func (g *generator) path() string {
	path := "/"
	for range g.IntN(4) {
		path += pick(g, "a", "b", "ab", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "") + "/"
	}
	if g.IntN(4) > 0 && path != "/" {
		path = path[:len(path)-1]
	}
	return path
}

func (g *generator) request() *proxy.Request {
	r := &proxy.Request{
		Method: []byte(pick(g, "GET", "POST", "PUT")),
		Host:   []byte(pick(g, "a.com", "b.a.com", "c.b.a.com", "d.c.b.a.com", "com", "x.com", "x.a.com", ".a.com", "..a.com", "", "x.y.com")),
		Path:   []byte(g.path()),
	}
	for range g.IntN(4) {
		r.Header.Add([]byte(pick(g, "x-one", "X-TWO", "other")), []byte(pick(g, "1", "2", "1,2", "")))
	}
	var pairs []string
	for range g.IntN(4) {
		pairs = append(pairs, pick(g, "q=1", "q=2", "q", "q=1+2", "%71=1", "a+b=1", "a%20b=1%202", "a%20b=", "other=1", ""))
	}
	r.Query = []byte(strings.Join(pairs, "&"))
	return r
}
