package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/router"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// Config of a Server, by owner.
type Config struct {
	// BindAddress is the address whose ports are bound; the zero value is every address of the host.
	BindAddress netip.Addr
	// Connections bounds the connections of all ports together, and of whoever else shares it; those beyond are closed at once. nil is
	// a bound of 50,000.
	Connections *accept.Bound
	// Attempts bounds how often one request is tried on Endpoints, the first time included. 0 is 3. Only what no Endpoint can have
	// acted on is tried again.
	Attempts int

	Limits    http1.Limits
	Timeouts  http1.Timeouts
	Upstream  upstream.Config
	Forwarded Forwarded
	// Stream configures TCP and UDP; Attempts, Toxics, Chaos, AccessLog and Log are taken from here.
	Stream stream.Config
	// HeaderTimeout bounds the wait for a PROXY protocol header. 0 is 10 s.
	HeaderTimeout time.Duration

	// Toxics bounds what toxics hold back, by Buffer and Budget; the rest of it is not used.
	Toxics toxic.Options

	// Draws are what shares by weight and Balancers draw from; nil: each process draws its own, so that replicas do not march in step.
	Draws *chance.Draws
	// Chaos decides which faults act; nil: none ever does. It gets every Snapshot that is served. Who made it closes it.
	Chaos *chaos.Engine

	Metrics   *telemetry.Metrics   // nil: counted, but shown nowhere
	AccessLog *telemetry.AccessLog // nil: off
	Log       *slog.Logger         // nil: slog.Default
	// Listen opens a listening socket; nil is net.Listen on BindAddress. Tests replace it.
	Listen func(port uint16) (net.Listener, error)
	// ListenPacket opens a UDP socket; nil is net.ListenUDP on BindAddress.
	ListenPacket func(port uint16) (*net.UDPConn, error)
}

// Server serves Snapshots. Its methods may be called concurrently.
type Server struct {
	cfg      Config
	metrics  *telemetry.Metrics
	http1    *http1.Server
	streams  *stream.Server
	registry *upstream.Registry
	slotted  upstream.Variant
	forward  forwarder
	greeting greeting

	state    atomic.Pointer[state]
	draining atomic.Bool
	cut      context.Context // ends when Shutdown has waited long enough
	cutOff   context.CancelFunc

	mu       sync.Mutex // guards what follows, and makes Apply and Shutdown take turns
	backends map[proxy.BackendID]*backend
	ports    map[portID]*port
	unbound  error // why some port is not bound
	complete bool  // every port of some Snapshot has been bound
	closed   bool
	accept   sync.WaitGroup
}

// New returns a Server that serves nothing yet. It must be ended with Shutdown.
func New(cfg Config) *Server {
	if cfg.Metrics == nil {
		cfg.Metrics = telemetry.New()
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Connections == nil {
		cfg.Connections = accept.NewBound(50_000)
	}
	if cfg.Attempts <= 0 {
		cfg.Attempts = 3
	}
	if cfg.Listen == nil {
		cfg.Listen = listenOn(cfg.BindAddress)
	}
	if cfg.ListenPacket == nil {
		cfg.ListenPacket = listenPacketOn(cfg.BindAddress)
	}
	if cfg.HeaderTimeout <= 0 {
		cfg.HeaderTimeout = 10 * time.Second
	}
	cfg.Stream.Attempts, cfg.Stream.AccessLog, cfg.Stream.Log, cfg.Stream.Toxics = cfg.Attempts, cfg.AccessLog, cfg.Log, cfg.Toxics
	if cfg.Chaos != nil {
		cfg.Stream.Chaos = streamChaos{cfg.Chaos}
		cfg.Metrics.SampleChaos(cfg.Chaos.Status)
		cfg.Metrics.SampleManual(telemetry.ManualCounts{Applied: cfg.Chaos.ManualCounts, Closed: cfg.Chaos.CutCounts})
	}
	if b := cfg.Toxics.Budget; b != nil {
		cfg.Metrics.SampleHeld(b.Used)
	}
	s := &Server{
		cfg: cfg, metrics: cfg.Metrics, registry: upstream.NewRegistry(cfg.Upstream), forward: newForwarder(cfg.Forwarded),
		streams: stream.New(cfg.Stream), backends: map[proxy.BackendID]*backend{}, ports: map[portID]*port{},
	}
	s.slotted = slottedVariant(s.toxics())
	s.cut, s.cutOff = context.WithCancel(context.Background())
	s.http1 = http1.NewServer(http1.Config{Limits: cfg.Limits, Timeouts: cfg.Timeouts, Log: cfg.Log, Refused: s.refused}, s)
	s.metrics.SampleIdle(telemetry.IdleConnections{
		Downstream: func() int { _, idle := s.http1.Count(); return idle },
		Upstream:   s.registry.Idle,
	})
	return s
}

func listenOn(addr netip.Addr) func(uint16) (net.Listener, error) {
	return func(port uint16) (net.Listener, error) {
		host := ""
		if addr.IsValid() {
			host = addr.String()
		}
		return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
}

// BindError is why the Listeners of a port do not serve.
type BindError struct {
	Port      uint16
	UDP       bool // it is a UDP port
	Listeners []proxy.ListenerID
	Err       error
}

// Unbound returns the Listeners that do not serve.
func (e *BindError) Unbound() []proxy.ListenerID { return e.Listeners }

// Error names the port and the first Listener.
func (e *BindError) Error() string {
	return fmt.Sprintf("bind port %s for listener %s: %v", portID{e.Port, e.UDP}, e.Listeners[0], e.Err)
}

// Unwrap returns the cause.
func (e *BindError) Unwrap() error { return e.Err }

// Apply makes the Server serve snap instead of what it served before. Requests in flight end as they began. If the Snapshot cannot be
// compiled nothing changes, but that it can end faults. If ports cannot be bound, everything else is applied and the error joins one *BindError per port;
// they are tried again with each Apply.
func (s *Server) Apply(snap *proxy.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("apply snapshot: the server has been shut down")
	}
	began := time.Now()
	s.cfg.Chaos.Obey(snap) // nobody who throws the kill switch is to wait for what is compiled
	prev := s.state.Load()
	next, err := s.compile(prev, snap)
	if err != nil {
		s.metrics.Rejected()
		s.forget(snap, prev.snapshot())
		s.cfg.Chaos.Withdraw(snap)
		return fmt.Errorf("apply snapshot: %w", err)
	}
	s.state.Store(next)
	s.cfg.Chaos.Apply(snap)
	s.unbound = s.bind(next)
	s.complete = s.complete || s.unbound == nil
	if prev == nil || prev.snap != snap {
		s.metrics.Applied(time.Now(), time.Since(began), next.size)
		s.prune(prev, next)
	}
	return s.unbound
}

// Ready returns nil once a Snapshot has been served on all its ports, and why not otherwise. A port that cannot be bound later
// leaves the Server ready: one bad Listener must not take the traffic of all others away.
func (s *Server) Ready() error {
	if s.draining.Load() {
		return errors.New("shutting down")
	}
	if s.state.Load() == nil {
		return errors.New("no configuration has been applied yet")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.complete {
		return nil
	}
	return s.unbound
}

// Snapshot returns what is served now, nil before the first Apply.
func (s *Server) Snapshot() *proxy.Snapshot {
	if st := s.state.Load(); st != nil {
		return st.snap
	}
	return nil
}

// Explain says which Route a request that arrives on a port would take, and why not the others.
func (s *Server) Explain(port uint16, r *proxy.Request) (router.Explanation, error) {
	st := s.state.Load()
	if st == nil {
		return router.Explanation{}, errors.New("no configuration has been applied yet")
	}
	table := st.tables[port]
	if table == nil {
		return router.Explanation{}, fmt.Errorf("no listener on port %d", port)
	}
	return table.Explain(r), nil
}

// Drain makes the Server report that it is not ready, and tell clients with each response that their connection ends there. It goes
// on serving, so that whoever sends traffic can notice first.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.http1.Drain()
}

// Shutdown closes the listening sockets, lets the requests in flight and the TCP connections end and the UDP sessions fall silent,
// and closes everything. When ctx ends first it cuts them off and returns a *CutError.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, p := range s.ports {
		if !p.id.udp { // its sessions need it for as long as they live
			p.close()
		}
	}
	s.mu.Unlock()
	s.greeting.close()
	s.accept.Wait()
	defer s.cutOff()
	waiting, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var left CutError
	defer context.AfterFunc(ctx, func() {
		left = s.live() // before anything of it is gone
		s.cutOff()
		cut()
	})()
	ended := make(chan error, 1)
	go func() { ended <- s.streams.Shutdown(waiting) }()
	err := errors.Join(s.http1.Shutdown(waiting), <-ended)
	s.registry.Close()
	if err == nil {
		return nil
	}
	left.Err = ctx.Err()
	return &left
}
