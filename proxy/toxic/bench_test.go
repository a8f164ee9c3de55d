package toxic

import (
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// proxied returns the peers' ends of two connections with something between them: nothing, io.Copy, or a Link.
func proxied(b *testing.B, between string) (client, endpoint *net.TCPConn) {
	if between == "direct" {
		return tcpPair(b)
	}
	if between != "copy" {
		var as []Active
		switch between {
		case "noop":
			as = []Active{act("d", proxy.Downstreamward, Noop{}), act("u", proxy.Upstreamward, Noop{})}
		case "latency":
			as = []Active{act("d", proxy.Downstreamward, Latency{Latency: fixed(50)})}
		case "latency0":
			as = []Active{act("d", proxy.Downstreamward, Latency{Latency: fixed(0)})}
		case "four":
			for _, name := range []string{"a", "b", "c", "d"} {
				as = append(as, act(name, proxy.Downstreamward, Noop{}), act(name, proxy.Upstreamward, Noop{}))
			}
		}
		r := newRig(b, Options{}, as...)
		return r.client, r.endpoint
	}
	client, near := tcpPair(b)
	far, endpoint := tcpPair(b)
	for _, p := range [][2]*net.TCPConn{{near, far}, {far, near}} {
		go func() {
			io.Copy(struct{ io.Writer }{p[0]}, struct{ io.Reader }{p[1]}) // without splice
			p[0].CloseWrite()
		}()
	}
	b.Cleanup(func() {
		client.Close()
		endpoint.Close()
		near.Close()
		far.Close()
	})
	return client, endpoint
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPingPong is a round trip of 64 bytes.
func BenchmarkPingPong(b *testing.B) {
	for _, between := range []string{"direct", "copy", "nothing", "noop", "four", "latency0"} {
		b.Run(between, func(b *testing.B) {
			client, endpoint := proxied(b, between)
			go func() {
				p := make([]byte, 64)
				for {
					if _, err := io.ReadFull(endpoint, p); err != nil {
						return
					}
					_, _ = endpoint.Write(p)
				}
			}()
			p := make([]byte, 64)
			b.ReportAllocs()
			began := cpu()
			for b.Loop() {
				_, _ = client.Write(p)
				if _, err := io.ReadFull(client, p); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkBulk is 64 KiB downstream.
func BenchmarkBulk(b *testing.B) {
	for _, between := range []string{"direct", "copy", "nothing", "noop", "latency"} {
		b.Run(between, func(b *testing.B) {
			client, endpoint := proxied(b, between)
			const size = 64 << 10
			go io.Copy(io.Discard, struct{ io.Reader }{client})
			p := make([]byte, size)
			b.SetBytes(size)
			b.ReportAllocs()
			began := cpu()
			for b.Loop() {
				if _, err := endpoint.Write(p); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkChange is how long it takes until a change of toxics shows at the peer.
func BenchmarkChange(b *testing.B) {
	hold := act("t", proxy.Downstreamward, Timeout{})
	r := newRig(b, Options{}, hold)
	p := make([]byte, 1)
	for b.Loop() {
		r.slot.Set(hold)
		if _, err := r.endpoint.Write(p); err != nil {
			b.Fatal(err)
		}
		r.slot.Set()
		if _, err := io.ReadFull(r.client, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSetOnManyLinks is a change of the toxics of many idle connections by one goroutine, as by a call of an API, and a byte on
// each afterwards; call-ns/link is the change alone.
func BenchmarkSetOnManyLinks(b *testing.B) {
	const links = 4000 // four descriptors each
	var rigs []*rig
	for range links {
		rigs = append(rigs, newRig(b, Options{}))
	}
	lists := [2][]Active{{act("d", proxy.Downstreamward, Noop{}), act("u", proxy.Upstreamward, Noop{})}, nil}
	var calls time.Duration
	p := make([]byte, 1)
	n := 0
	for b.Loop() {
		began := time.Now()
		for _, r := range rigs {
			r.slot.Set(lists[n%2]...)
		}
		n++
		calls += time.Since(began)
		for _, r := range rigs { // they follow one after the other, more or less
			_ = r.client.SetReadDeadline(time.Now().Add(patience))
			if _, err := r.endpoint.Write(p); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(r.client, p); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(calls)/float64(n*links), "call-ns/link")
}

// BenchmarkIdleLink is the memory of a connection that waits, with the test's own ends of it, per link.
func BenchmarkIdleLink(b *testing.B) {
	const links = 1000
	for name, as := range map[string][]Active{
		"nothing": nil,
		"latency": {act("d", proxy.Downstreamward, Latency{Latency: fixed(1)}), act("u", proxy.Upstreamward, Latency{Latency: fixed(1)})},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				for range links {
					r := newRig(b, Options{}, as...)
					for _, way := range [][2]net.Conn{{r.client, r.endpoint}, {r.endpoint, r.client}} { // it has been used
						if _, err := way[0].Write(make([]byte, 1000)); err != nil {
							b.Fatal(err)
						}
						read(b, way[1], 1000)
					}
				}
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/links, "heap-B/link")
				b.ReportMetric(float64(after.StackInuse-before.StackInuse)/links, "stack-B/link")
			}
		})
	}
}
