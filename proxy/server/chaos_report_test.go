package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// The report counts the bytes of the content that clients send, however they send it, and those of what they say in a tunnel.
func TestReportCountsWhatClientsSend(t *testing.T) {
	const content = 300_000 // more than any buffer holds
	backend := endpoint(t, func(_ int, c *wire) {
		req, err := http.ReadRequest(c.in)
		if err != nil {
			return
		}
		if req.Header.Get("Upgrade") != "" {
			c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(io.Discard, c.in)
			return
		}
		if n, err := io.Copy(io.Discard, req.Body); err == nil {
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n%6d", n)
		}
	})
	for _, c := range []struct {
		name string
		send func(*wire)
		want int64
	}{
		{"with the head", func(c *wire) { c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\ncontent") }, 7},
		{"large", func(c *wire) {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", content, strings.Repeat("x", content))
		}, content},
		{"chunked", func(c *wire) {
			c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", content, strings.Repeat("x", content))
		}, content},
		{"a tunnel", func(c *wire) {
			c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			c.head()
			c.send("ping")
			_ = c.CloseWrite()
		}, 4},
		{"nothing", func(c *wire) { c.send("%s", get("/")) }, 0},
	} {
		for _, percent := range []float64{0, 100} {
			t.Run(fmt.Sprintf("%s, faults for %v%%", c.name, percent), func(t *testing.T) {
				exp := experiment(proxy.Client, fault.Delay{Latency: shape.Const(1)})
				exp.Percent = shape.Const(percent)
				f := newFaulty(t, nil)
				f.snap = routed(backendOf("other", backend.addr), nil)
				f.change(exp)
				client := dialWire(t, f.addr)
				c.send(client)
				_, _ = bufio.NewReader(client).ReadByte()
				client.Close()
				with, without := chaos.TrafficReport{}, chaos.TrafficReport{}
				until(t, "it is counted", func() bool {
					r := f.engine.Report().Experiments[0]
					with, without = r.InjectedTraffic, r.UninjectedTraffic
					return with.Requests+without.Requests == 1
				})
				if percent == 0 {
					with, without = without, with
				}
				if with.UpstreamBytes != c.want || without.UpstreamBytes != 0 {
					t.Errorf("sent %d, and %d of others, want %d", with.UpstreamBytes, without.UpstreamBytes, c.want)
				}
			})
		}
	}
}

// The report counts the endpoints that a connection or session has tried beyond the first.
func TestReportCountsRetriesOfStreams(t *testing.T) {
	for _, p := range []proxy.Protocol{proxy.TCP, proxy.UDP} {
		for _, c := range []struct {
			name      string
			endpoints int
			refused   int // attempts, of as many as there may be
			want      uint64
			failed    uint64
		}{
			{"none", 3, 0, 0, 0}, {"one", 3, 1, 1, 0}, {"two", 3, 2, 2, 0}, {"all in vain", 3, 3, 2, 1}, {"no other endpoint", 1, 1, 0, 1},
		} {
			t.Run(string(p)+", "+c.name, func(t *testing.T) {
				var addrs []string
				for range c.endpoints {
					if p == proxy.UDP {
						addrs = append(addrs, echoUDP(t, "127.0.0.1:0").addr())
					} else {
						addrs = append(addrs, greets(t, "hello").addr)
					}
				}
				engine := chaos.New(chaos.Config{})
				t.Cleanup(engine.Close)
				w := newWorld(t, Config{Chaos: engine})
				snap := streamed(p, nil, backendOf("a", addrs...))
				exp := experiment(proxy.AtBackend, toxic.Down{})
				exp.Targets[0].Object = snap.Listeners[0].Stream.ID
				exp.Sequence = []proxy.SequenceStep{{Count: c.refused, Toxics: []string{"toxic-0"}}, {Count: 100}}
				snap.Experiments = []*proxy.Experiment{exp}
				w.apply(t, snap)
				port := uint16(testPort)
				if p == proxy.UDP {
					port |= udpPort
				}
				client, err := net.Dial(strings.ToLower(string(p)), w.addr(port))
				if err == nil { // one that fails may be reset at once
					defer client.Close()
					_, err = io.WriteString(client, "a")
				}
				if c.failed == 0 {
					if err != nil {
						t.Fatal(err)
					}
					_ = client.SetDeadline(time.Now().Add(patience))
					if _, err := client.Read(make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
					client.Close()
					w.apply(t, &proxy.Snapshot{Experiments: snap.Experiments}) // sessions end
				}
				seen := chaos.TrafficReport{}
				until(t, "it is counted", func() bool {
					r := engine.Report().Experiments[0]
					seen = r.InjectedTraffic
					if c.refused == 0 {
						seen = r.UninjectedTraffic
					}
					return seen.Connections == 1
				})
				if seen.Retries != c.want || seen.Failed != c.failed {
					t.Errorf("%d retries, %d failed, want %d and %d", seen.Retries, seen.Failed, c.want, c.failed)
				}
			})
		}
	}
}
