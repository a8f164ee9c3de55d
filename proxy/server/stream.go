package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/stream"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// portID is a port of one transport: a TCP port and a UDP port of the same number are two things.
type portID struct {
	number uint16
	udp    bool
}

// String returns what an operator calls it.
func (p portID) String() string {
	if p.udp {
		return strconv.Itoa(int(p.number)) + "/udp"
	}
	return strconv.Itoa(int(p.number))
}

func portOf(l *proxy.Listener) portID { return portID{l.Port, l.Protocol == proxy.UDP} }

// isStream reports whether a Listener passes on connections or datagrams without looking into them.
func isStream(l *proxy.Listener) bool { return l.Protocol == proxy.TCP || l.Protocol == proxy.UDP }

// compileStreams fills st's streams, and says which ports connections begin with a PROXY protocol header on.
func (s *Server) compileStreams(prev, st *state) error {
	st.streams, st.told = map[portID]*stream.Route{}, map[uint16]bool{}
	taken := map[portID]*proxy.Listener{}
	for _, l := range st.snap.Listeners {
		id := portOf(l)
		if other := taken[id]; other != nil && (isStream(l) || isStream(other)) {
			return fmt.Errorf("port %s: listeners %s and %s cannot share it", id, other.ID, l.ID)
		}
		taken[id] = l
		if l.ProxyProtocol && !id.udp {
			st.told[l.Port] = true // fails closed for all that share the port
		}
		if !isStream(l) {
			continue
		}
		if prev != nil {
			if r := prev.streams[id]; r != nil && r.Listener() == l {
				st.streams[id] = r
				continue
			}
		}
		st.streams[id] = stream.NewRoute(l, s.metrics, s.cfg.Draws, func(id proxy.BackendID) stream.Backend { return s.backend(id) })
	}
	return nil
}

// needs reports whether anything is to be served on a port.
func (st *state) needs(id portID) bool {
	return st.streams[id] != nil || !id.udp && st.tables[id.number] != nil
}

// connection serves what a client has opened.
func (s *Server) connection(p *port, nc net.Conn) {
	var told stream.Header
	if s.state.Load().told[p.id.number] {
		var err error
		if told, err = s.greet(nc); err != nil {
			s.metrics.Refused(telemetry.ProxyHeader)
			s.cfg.Log.Debug("connection refused", "port", p.id.number, "peer", nc.RemoteAddr(), "error", err)
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) { // somebody has only looked whether the port is open, or it is the end
				s.streams.Complain("a connection is refused for its PROXY protocol header", "port", strconv.Itoa(int(p.id.number)), err)
			}
			reset(nc)
			p.closed()
			return
		}
	}
	st := s.state.Load()
	if r := st.streams[p.id]; r != nil {
		s.streams.ServeConn(stream.Incoming{Conn: nc, Told: told, Route: r, Generation: st.generation}, p.closed)
		return
	}
	if told.Source.IsValid() {
		s.http1.ServeConnFrom(nc, told.Source, p.id.number, "http", p.closed)
		return
	}
	s.http1.ServeConn(nc, p.id.number, "http", p.closed)
}

// dial opens a connection to an Endpoint, and tells it of the client if it wants to know. Such a connection serves one request:
// the next one may be another client's.
func (a *attempt) dial(ctx context.Context, e *upstream.Endpoint) (*http1.Conn, *proxy.Error) {
	if a.told == 0 {
		return e.Dial(ctx)
	}
	return e.DialVariant(ctx, &upstream.Variant{Wrap: a.tell})
}

// slotted is the kind of connection that toxics act on, and that tells of the client if the Backend wants it.
func (a *attempt) slotted() *upstream.Variant {
	if a.told == 0 {
		return &a.s.slotted
	}
	return &upstream.Variant{Wrap: func(nc net.Conn) net.Conn { return a.s.slotted.Wrap(a.tell(nc)) }}
}

// tell sends the PROXY protocol header on a connection that has just been opened. The address that the client connected to is not
// known here; its port is.
func (a *attempt) tell(nc net.Conn) net.Conn {
	peer := a.x.Request.Peer
	destination := netip.IPv4Unspecified()
	if peer.Addr().Is6() {
		destination = netip.IPv6Unspecified()
	}
	h, err := stream.FormatHeader(a.told, stream.Header{Source: peer, Destination: netip.AddrPortFrom(destination, a.x.Request.Port)})
	if err == nil {
		_, err = nc.Write(h) // into an empty buffer
	}
	if err != nil {
		_ = nc.Close() // the request fails
	}
	return nc
}

var errNotTrusted = errors.New("the peer is not a trusted proxy and may not send a PROXY protocol header")

// greet reads the PROXY protocol header, which only trusted peers may send.
func (s *Server) greet(nc net.Conn) (stream.Header, error) {
	if !s.forward.trusts(stream.AddrPort(nc.RemoteAddr()).Addr()) {
		return stream.Header{}, errNotTrusted
	}
	_ = nc.SetReadDeadline(time.Now().Add(s.cfg.HeaderTimeout))
	stop := s.greeting.add(nc)
	defer stop()
	h, err := stream.ReadHeader(nc)
	if err != nil {
		return stream.Header{}, err
	}
	return h, nc.SetReadDeadline(time.Time{})
}

// bindPackets opens a UDP port.
func (s *Server) bindPackets(id portID) (*port, error) {
	conn, err := s.cfg.ListenPacket(id.number)
	if err != nil {
		return nil, err
	}
	packets := s.streams.NewPackets(conn, func() (*stream.Route, uint64) {
		st := s.state.Load()
		return st.streams[id], st.generation
	})
	if packets == nil {
		return nil, errors.New("the server has been shut down")
	}
	go packets.Run()
	return &port{id: id, close: packets.Close}, nil
}

func listenPacketOn(addr netip.Addr) func(uint16) (*net.UDPConn, error) {
	return func(port uint16) (*net.UDPConn, error) {
		a := &net.UDPAddr{Port: int(port)}
		if addr.IsValid() {
			a.IP, a.Zone = addr.AsSlice(), addr.Zone()
		}
		return net.ListenUDP("udp", a)
	}
}

// reset closes a connection so that the peer sees RST.
func reset(nc net.Conn) {
	if l, ok := nc.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = nc.Close()
}

var (
	_ stream.Backend   = (*backend)(nil)
	_ stream.Endpoints = (*endpointSet)(nil)
)

// Endpoints implements stream.Backend.
func (b *backend) Endpoints(generation uint64) (stream.Endpoints, bool) {
	set := b.endpoints(generation)
	return set, set != nil
}

// Metrics implements stream.Backend.
func (b *backend) Metrics() *telemetry.Backend { return b.metrics }

// Pick implements stream.Endpoints.
func (set *endpointSet) Pick(x *proxy.Exchange, tried []*upstream.Endpoint) *upstream.Endpoint {
	return set.pick(x, tried)
}

// Has implements stream.Endpoints.
func (set *endpointSet) Has(e *upstream.Endpoint) bool {
	for _, own := range set.endpoints {
		if own.Same(e) {
			return true
		}
	}
	return false
}

// Config implements stream.Endpoints.
func (set *endpointSet) Config() *proxy.Backend { return set.cfg }
