package stream

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/park"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Config of a Server. 0 in a field stands for its default.
type Config struct {
	// Attempts bounds how many Endpoints are tried for one connection; default 3.
	Attempts int
	// Idle is how long nothing may move on a TCP connection; default 1 h.
	Idle time.Duration
	// SessionIdle is how long a UDP session is kept without a datagram in either direction, and without one that toxics hold back
	// and that will go on by itself; default 60 s.
	SessionIdle time.Duration
	// MaxSessions bounds the UDP sessions of all ports together. While there are so many, datagrams that would begin another are
	// dropped. Default 16,384.
	MaxSessions int
	// DrainQuiet is how long a UDP session must be silent, as for SessionIdle, to be at its end while the Server shuts down: what uses UDP
	// says goodbye to nobody. Default 2 s.
	DrainQuiet time.Duration

	// Toxics bounds what toxics hold back, by Buffer and Budget, and how long a connection waits before it is parked, by Calm; the rest
	// of it is not used.
	Toxics toxic.Options

	Chaos     Chaos                // nil: nothing ever acts
	AccessLog *telemetry.AccessLog // nil: off
	Log       *slog.Logger         // nil: slog.Default
}

// Server passes connections and sessions on. It must be ended with Shutdown.
type Server struct {
	cfg      Config
	cut      context.Context // ends when Shutdown has waited long enough
	cutOff   context.CancelFunc
	sessions sessionCount
	lot      park.Lot // TCP connections on which nothing happens

	complaints complaints

	mu      sync.Mutex
	live    map[*conn]struct{}    // guarded by mu
	packets map[*Packets]struct{} // guarded by mu
	closed  bool                  // guarded by mu; nothing more is taken
	ended   sync.WaitGroup        // of what is live
}

// New returns a Server.
func New(cfg Config) *Server {
	if cfg.Attempts <= 0 {
		cfg.Attempts = 3
	}
	if cfg.Idle <= 0 {
		cfg.Idle = time.Hour
	}
	if cfg.SessionIdle <= 0 {
		cfg.SessionIdle = time.Minute
	}
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = 16_384
	}
	if cfg.DrainQuiet <= 0 {
		cfg.DrainQuiet = 2 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Server{cfg: cfg, live: map[*conn]struct{}{}, packets: map[*Packets]struct{}{}}
	s.sessions.max = int64(cfg.MaxSessions)
	s.cut, s.cutOff = context.WithCancel(context.Background())
	return s
}

// Count returns the number of open TCP connections and UDP sessions.
func (s *Server) Count() (connections, sessions int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live), int(s.sessions.n.Load())
}

// Live is how many TCP connections or UDP sessions of a Route there are.
type Live struct {
	Route    telemetry.StreamID
	Protocol proxy.Protocol
	Count    int
}

// Live returns what there is now, in order of the Routes' names.
func (s *Server) Live() []Live {
	counts := map[Live]int{}
	s.mu.Lock()
	for c := range s.live {
		counts[Live{Route: c.route.id(), Protocol: proxy.TCP}]++
	}
	for p := range s.packets {
		p.mu.Lock()
		for _, one := range p.sessions {
			counts[Live{Route: one.route.id(), Protocol: proxy.UDP}]++
		}
		p.mu.Unlock()
	}
	s.mu.Unlock()
	var all []Live
	for l, n := range counts {
		l.Count = n
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Live) int {
		return cmp.Or(strings.Compare(a.Route.String(), b.Route.String()), strings.Compare(string(a.Protocol), string(b.Protocol)))
	})
	return all
}

// Shutdown lets connections come to their ends, and UDP sessions fall silent, then returns. When ctx ends first it
// cuts them off and returns ctx's error. What comes from then on is refused.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.cutOff()
	defer s.lot.Close()
	s.mu.Lock()
	s.closed = true
	for p := range s.packets {
		p.drain()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.ended.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.cutOff()
	s.mu.Lock()
	for c := range s.live {
		c.abort()
	}
	for p := range s.packets {
		p.abort()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// add takes c in charge. It reports false if nothing more is taken.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.live[c] = struct{}{}
	s.ended.Add(1)
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.live, c)
	s.mu.Unlock()
	s.ended.Done()
}

// log writes e to the access log.
func (s *Server) log(e *telemetry.StreamEntry) {
	if s.cfg.AccessLog != nil {
		s.cfg.AccessLog.LogStream(e)
	}
}

// reset closes a connection so that the peer sees RST.
func reset(nc net.Conn) {
	if l, ok := nc.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = nc.Close()
}
