package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/alarm"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// Incoming is a TCP connection that a client has opened.
type Incoming struct {
	Conn       net.Conn
	Told       Header // by the PROXY protocol; zero without
	Route      *Route
	Generation uint64 // of the configuration in which the Route was found
}

// conn is a connection from accept to its end.
type conn struct {
	srv        *Server
	client     net.Conn
	source     netip.AddrPort // the client, as far as the PROXY protocol tells
	target     netip.AddrPort // what it connected to
	route      *Route
	generation uint64
	entry      telemetry.StreamEntry
	closed     func()
	way        *dial // to the Endpoint, once it has been reached

	mu       sync.Mutex
	endpoint net.Conn     // guarded by mu; nil until dialled
	relay    *toxic.Relay // guarded by mu; nil until bytes are passed
	cut      bool         // guarded by mu
}

// ServeConn passes a connection on to an Endpoint of its Route, closes it at its end and then calls closed. It may return before that:
// a connection on which nothing happens waits without a goroutine. A connection that nobody can serve is reset.
func (s *Server) ServeConn(in Incoming, closed func()) {
	c := &conn{srv: s, client: in.Conn, route: in.Route, generation: in.Generation, closed: closed}
	c.source, c.target = in.Told.Source, in.Told.Destination
	if !c.source.IsValid() {
		c.source, c.target = AddrPort(in.Conn.RemoteAddr()), AddrPort(in.Conn.LocalAddr())
	}
	if !s.add(c) {
		reset(in.Conn)
		closed()
		return
	}
	c.entry = telemetry.StreamEntry{Start: time.Now(), Protocol: proxy.TCP, Client: c.source, Listener: in.Route.listener.ID, Route: in.Route.id()}
	in.Route.metrics.Open()
	if c.reach() {
		c.pass()
	}
}

// finish counts and logs the end. It is deferred: v is what has been recovered.
func (c *conn) finish(v any) {
	if v != nil {
		c.abort()
		c.entry.Err = fmt.Errorf("panicked: %v", v)
		c.entry.Outcome = telemetry.StreamReset
		c.srv.cfg.Log.Error("connection handling panicked", "panic", v, "stack", string(debug.Stack()))
	}
	c.mu.Lock()
	if c.cut && v == nil && c.entry.Outcome != telemetry.StreamDone {
		c.entry.Outcome, c.entry.Err = telemetry.StreamCut, nil
	}
	c.mu.Unlock()
	c.route.metrics.End(c.entry.Outcome)
	c.entry.End = time.Now()
	c.srv.log(&c.entry)
	c.srv.remove(c)
	c.closed()
}

// abort resets both sides. It may be called by any goroutine.
func (c *conn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	reset(c.client)
	if c.endpoint != nil {
		reset(c.endpoint)
	}
	if c.relay != nil {
		c.relay.Wake()
	}
}

// refuse resets the client's connection.
func (c *conn) refuse(end telemetry.StreamEnd, err error) {
	reset(c.client)
	c.entry.Outcome, c.entry.Err = end, err
	if (end == telemetry.StreamUnreachable || end == telemetry.StreamRefused) && !errors.Is(err, errRefused) {
		c.srv.Complain("a TCP connection has failed", "route", c.entry.Route.String(), err)
	}
}

// reach finds the way to an Endpoint. If there is none, that is the connection's end, and it reports false.
func (c *conn) reach() bool {
	defer func() {
		if c.way == nil {
			c.finish(recover())
		}
	}()
	sh, err := c.route.share()
	if sh != nil {
		c.entry.Backend = sh.cfg.Backend
	}
	d, end := &dial{c: c}, telemetry.StreamRefused
	if err == nil {
		d.backend = sh.backend
		end, err = d.run()
	}
	if err != nil {
		d.fail(end)
		c.refuse(end, err)
		return false
	}
	d.ctx, d.tried = nil, nil // the connection may wait for long
	c.way = d
	return true
}

// pass passes the bytes.
func (c *conn) pass() {
	m := c.route.metrics
	o := c.srv.cfg.Toxics
	o.Idle, o.Moved = c.srv.cfg.Idle, [2]*atomic.Uint64{proxy.Downstreamward: &m.Down, proxy.Upstreamward: &m.Up}
	o.Lot = &c.srv.lot
	r := toxic.NewRelay(c.client, c.way.nc, c.way.slot(), o, c.passed)
	c.mu.Lock()
	c.relay = r
	c.mu.Unlock()
	r.Run()
}

// passed takes down how the connection has ended.
func (c *conn) passed(r toxic.Result) {
	defer func() { c.finish(recover()) }()
	d := c.way
	defer d.close()
	c.entry.Up, c.entry.Down = r.Upstream, r.Downstream
	c.entry.Err = r.Err
	d.broke = r.Cause == toxic.ByToxic || r.Cause == toxic.ByReset && r.Side == toxic.EndpointSide
	switch r.Cause {
	case toxic.ByPeers:
		c.entry.Outcome = telemetry.StreamDone
	case toxic.ByIdle:
		c.entry.Outcome = telemetry.StreamIdle
	case toxic.ByToxic:
		c.entry.Outcome = telemetry.StreamFault
		c.entry.Err = fmt.Errorf("toxic %q", r.Toxic.Name)
	case toxic.ByPanic:
		c.srv.cfg.Log.Error("connection handling panicked", "error", r.Err)
		c.entry.Outcome, c.entry.Err = telemetry.StreamReset, errors.New("panicked")
	default:
		c.entry.Outcome = telemetry.StreamReset
	}
	d.outcome(c.entry.Outcome)
}

// opened notes the endpoint's connection. It reports false if the connection has been cut off meanwhile.
func (c *conn) opened(nc net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endpoint = nc
	return !c.cut
}

// dial is the way to an Endpoint of a Backend.
type dial struct {
	c       *conn
	backend Backend
	ctx     context.Context // ends when the client has left or the Server cuts off
	tried   []*upstream.Endpoint

	// once it has succeeded:
	nc       net.Conn
	endpoint *upstream.Endpoint
	chaos    Connection
	broke    bool // the Endpoint's connection, or a toxic broke it
	end      telemetry.Outcome
}

var (
	errLeft     = errors.New("the client left before an endpoint was reached")
	errRefused  = errors.New("refused by an experiment")
	errTimedOut = errors.New("held up by an experiment for longer than a dial may take")
)

// run dials until an Endpoint is reached. If there is none it returns why.
func (d *dial) run() (telemetry.StreamEnd, error) {
	ctx, cancel := context.WithCancelCause(d.c.srv.cut)
	defer cancel(nil)
	d.ctx = ctx
	defer watchClient(d.c.client, func() { cancel(errLeft) })()
	x := &proxy.Exchange{}
	x.Request.Peer, x.Request.ClientIP = d.c.source, d.c.source.Addr()
	var last error
	for d.c.entry.Attempts < d.c.srv.cfg.Attempts {
		set, ok := d.backend.Endpoints(d.c.generation)
		if !ok {
			return telemetry.StreamRefused, errUnknown
		}
		e := set.Pick(x, d.tried)
		if e == nil {
			break
		}
		if last != nil {
			d.backend.Metrics().Retry()
		}
		d.c.entry.Attempts++
		d.c.entry.Endpoint = e.Endpoint()
		err := d.try(e, set.Config())
		if err == nil {
			return 0, nil
		}
		if why := context.Cause(ctx); errors.Is(why, errLeft) {
			return telemetry.StreamCanceled, errLeft
		} else if why != nil {
			return telemetry.StreamCut, why
		}
		last = err
		d.tried = append(d.tried, e)
	}
	if last == nil {
		return telemetry.StreamRefused, errNoEndpoint
	}
	return telemetry.StreamUnreachable, last
}

// try dials one Endpoint and says who the client is, if the Backend wants to know.
func (d *dial) try(e *upstream.Endpoint, cfg *proxy.Backend) (err error) {
	m := d.backend.Metrics()
	m.Begin()
	e.Begin()
	d.endpoint, d.end = e, telemetry.ConnectFailure
	defer func() {
		if err != nil {
			if d.ctx.Err() != nil {
				d.end = telemetry.Canceled
			}
			d.settle()
		}
	}()
	d.leave(Ending{Retried: true})
	d.act(e.Endpoint())
	if err := d.hold(); err != nil {
		return err
	}
	nc, failed := e.DialNet(d.ctx, "tcp")
	if failed != nil {
		return failed
	}
	d.nc = nc
	m.Connect()
	if !d.c.opened(nc) {
		return context.Canceled
	}
	if cfg.ProxyProtocol == 0 {
		return nil
	}
	header, err := FormatHeader(cfg.ProxyProtocol, Header{d.c.source, d.c.target})
	if err != nil {
		return err
	}
	_, err = nc.Write(header) // into an empty buffer
	return err
}

// hold does to the dial what Chaos says.
func (d *dial) hold() error {
	if d.chaos == nil {
		return nil
	}
	switch toxic.Await(d.chaos.Dial(), d.endpoint.DialTimeout(), d.pause) {
	case toxic.DialRefused:
		return errRefused
	case toxic.DialTimesOut:
		return errTimedOut
	case toxic.DialInterrupted:
		return d.ctx.Err()
	}
	return nil
}

// pause waits until some time has passed, or until gone is closed. It returns false if nobody waits for the dial any more.
func (d *dial) pause(t time.Duration, gone <-chan struct{}) bool {
	passed, done := alarm.After(t)
	defer done()
	select {
	case <-passed:
	case <-gone:
	case <-d.ctx.Done():
		return false
	}
	return true
}

// slot is what acts on the connection.
func (d *dial) slot() *toxic.Slot {
	if d.chaos == nil {
		return toxic.NewSlot()
	}
	return d.chaos.Slot()
}

// outcome notes how the connection ended, for the Backend's metrics.
func (d *dial) outcome(end telemetry.StreamEnd) {
	switch end {
	case telemetry.StreamDone, telemetry.StreamFault:
		d.end = telemetry.OK
	case telemetry.StreamIdle:
		d.end = telemetry.Timeout
	default:
		d.end = telemetry.Reset
	}
}

// close ends the connection: the Endpoint's, what acts on it and what is counted.
func (d *dial) close() {
	d.settle()
	e := &d.c.entry
	d.leave(Ending{Failed: d.broke, Up: e.Up, Down: e.Down, Attempts: e.Attempts})
}

// settle ends the attempt, but for what acts on it.
func (d *dial) settle() {
	if d.nc != nil {
		_ = d.nc.Close()
		d.nc = nil
	}
	d.endpoint.End()
	d.backend.Metrics().End(d.end)
}

// fail ends what acts on a connection for which no Endpoint has been reached.
func (d *dial) fail(end telemetry.StreamEnd) {
	if c := d.c.srv.cfg.Chaos; c != nil && d.c.entry.Attempts == 0 {
		c.Missed(d.place(proxy.Endpoint{}))
		return
	}
	isFailed := end == telemetry.StreamUnreachable || end == telemetry.StreamRefused // otherwise the client has left, or has been cut off
	d.leave(Ending{Failed: isFailed, Attempts: d.c.entry.Attempts})
}

// act lets what is to act on the next attempt do so.
func (d *dial) act(at proxy.Endpoint) {
	if c := d.c.srv.cfg.Chaos; c != nil {
		d.chaos = c.Open(d.place(at))
	}
}

func (d *dial) place(at proxy.Endpoint) Place {
	e := &d.c.entry
	return Place{
		Listener: e.Listener, Route: d.c.route.cfg.ID, Backend: e.Backend, Endpoint: at, Client: d.c.source, Protocol: proxy.TCP,
		Attempt: max(e.Attempts, 1),
	}
}

// leave ends what acts on the attempt.
func (d *dial) leave(e Ending) {
	if d.chaos != nil {
		d.c.entry.AddExperiments(d.chaos.Experiments())
		d.chaos.Close(e)
		d.chaos = nil
	}
}
