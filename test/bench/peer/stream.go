package peer

import (
	"fmt"
	"net"
)

// ToxiproxyServer is the package of Toxiproxy's server, and Toxiproxy its module.
const (
	ToxiproxyServer = Toxiproxy + "/cmd/server"
	Toxiproxy       = "github.com/Shopify/toxiproxy/v2"
)

// Names of the peers that the streams of Breakwater are compared with.
const (
	NameToxiproxy = "toxiproxy"
	NameHAProxy   = "haproxy"
	NameRelay     = "relay"
)

// BreakwaterStream is Breakwater with one TCPRoute, and with the API for Toxiproxy's clients beside it.
func BreakwaterStream(name, commandLine string) Peer {
	p := overTCP(name, commandLine, "a TCPRoute; the API for Toxiproxy's clients", "")
	p.Toxics = true
	return p
}

// BreakwaterHeld is Breakwater with one TCPRoute, and a NetworkChaos that holds back what the endpoint sends on it.
func BreakwaterHeld(name, commandLine string) Peer {
	return overTCP(name, commandLine, "a TCPRoute with a NetworkChaos that holds everything back", heldChaos)
}

// overTCP is Breakwater with one TCPRoute, and a NetworkChaos or an empty text. It serves Toxiproxy's API too.
func overTCP(name, commandLine, note, chaos string) Peer {
	return Peer{
		Name: name, Note: note, GC: true, CommandLine: commandLine, Passes: true,
		Prepare: manifested(tcpRoute, chaos, func(dir string, s Site) (Command, error) {
			return serveAt(commandLine, "0", s, "--manifests", dir, "--port-offset", "0", "--toxiproxy-address", s.API)
		}),
	}
}

// BreakwaterChaos is Breakwater for requests, with a NetworkChaos for all of them that never does anything.
func BreakwaterChaos(name, commandLine string) Peer {
	return broken(name, commandLine, "with a NetworkChaos that matches and does not inject", networkChaos)
}

// BreakwaterGuarded is Breakwater for requests, with a NetworkChaos that answers each of them with GuardedStatus until its guard
// halts it.
func BreakwaterGuarded(name, commandLine string) Peer {
	return broken(name, commandLine, "with a NetworkChaos that fails each request, and a guard", guardedChaos)
}

// broken is Breakwater for requests, with a NetworkChaos.
func broken(name, commandLine, note, chaos string) Peer {
	p := Breakwater(name, commandLine)
	p.Note, p.Prepare = note, servesRequests(commandLine, chaos)
	return p
}

// Streams returns the peers that streams are compared with; Toxiproxy's server is at bin/toxiproxy after a build, and relay at
// bin/relay.
func Streams(bin string) []Peer {
	return []Peer{
		{Name: NameToxiproxy, Note: "log level error, its metrics off", GC: true, Toxics: true, Prepare: func(s Site) (Command, error) {
			host, port, err := net.SplitHostPort(s.API)
			return Command{Args: []string{bin + "/toxiproxy", "-host", host, "-port", port}, Env: append(goEnv(), "LOG_LEVEL=error")}, err
		}},
		debian(Peer{Name: NameHAProxy, Note: "mode tcp", Passes: true, Prepare: func(s Site) (Command, error) {
			path, err := render(s, "haproxy.cfg", haproxyStreamText, nginxConfig{})
			if err != nil {
				return Command{}, err
			}
			program, err := lookPath(NameHAProxy)
			return Command{Args: []string{program, "-db", "-f", path}}, err
		}}, "-v"),
		{Name: NameRelay, Note: "a floor: two threads for each connection that read and write", GC: true, Passes: true, Floor: true, Prepare: listenAndBackend(bin, NameRelay)},
	}
}

const haproxyStreamText = `global
  nbthread {{.Workers}}
  maxconn {{.Connections}}
defaults
  mode tcp
  backlog 8192
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen bench
  bind {{.Listen}}
  server one {{.Backend}}
`

// tcpRoute is the manifest that passes the streams of the site's address on.
func tcpRoute(s Site) (string, error) {
	_, listen, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return "", err
	}
	address, port, err := net.SplitHostPort(s.Backend)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: bench, namespace: default}
spec:
  gatewayClassName: breakwater
  listeners:
  - {name: tcp, port: %s, protocol: TCP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: bench, namespace: default}
spec:
  parentRefs: [{name: bench}]
  rules: [{backendRefs: [{name: endpoint, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: endpoint, namespace: default}
spec:
  clusterIP: 10.96.0.11
  ports: [{name: tcp, port: 80, targetPort: %s}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: endpoint-1, namespace: default, labels: {kubernetes.io/service-name: endpoint}}
addressType: IPv4
ports: [{name: tcp, port: %s, protocol: TCP}]
endpoints: [{addresses: ["%s"], conditions: {ready: true}}]
`, listen, port, port, address), nil
}

// networkChaos follows oneRoute: every request matches it, and none is touched.
const networkChaos = `---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: bench, namespace: default}
spec:
  targetRefs: [{kind: Ingress, name: bench}]
  duration: 12h
  percent: 0
  toxics:
  - type: Abort
    abort: {status: 503}
`

// GuardedStatus is the status of what a guarded NetworkChaos answers; nobody else gives it.
const GuardedStatus = 599

// guardedChaos follows oneRoute.
var guardedChaos = fmt.Sprintf(`---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: bench, namespace: default}
spec:
  targetRefs: [{kind: Ingress, name: bench}]
  duration: 12h
  toxics:
  - type: Abort
    abort: {status: %d}
  guard: {window: 1s, minRequests: 100, maxErrorPercent: 50}
`, GuardedStatus)

// heldChaos follows tcpRoute. The latency is longer than any measurement.
const heldChaos = `---
apiVersion: breakwater-gateway.io/v1alpha1
kind: NetworkChaos
metadata: {name: bench, namespace: default}
spec:
  targetRefs: [{kind: TCPRoute, name: bench}]
  duration: 12h
  toxics:
  - type: Latency
    direction: Downstream
    latency: {latency: 1h}
`
