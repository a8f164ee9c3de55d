package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/server"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// stopAtOnce runs p as if it had been told to stop, without any grace, and returns what it logs.
func stopAtOnce(p *process) (string, error) {
	var log output
	p.log = slog.New(slog.NewTextHandler(&log, nil))
	p.sleep = func(time.Duration, <-chan struct{}) {}
	p.stop.gracePeriod = time.Nanosecond
	ended, end := context.WithCancel(context.Background())
	end()
	err := p.run(ended)
	return log.String(), err
}

func TestStopThatCutsAConnectionSucceedsAndNamesIt(t *testing.T) {
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	port := somePort(t)
	p, s, _ := fixed(t, fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec: {gatewayClassName: breakwater, listeners: [{name: db, port: %d, protocol: TCP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: db, namespace: shop}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: db, port: 1}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {ports: [{port: 1}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: %d}]
endpoints: [{addresses: [127.0.0.1]}]
`, port, backend.Addr().(*net.TCPAddr).Port))
	s.synced.Store(true)
	client, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	reached, err := backend.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer reached.Close()

	log, err := stopAtOnce(p)
	if err != nil {
		t.Error(err)
	}
	if !strings.Contains(log, "level=WARN") || !strings.Contains(log, `"1 TCP connection of TCPRoute shop/db"`) {
		t.Errorf("it is not said what was cut off:\n%s", log)
	}
}

func TestStopThatCutsARequestFails(t *testing.T) {
	arrived, finish := make(chan struct{}), make(chan struct{})
	p, _, url := waiting(t, arrived, finish)
	defer close(finish)
	go get(url, "shop.example.com")
	<-arrived
	if _, err := stopAtOnce(p); err == nil || !strings.Contains(err.Error(), "1 request was cut off after the grace period of 1ns") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsCutOffIsNamedWithinBounds(t *testing.T) {
	e := &server.CutError{Tunnels: 2}
	for i := range 7 {
		id := telemetry.StreamID{Object: proxy.ObjectID{Kind: "UDPRoute", Namespace: "n", Name: fmt.Sprint(i)}}
		e.Streams = append(e.Streams, stream.Live{Route: id, Protocol: proxy.UDP, Count: 10})
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if err := cutOff(e, time.Second, log); err != nil {
		t.Error(err)
	}
	got := cutStreams(e)
	for _, want := range []string{"2 upgraded connections, 10 UDP sessions of UDPRoute n/0, ", "UDPRoute n/4, 20 of 2 other routes"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}
