package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// Who can reach the API is known when it is bound: a name may be that of loopback.
func TestOpenAPIIsWarnedOf(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		address  string
		ok, warn bool
	}{
		{"127.0.0.1:0", true, false},
		{"localhost:0", true, false},
		{":0", true, true},
		{"28474", false, false},
		{strings.Replace(taken.Addr().String(), "127.0.0.1", "0.0.0.0", 1), false, false},
	} {
		var log strings.Builder
		engine := chaos.New(chaos.Config{Log: slog.New(slog.DiscardHandler)})
		api, err := (&toxiproxyOptions{address: c.address}).start(toxiproxy.Config{Chaos: engine, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.address, err)
		}
		if err := api.close(); err != nil {
			t.Error(err)
		}
		engine.Close()
		if got := strings.Contains(log.String(), "open to everybody"); got != c.warn {
			t.Errorf("%s: warned %v, want %v", c.address, got, c.warn)
		}
	}
}

func TestProxyOfAFileOnThePortOfTheAPIIsBlamed(t *testing.T) {
	address := fmt.Sprintf("127.0.0.1:%d", somePort(t))
	file := filepath.Join(t.TempDir(), "toxiproxy.json")
	proxies := fmt.Sprintf(`[{"name":"other","listen":"127.0.0.1:0","upstream":"x:1"},{"name":"db","listen":%q,"upstream":"x:1"}]`, address)
	if err := os.WriteFile(file, []byte(proxies), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	code := run(context.Background(), []string{
		"serve", "--manifests", t.TempDir(), "--ingress-http-port", "0", "--admin-address", "", "--toxiproxy-address", address, "--toxiproxy-config", file,
	}, io.Discard, &stderr)
	want := "breakwater: make the proxies of --toxiproxy-config " + file + `: listen tcp ` + address + `: bind: address already in use at proxy 2 ("db")`
	if code != 1 || !strings.Contains(stderr.String(), want) {
		t.Errorf("exit code %d, no %s in\n%s", code, want, stderr.String())
	}
}

// Proxies that lead in a circle make as many connections of one as there can be.
func TestProxiesOfTheAPILeaveRoomForRoutes(t *testing.T) {
	api, port, next := somePort(t), somePort(t), somePort(t)
	s := serveFolder(t, ingress("a.example.com"), "--max-connections", "100", "--toxiproxy-address", fmt.Sprintf("127.0.0.1:%d", api))
	s.eventually("it is ready", s.ready)
	callToxiproxy(t, api, "POST", "/proxies", fmt.Sprintf(`{"name":"a","listen":"127.0.0.1:%d","upstream":"127.0.0.1:%d"}`, port, next), 201)
	callToxiproxy(t, api, "POST", "/proxies", fmt.Sprintf(`{"name":"b","listen":"127.0.0.1:%d","upstream":"127.0.0.1:%d"}`, next, port), 201)
	nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, nc) // until the last of them is refused
	if n := strings.Count(s.stderr.String(), "there are too many"); n != 1 {
		t.Errorf("%d connections were refused", n)
	}
	if status := s.get("a.example.com"); status != 503 {
		t.Errorf("an Ingress: %d", status)
	}
	s.end()
}

func TestConnectionsOfProxiesLeaveDescriptors(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	for most, want := range map[int]int{1: 1, 2: 1, 8: 4} {
		if got := (&dataOptions{maxConnections: most}).proxyConnections(); got != want {
			t.Errorf("of %d connections %d, want %d", most, got, want)
		}
	}
	if got := (&dataOptions{maxConnections: math.MaxInt}).proxyConnections(); uint64(got) > files.Cur/2 {
		t.Errorf("%d connections, and %d descriptors", got, files.Cur)
	}
}

// A proxy made through the API must not be what makes routes fail.
func TestProxiesOfTheAPIShareTheBoundOnConnections(t *testing.T) {
	api, port, up := somePort(t), somePort(t), echo(t)
	s := serveFolder(t, ingress("a.example.com"), "--max-connections", "1", "--toxiproxy-address", fmt.Sprintf("127.0.0.1:%d", api))
	s.eventually("it is ready", s.ready)
	callToxiproxy(t, api, "POST", "/proxies", fmt.Sprintf(`{"name":"db","listen":"127.0.0.1:%d","upstream":"127.0.0.1:%d"}`, port, up), 201)
	var nc net.Conn
	s.eventually("there is room for a connection of the proxy", func() (answers bool) {
		var err error
		if nc, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(nc, "ping")
		if n, _ := io.ReadFull(nc, make([]byte, 4)); n == 4 {
			return true
		}
		_ = nc.Close()
		return false
	})
	if status := s.get("a.example.com"); status != 0 {
		t.Errorf("a second connection, of an Ingress: %d", status)
	}
	_ = nc.Close()
	s.eventually("there is room for a connection of the Ingress", func() bool { return s.get("a.example.com") == 503 })
	s.end()
}
