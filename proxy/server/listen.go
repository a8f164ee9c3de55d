package server

import (
	"errors"
	"net"
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
)

// port is a bound port and its accept loop.
type port struct {
	number  uint16
	ln      net.Listener
	metrics *telemetry.Listener
	stop    chan struct{}
	closed  func() // a connection has ended
}

// close ends the accept loop. Connections stay open.
func (p *port) close() {
	close(p.stop)
	_ = p.ln.Close()
}

// bind opens the ports that st needs and are not open yet, and closes those that it does not need.
func (s *Server) bind(st *state) error {
	for number, p := range s.ports {
		if st.tables[number] == nil {
			p.close()
			delete(s.ports, number)
		}
	}
	var errs []error
	for number := range st.tables {
		if s.ports[number] != nil {
			continue
		}
		ln, err := s.cfg.Listen(number)
		if err != nil {
			errs = append(errs, &BindError{Port: number, Listeners: listenersOn(st.snap, number), Err: err})
			continue
		}
		p := &port{number: number, ln: ln, metrics: s.metrics.Listener(number), stop: make(chan struct{})}
		p.closed = func() {
			p.metrics.Close()
			s.open.Add(-1)
		}
		s.ports[number] = p
		s.accept.Add(1)
		go s.acceptLoop(p)
	}
	return errors.Join(errs...)
}

func listenersOn(snap *proxy.Snapshot, number uint16) []proxy.ListenerID {
	var ids []proxy.ListenerID
	for _, l := range snap.Listeners {
		if l.Port == number && !slices.Contains(ids, l.ID) {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

// maxAcceptPause bounds the pause after an error of accept, for instance when the process has run out of descriptors.
const maxAcceptPause = time.Second

func (s *Server) acceptLoop(p *port) {
	defer s.accept.Done()
	pause := time.Duration(0)
	for {
		nc, err := p.ln.Accept()
		if err != nil {
			select {
			case <-p.stop:
				return
			default:
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			pause = min(max(2*pause, 5*time.Millisecond), maxAcceptPause)
			s.cfg.Log.Error("accepting a connection failed", "port", p.number, "error", err, "retryIn", pause)
			select {
			case <-p.stop:
				return
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		if s.open.Add(1) > int64(s.cfg.MaxConnections) {
			s.open.Add(-1)
			s.metrics.Refused(telemetry.TooMany)
			_ = nc.Close()
			continue
		}
		p.metrics.Open()
		go s.http1.ServeConn(nc, p.number, "http", p.closed)
	}
}
