package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// manyHosts returns a Listener of n Hosts with one Route each, as an ingress controller of many small tenants has.
func manyHosts(n int) *proxy.Listener {
	l := &proxy.Listener{ID: proxy.ListenerID{Section: "http"}, Port: 80, Protocol: proxy.HTTP1}
	for i := range n {
		l.Hosts = append(l.Hosts, &proxy.Host{
			Name:   fmt.Sprintf("shop-%05d.example.com", i),
			Routes: []*proxy.Route{{ID: proxy.RouteID{Rule: i}, Match: proxy.Match{Path: proxy.PathMatch{Value: "/api"}}}},
		})
	}
	return l
}

// manyPaths returns a Listener of one Host with n Routes.
func manyPaths(n int) *proxy.Listener {
	h := &proxy.Host{Name: "shop-00000.example.com"}
	for i := range n {
		h.Routes = append(h.Routes, &proxy.Route{
			ID:    proxy.RouteID{Rule: i},
			Match: proxy.Match{Path: proxy.PathMatch{Value: fmt.Sprintf("/api/item-%05d", i)}},
		})
	}
	return &proxy.Listener{ID: proxy.ListenerID{Section: "http"}, Port: 80, Protocol: proxy.HTTP1, Hosts: []*proxy.Host{h}}
}

// targets returns hosts and paths with "#" replaced by numbers below n at random; packed, so that the cost of reading them is that of
// a request that has just been parsed.
func targets(n int, host, path string) (hosts, paths [][]byte) {
	const count = 4096 // a power of two
	rng := rand.New(rand.NewPCG(1, 2))
	var packed []byte
	packed = slices.Grow(packed, count*64)
	for range count {
		k := rng.IntN(n)
		at := len(packed)
		packed = append(packed, strings.ReplaceAll(host, "#", fmt.Sprintf("%05d", k))...)
		hosts = append(hosts, packed[at:])
		at = len(packed)
		packed = append(packed, strings.ReplaceAll(path, "#", fmt.Sprintf("%05d", k))...)
		paths = append(paths, packed[at:])
	}
	return hosts, paths
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct {
		name       string
		listener   func(n int) *proxy.Listener
		host, path string
		spread     int // of how many names the requests are; 0: of all
	}{
		// Ten names again and again show the work, all names at random the cache misses.
		{"hosts/ten", manyHosts, "shop-#.example.com", "/api/#", 10},
		{"hosts/all", manyHosts, "shop-#.example.com", "/api/#", 0},
		{"paths/ten", manyPaths, "shop-00000.example.com", "/api/item-#", 10},
		{"paths/all", manyPaths, "shop-00000.example.com", "/api/item-#", 0},
	} {
		for _, n := range []int{10, 1000, 10000} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				table, err := Compile(nil, []*proxy.Listener{c.listener(n)}, itself)
				if err != nil {
					b.Fatal(err)
				}
				hosts, paths := targets(cmp.Or(c.spread, n), c.host, c.path)
				r := &proxy.Request{Method: []byte("GET")}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					r.Host, r.Path = hosts[i&4095], paths[i&4095]
					i++
					if _, _, ok := table.Match(r); !ok {
						b.Fatalf("%s%s: no match", r.Host, r.Path)
					}
				}
			})
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		for _, c := range []struct {
			name     string
			listener *proxy.Listener
		}{{"hosts", manyHosts(n)}, {"paths", manyPaths(n)}} {
			b.Run(fmt.Sprintf("full/%s/%d", c.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Compile(nil, []*proxy.Listener{c.listener}, itself); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(retained(b, c.listener)/float64(n), "B/route")
			})
		}
		b.Run(fmt.Sprintf("oneHostChanged/%d", n), func(b *testing.B) {
			first := manyHosts(n)
			table, err := Compile(nil, []*proxy.Listener{first}, itself)
			if err != nil {
				b.Fatal(err)
			}
			second := *first
			second.Hosts = slices.Clone(first.Hosts)
			changed := *first.Hosts[n/2]
			second.Hosts[n/2] = &changed
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(table, []*proxy.Listener{&second}, itself); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// retained returns the bytes that one Table keeps alive.
func retained(b *testing.B, l *proxy.Listener) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table, err := Compile(nil, []*proxy.Listener{l}, itself)
	if err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(table)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}
