package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testPort = 8080

// proxyTo returns the address of a Server that sends everything to the endpoints.
func proxyTo(t testing.TB, cfg Config, endpoints ...string) string {
	t.Helper()
	backend := &proxy.Backend{ID: proxy.BackendID{Kind: "Service", Namespace: "default", Name: "web", Port: 80}, Protocol: proxy.HTTP1}
	for _, e := range endpoints {
		backend.Endpoints = append(backend.Endpoints, proxy.Endpoint{Address: netip.MustParseAddrPort(e)})
	}
	_, addr := serve(t, cfg, snapshotOf(backend))
	return addr
}

func snapshotOf(b *proxy.Backend) *proxy.Snapshot {
	route := &proxy.Route{
		ID:       proxy.RouteID{Object: proxy.ObjectID{Kind: "Ingress", Namespace: "default", Name: "web"}},
		Backends: []proxy.WeightedBackend{{Backend: b.ID, Weight: 1}},
	}
	return &proxy.Snapshot{
		Listeners: []*proxy.Listener{{
			ID:   proxy.ListenerID{Object: proxy.ObjectID{Kind: "Ingress"}},
			Port: testPort, Protocol: proxy.HTTP1,
			Hosts: []*proxy.Host{{Routes: []*proxy.Route{route}}},
		}},
		Backends: map[proxy.BackendID]*proxy.Backend{b.ID: b},
	}
}

func serve(t testing.TB, cfg Config, snap *proxy.Snapshot) (*Server, string) {
	t.Helper()
	var ln net.Listener
	cfg.Listen = func(uint16) (net.Listener, error) {
		var err error
		ln, err = net.Listen("tcp", "127.0.0.1:0")
		return ln, err
	}
	s := New(cfg)
	if err := s.Apply(snap); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
	})
	return s, ln.Addr().String()
}

func backendServer(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	b := httptest.NewServer(h)
	t.Cleanup(b.Close)
	return b.Listener.Addr().String()
}

func TestServeRoutesAndForwards(t *testing.T) {
	backend := backendServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s host=%s for=%s proto=%s fhost=%s real=%s id=%d body=%q", r.Method, r.RequestURI, r.Host,
			r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"),
			r.Header.Get("X-Real-Ip"), len(r.Header.Get("X-Request-Id")), body)
	})
	addr := proxyTo(t, Config{}, backend)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	for _, body := range []string{"", "small", strings.Repeat("x", 300_000)} {
		for range 3 {
			res, err := client.Post("http://"+addr+"/a%41/./b/../c?x=1", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(res.Body)
			res.Body.Close()
			want := fmt.Sprintf("POST /aA/c?x=1 host=%s for=127.0.0.1 proto=http fhost=%s real=127.0.0.1 id=32 body=%q", addr, addr, body)
			if string(got) != want {
				t.Fatalf("got  %.300s\nwant %.300s", got, want)
			}
		}
	}
}

func TestLargeDownloadIsWhole(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for _, chunkedBody := range []bool{false, true} {
		backend := backendServer(t, func(w http.ResponseWriter, r *http.Request) {
			if !chunkedBody {
				w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			}
			io.WriteString(w, big)
		})
		addr := proxyTo(t, Config{}, backend)
		res, err := http.Get("http://" + addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(got) != big {
			t.Fatalf("chunked=%v: %d bytes, %v", chunkedBody, len(got), err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func BenchmarkSmallGET(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 43\r\n\r\n1234567890123456789012345678901234567890123"); err != nil {
						return
					}
				}
			}()
		}
	}()
	addr := proxyTo(b, Config{}, ln.Addr().String())
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(c, "GET /some/path?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		n, err := r.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:15]), "HTTP/1.1 200 OK") {
			b.Fatal(err, string(buf[:n]))
		}
	}
}
