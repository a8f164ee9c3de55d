package server

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Without an access log, nothing else tells an operator why connections fail.
func TestConnectionsThatFailAreLoggedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		snapshot *proxy.Snapshot
		want     []string
	}{
		"no endpoint can be reached": {
			streamed(proxy.TCP, nil, backendOf("a", unusedAddr(t))),
			[]string{`msg="a TCP connection has failed" route=TCPRoute/default/r/0`, "refused"},
		},
		"no endpoint is ready": {
			streamed(proxy.TCP, nil, backendOf("a")),
			[]string{"route=TCPRoute/default/r/0", "no endpoint is ready"},
		},
		"a PROXY header of a peer that is not trusted": {
			streamed(proxy.TCP, func(l *proxy.Listener) { l.ProxyProtocol = true }, backendOf("a", unusedAddr(t))),
			[]string{"PROXY protocol header", "port=", errNotTrusted.Error()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log syncBuffer
			w := newWorld(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
			w.apply(t, c.snapshot)
			for range 3 {
				if nc, err := net.Dial("tcp", w.addr(testPort)); err == nil { // or the reset has come first
					_, _ = io.Copy(io.Discard, nc)
					nc.Close()
				}
			}
			until(t, "it is logged", func() bool { return strings.Contains(log.String(), "level=WARN") })
			for _, want := range c.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("no %q in %s", want, log.String())
				}
			}
			if n := strings.Count(log.String(), "\n"); n != 1 {
				t.Errorf("%d lines:\n%s", n, log.String())
			}
		})
	}
}
