package server

import (
	"errors"
	"net"
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/accept"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// port is a bound port and what reads from it.
type port struct {
	id    portID
	close func() // TCP connections stay open, UDP sessions end

	// of TCP
	ln      net.Listener
	metrics *telemetry.Listener
	stop    chan struct{}
	closed  func() // a connection has ended
}

// bind opens the ports that st needs and are not open yet, and closes those that it does not need.
func (s *Server) bind(st *state) error {
	for id, p := range s.ports {
		if !st.needs(id) {
			p.close()
			delete(s.ports, id)
		}
	}
	var errs []error
	for _, l := range st.snap.Listeners {
		id := portOf(l)
		if s.ports[id] != nil || slices.ContainsFunc(errs, func(err error) bool { return isBindError(err, id) }) {
			continue
		}
		p, err := s.bindPort(id)
		if err != nil {
			errs = append(errs, &BindError{Port: id.number, UDP: id.udp, Listeners: listenersOn(st.snap, id), Err: err})
			continue
		}
		s.ports[id] = p
	}
	return errors.Join(errs...)
}

func isBindError(err error, id portID) bool {
	var b *BindError
	return errors.As(err, &b) && b.Port == id.number && b.UDP == id.udp
}

// bindPort opens a port and begins to read from it.
func (s *Server) bindPort(id portID) (*port, error) {
	if id.udp {
		return s.bindPackets(id)
	}
	ln, err := s.cfg.Listen(id.number)
	if err != nil {
		return nil, err
	}
	p := &port{id: id, ln: ln, metrics: s.metrics.Listener(id.number), stop: make(chan struct{})}
	p.close = func() {
		close(p.stop)
		_ = p.ln.Close()
	}
	p.closed = func() {
		p.metrics.Close()
		s.cfg.Connections.Give()
	}
	s.accept.Add(1)
	go s.acceptLoop(p)
	return p, nil
}

func listenersOn(snap *proxy.Snapshot, id portID) []proxy.ListenerID {
	var ids []proxy.ListenerID
	for _, l := range snap.Listeners {
		if portOf(l) == id && !slices.Contains(ids, l.ID) {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

func (s *Server) acceptLoop(p *port) {
	defer s.accept.Done()
	accept.Loop(p.ln, p.stop, func(nc net.Conn) bool {
		if !s.cfg.Connections.Take() {
			s.metrics.Refused(telemetry.TooMany)
			_ = nc.Close()
			return true
		}
		p.metrics.Open()
		go s.connection(p, nc)
		return true
	}, func(err error, retryIn time.Duration) {
		s.cfg.Log.Error("accepting a connection failed", "port", p.id.number, "error", err, "retryIn", retryIn)
	})
}
