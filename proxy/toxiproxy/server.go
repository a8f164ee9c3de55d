package toxiproxy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/authority"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/park"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Config of a Server. The zero value serves without restrictions: it is for a developer's own machine.
type Config struct {
	Log *slog.Logger // nil is slog.Default
	// Seed makes toxicity and jitter repeatable; 0 draws one, which is logged.
	Seed uint64
	// Strict leaves out what Toxiproxy does and its clients may rely on, but which is better done otherwise: connections held by
	// a removed timeout toxic go on instead of being closed; connections whose upstream cannot be reached, and those of a proxy that
	// is disabled, deleted or moved, are reset instead of closed in an orderly way; a toxic is created with 201; errors are
	// application/json.
	// Connections of Routes are treated so in any case: those that a timeout held go on, and those whose endpoints cannot be reached
	// are reset.
	Strict bool
	// Authorize, if not nil, is asked before every request; its error is answered with its status, 401 or 403.
	Authorize func(*http.Request) *Error
	// Hosts are names, besides addresses, localhost and those without a dot, by which clients may call the API if there is no
	// Authorize. A page whose name was made to resolve to the API's address cannot have one of the latter.
	Hosts []string
	// Connections bounds the connections of all proxies together, and of whoever else shares it; those beyond are closed at once. nil
	// is no bound.
	Connections *accept.Bound
	// Ports bounds the ports that proxies may listen on; the zero value does not. A proxy that asks for port 0 gets a free one of
	// the range.
	Ports PortRange
	// Refuse, if not nil, is asked about every address that is really dialled; its error ends the connection.
	Refuse func(netip.AddrPort) error
	// DialTimeout is for one attempt to reach an upstream; 0 is 10 s.
	DialTimeout time.Duration
	// Held bounds what toxics hold back, by Buffer and Budget, and how long a connection waits before it is parked, by Calm; the rest of
	// it is not used.
	Held toxic.Options
	// Routes are the TCP routes of the configuration; nil: there are none.
	Routes Routes
	// Chaos reports and logs what the toxics do, and those of Routes act by it; nil: an Engine that nobody asks.
	Chaos *chaos.Engine
	// Metrics, if not nil, serves /metrics.
	Metrics http.Handler
	// Traffic, if not nil, is told what every connection has carried when it has ended. It must not block.
	Traffic func(Traffic)
}

// Bounds of what one API holds, so that whoever may use it cannot fill a gateway that others share.
const (
	maxProxies = 4096
	maxToxics  = 64   // of a proxy or Route, each of which every change compares with every other, on every connection
	maxText    = 1024 // bytes of a name or an address
)

// PortRange is an inclusive range of ports; the zero value is no restriction.
type PortRange struct{ First, Last uint16 }

// Routes are the TCP routes of the configuration. No proxy can be given the name of one; a proxy that was there before hides it: until
// the proxy is deleted the name is the proxy's, and the Route, which cannot have toxics then, goes on without the API.
type Routes interface {
	// Routes returns those that serve now.
	Routes() []Route
	// SetToxics makes toxics act on all connections of a Route, those that are open included, after what experiments do, unless it
	// is Refused. It replaces what was set before. It must not block.
	SetToxics(name string, toxics []*chaos.Manual)
}

// Route is a TCP route as the API shows it.
type Route struct {
	Name     string // unique among the Routes, without slashes
	Listen   string
	Upstream string
	// Refused, if not empty, is why it must not be broken: toxics are not taken, or changed, and those there are do not act.
	Refused string
}

// Traffic is what one connection has carried in one direction.
type Traffic struct {
	Direction, Proxy, Listener, Upstream string
	Received, Sent                       int64 // bytes
}

// Server serves the API and runs the proxies made through it. It must be closed.
type Server struct {
	cfg   Config
	hosts authority.Names
	stop  context.Context
	end   context.CancelFunc
	lot   park.Lot       // connections on which nothing happens
	watch sync.WaitGroup // watchRoutes

	mu      sync.Mutex // guards what follows; never held while anything waits
	proxies map[string]*proxyServer
	routes  map[string]*chain // toxics of Routes, by name
	off     bool              // a kill switch is used
	closed  bool
}

// New returns a Server without proxies.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Chaos == nil {
		cfg.Chaos = chaos.New(chaos.Config{Log: cfg.Log}) // nothing of it runs
	}
	if cfg.Connections == nil {
		cfg.Connections = accept.NewBound(math.MaxInt)
	}
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, 10*time.Second)
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
		cfg.Log.Info("toxiproxy API: the same seed repeats toxicity and jitter", "seed", cfg.Seed)
	}
	s := &Server{cfg: cfg, hosts: authority.NewNames(cfg.Hosts...), proxies: map[string]*proxyServer{}, routes: map[string]*chain{}}
	s.stop, s.end = context.WithCancel(context.Background())
	if cfg.Routes != nil {
		s.watch.Go(s.watchRoutes)
	}
	return s
}

// Close stops every proxy, closes their connections and waits until all have ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	all := slices.Collect(maps.Values(s.proxies))
	clear(s.proxies)
	s.mu.Unlock()
	s.end()
	for _, p := range all {
		p.delete()
	}
	for _, p := range all {
		p.wait()
	}
	s.lot.Close()
	s.watch.Wait()
}

// SetEnabled is the kill switch: with false no toxic of a proxy acts until it is called with true. They are shown as before, and can
// be changed meanwhile. It does not block. Routes have switches of their own.
func (s *Server) SetEnabled(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = !on
	for _, p := range s.proxies {
		p.setOff(!on)
	}
}

// target is what has toxics: a proxy made through the API, or a Route.
type target struct {
	view   func() proxyJSON
	chain  *chain
	server *proxyServer // nil for a Route

	refused string // why it must not be broken; "" if it may
}

// find returns the target of a name.
func (s *Server) find(name string) (target, *Error) {
	if p := s.proxy(name); p != nil {
		return target{view: p.json, chain: &p.chain, server: p}, nil
	}
	for _, r := range s.routeList() {
		if r.Name == name {
			c := s.routeChain(name)
			return target{view: func() proxyJSON { return routeJSON(r, c) }, chain: c, refused: r.Refused}, nil
		}
	}
	return target{}, errProxyNotFound
}

// proxy returns the proxy of a name that was made through the API, nil if there is none.
func (s *Server) proxy(name string) *proxyServer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proxies[name]
}

// taken says why no proxy can be given a name: it is that of a Route, or of one that is away and has toxics, which act again if it
// comes back. It is nil if none of that is so.
func (s *Server) taken(name string) *Error {
	routes := s.routeList()
	if slices.ContainsFunc(routes, func(r Route) bool { return r.Name == name }) {
		return errProxyExists
	}
	s.forgetRoutes(routes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.routes[name] != nil {
		return errRouteAway
	}
	return nil
}

func (s *Server) routeList() []Route {
	if s.cfg.Routes == nil {
		return nil
	}
	return s.cfg.Routes.Routes()
}

// awayFor is how long the toxics of a Route that has gone wait for it. An edit of something else, such as its Gateway, may take a Route
// away for a moment; what comes later under its name is another object, which nobody wanted to break.
const awayFor = 10 * time.Second

// watchRoutes takes the toxics of Routes that have gone, until the Server is closed.
func (s *Server) watchRoutes() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop.Done():
			return
		case <-ticker.C:
			if len(s.routeChains()) > 0 {
				s.forgetRoutes(s.routeList())
			}
		}
	}
}

// routeChain returns the toxics of a Route. They stay when the Route goes and comes back, until forgetRoutes gives them up.
func (s *Server) routeChain(name string) *chain {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.routes[name]
	if c == nil {
		c = &chain{seed: s.cfg.Seed, kind: "route", name: name, engine: s.cfg.Chaos}
		c.changed = func(toxics []*chaos.Manual, _ []*wrapper) { s.cfg.Routes.SetToxics(name, toxics) }
		s.routes[name] = c
	}
	return c
}

// routeChains returns the toxics of all Routes by name, those that do not serve now included.
func (s *Server) routeChains() map[string]*chain {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.routes)
}

// forgetRoutes forgets Routes that are not among those there are, if they have no toxics, or have been away for too long: then with them.
func (s *Server) forgetRoutes(there []Route) {
	for name, c := range s.absent(there) {
		if s.isAway(c) {
			s.cfg.Log.Info("toxiproxy API: a route has gone, and its toxics with it", "proxy", clip(name), "toxics", c.clear())
		}
		if !c.retire() {
			continue
		}
		s.mu.Lock()
		if s.routes[name] == c {
			delete(s.routes, name)
		}
		s.mu.Unlock()
	}
}

// absent returns the toxics of Routes that are not among those there are, and notes since when they are away.
func (s *Server) absent(there []Route) map[string]*chain {
	s.mu.Lock()
	defer s.mu.Unlock()
	absent := maps.Clone(s.routes)
	for _, r := range there {
		if c := absent[r.Name]; c != nil {
			c.away = time.Time{}
			delete(absent, r.Name)
		}
	}
	for _, c := range absent {
		if c.away.IsZero() {
			c.away = time.Now()
		}
	}
	return absent
}

// isAway reports whether the Route of a chain has been away for too long to come back.
func (s *Server) isAway(c *chain) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !c.away.IsZero() && time.Since(c.away) >= awayFor
}

// all returns every target as the API shows it, by name.
func (s *Server) all() map[string]proxyJSON {
	views := map[string]proxyJSON{}
	routes := s.routeList()
	s.forgetRoutes(routes)
	for _, r := range routes {
		views[r.Name] = routeJSON(r, s.routeChain(r.Name))
	}
	for _, p := range s.list() {
		views[p.name] = p.json()
	}
	return views
}

// list returns the proxies in the order of their names.
func (s *Server) list() []*proxyServer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.proxies), func(a, b *proxyServer) int { return cmp.Compare(a.name, b.name) })
}

// add makes a proxy. Its name is taken before it listens, so that two of the same name never meet.
func (s *Server) add(in proxyInput) (*proxyServer, *Error) {
	if err := s.taken(in.Name); err != nil {
		return nil, err
	}
	if s.cfg.Ports != (PortRange{}) { // a disabled one is not tried, but must not wait here to be refused when it is started
		if _, err := s.resolve(in.Listen); err != nil {
			return nil, err
		}
	}
	p := newProxyServer(s, in)
	s.mu.Lock()
	switch {
	case s.closed || s.proxies[in.Name] != nil:
		s.mu.Unlock()
		return nil, errProxyExists
	case len(s.proxies) >= maxProxies:
		s.mu.Unlock()
		return nil, badBody(fmt.Errorf("there are %d proxies, no more can be made", maxProxies))
	}
	p.off = s.off
	s.proxies[in.Name] = p
	s.mu.Unlock()
	if in.Enabled {
		if err := p.start(); err != nil {
			s.delete(p) // not only forgotten: who has found it meanwhile could start it
			return nil, err
		}
	}
	return p, nil
}

// forget takes a proxy out of the list, if it is still there.
func (s *Server) forget(p *proxyServer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proxies[p.name] == p {
		delete(s.proxies, p.name)
	}
}

// delete stops a proxy and forgets it.
func (s *Server) delete(p *proxyServer) {
	s.forget(p)
	p.delete()
}

// dial connects a proxy that listens at an address to its upstream. The address that is really dialled is checked: a proxy that leads to
// itself would open connections until nothing is left for others.
func (s *Server) dial(ctx context.Context, upstream, listen string) (net.Conn, error) {
	d := net.Dialer{Timeout: s.cfg.DialTimeout}
	d.Control = func(_, address string, _ syscall.RawConn) error {
		if strings.HasPrefix(address, ":") { // without a host it is this one
			address = "0.0.0.0" + address
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		own, err := netip.ParseAddrPort(listen)
		if err != nil {
			return err
		}
		switch itself, err := isTaken(at, own); {
		case err != nil:
			return err
		case itself:
			return errItself
		case s.cfg.Refuse == nil:
			return nil
		}
		return s.cfg.Refuse(at)
	}
	return d.DialContext(ctx, "tcp", upstream)
}
