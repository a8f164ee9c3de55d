package server

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// id is the Backend that a share goes to; zero without one.
func (sh *share) id() proxy.BackendID {
	if sh == nil {
		return proxy.BackendID{}
	}
	return sh.cfg.Backend
}

// serveFaulty is serve for a request that Experiments look at. Faults at Client come before everything that the Route says.
func (a *attempt) serveFaulty() {
	returned := false
	defer func() {
		if !returned { // a Step has panicked, and nobody else will
			a.chaos.End(a.x, time.Now())
		}
	}()
	if f := a.chaos.Client(a.x, a.w); f != nil {
		a.injectClient(f)
	} else {
		a.serve()
	}
	returned = true
}

// injectClient lets faults at Client act.
func (a *attempt) injectClient(f *chaos.Faults) {
	a.to = damaged{a.w, f}
	if f.HasToxics() {
		a.attachClient(f)
	}
	var reply *fault.Reply
	end, err := fault.None, f.Arrive(a.x)
	if err == nil {
		reply, end, err = f.Begin(a.x)
	}
	switch {
	case err != nil:
		a.s.fail(a.x, a.w, a.r, err)
	case end == fault.FIN:
		a.x.Response.Status = 0
		a.w.Abort()
	case end == fault.RST:
		a.x.Response.Status = 0
		a.w.Reset()
	case reply != nil:
		body := reply.Fill(a.x)
		a.chaos.Head(a.x)
		if err := a.to.Deliver(a.x, body); err != nil {
			a.x.Failure = err
		}
	default:
		a.start = time.Now() // what has been between the client and the gateway is not for the gateway's timeouts to see
		a.serve()
	}
	c, ok := http1.Wrapped(a.w).(slottedConn)
	if !ok || !f.HasToxics() {
		return
	}
	a.account(c.Conn)
	if http1.Ends(a.w) {
		c.kept.keep(f.Keep())
	}
}

// account corrects what is known of the response if a toxic has ended the client's connection: what has been sent has not all left the
// toxics.
func (a *attempt) account(c *toxic.Conn) {
	lost, isCut := c.Cut()
	x := a.x
	if !isCut || lost == 0 && x.Failure == nil {
		return
	}
	if x.Failure == nil || x.Failure.Side == proxy.Downstream {
		x.Failure = &proxy.Error{Side: proxy.Downstream, Op: "send response", Err: &proxy.Damage{Side: proxy.Downstream, Kind: proxy.Severed}}
	}
	got := c.Written() - a.before - lost
	if got < x.HeadBytes {
		x.Response.Status = 0
	}
	x.ResponseBytes = min(x.ResponseBytes, max(got-x.HeadBytes, 0))
}

// damaged is a client's end whose responses pass through faults at Client.
type damaged struct {
	proxy.Responder
	faults *chaos.Faults
}

// Deliver implements proxy.Responder.
func (d damaged) Deliver(x *proxy.Exchange, body proxy.Body) *proxy.Error {
	return d.Responder.Deliver(x, d.faults.Respond(x, body))
}

// slottedConn is a connection on which toxics can act.
type slottedConn struct {
	*toxic.Conn
	slot *toxic.Slot
	kept *kept // of a client's connection
}

// kept are the toxics of a client's last request, which act on the end of its connection too.
type kept struct {
	mu    sync.Mutex        // guards what follows
	acts  *chaos.Connection // nil: none
	ended bool
}

func (k *kept) keep(c *chaos.Connection) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		c.Release()
		return
	}
	k.acts = c
}

// end is told that the connection is over.
func (k *kept) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	if k.acts != nil {
		k.acts.Release()
		k.acts = nil
	}
}

// attachClient lets toxics act on the client's connection. Where the client's protocol has none of its own they do not.
func (a *attempt) attachClient(f *chaos.Faults) {
	c, ok := http1.Wrapped(a.w).(slottedConn)
	if !ok {
		http1.Wrap(a.w, func(nc net.Conn) net.Conn {
			c.slot, c.kept = toxic.NewSlot(), &kept{}
			w := a.w
			c.slot.Follow(toxic.Follower{Cut: func() { http1.Cut(w) }})
			o := a.s.toxics()
			o.Ended = c.kept.end
			c.Conn = toxic.NewConn(nc, c.slot, toxic.ClientSide, o)
			return c
		})
	}
	if c.slot != nil {
		a.before = c.Written()
		f.Attach(c.slot)
	}
}

// toxics are the Options of Conns.
func (s *Server) toxics() toxic.Options {
	o := s.cfg.Toxics
	o.Panicked = func(err error) { s.cfg.Log.Error("connection handling panicked", "error", err) }
	return o
}

// slottedVariant is the kind of connections to Endpoints on which toxics can act, within o. Between two requests none does.
func slottedVariant(o toxic.Options) upstream.Variant {
	return upstream.Variant{Key: slottedConn{}, Wrap: func(nc net.Conn) net.Conn {
		slot := toxic.NewSlot()
		return slottedConn{Conn: toxic.NewConn(nc, slot, toxic.EndpointSide, o), slot: slot}
	}}
}

var errDown = errors.New("connection refused by a fault")

// connectSlotted is connect for an attempt with toxics.
func (a *attempt) connectSlotted(e *upstream.Endpoint, fresh bool, limit time.Duration, f *chaos.Faults) (*http1.Conn, *proxy.Error) {
	holds := f.Dial()
	refused := slices.ContainsFunc(holds, func(h toxic.Hold) bool { return h.Refused })
	var c *http1.Conn
	if !fresh && !refused && a.told == 0 {
		c = e.IdleVariant(&a.s.slotted)
	}
	if c == nil {
		began := time.Now()
		err := a.hold(e, holds)
		if err != nil {
			f.Refused()
			return nil, err
		}
		if limit > 0 {
			limit = max(limit-time.Since(began), 1)
		}
		if c, err = a.dialSlotted(e, limit); err != nil {
			return nil, err
		}
	}
	f.Attach(c.NetConn().(slottedConn).slot)
	return c, nil
}

// hold does to the opening of a connection what toxics do. How long they hold it up counts as a part of the time that it takes.
func (a *attempt) hold(e *upstream.Endpoint, holds []toxic.Hold) (interrupted *proxy.Error) {
	dial := toxic.Await(holds, e.DialTimeout(), func(d time.Duration, gone <-chan struct{}) bool {
		interrupted = http1.PauseUntil(a.w, d, gone)
		return interrupted == nil
	})
	switch dial {
	case toxic.DialRefused:
		return &proxy.Error{Side: proxy.Upstream, Op: opConnect, Status: 502, Retry: true, Err: errDown}
	case toxic.DialTimesOut:
		return &proxy.Error{Side: proxy.Upstream, Op: opConnect, Status: 504, Retry: true, Err: context.DeadlineExceeded}
	}
	return interrupted
}

// dialSlotted opens a connection on which toxics can act.
func (a *attempt) dialSlotted(e *upstream.Endpoint, limit time.Duration) (*http1.Conn, *proxy.Error) {
	ctx := a.s.cut
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return a.open(ctx, e, func(ctx context.Context, e *upstream.Endpoint) (*http1.Conn, *proxy.Error) {
		return e.DialVariant(ctx, a.slotted())
	})
}

// inject lets request faults at Backend act on an attempt. ended is true if one of them has answered in the Endpoint's place.
func (a *attempt) inject(f *chaos.Faults, began time.Time) (ended bool, err *proxy.Error) {
	reply, end, err := f.Begin(a.x)
	switch {
	case err != nil:
		return false, err
	case end != fault.None:
		return false, end.Failure(a.x)
	case reply != nil:
		return true, a.deliver(f.Respond(a.x, reply.Fill(a.x)), began)
	}
	return false, nil
}
