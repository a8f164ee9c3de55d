package server

import (
	"context"
	"errors"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

var _ proxy.Handler = (*Server)(nil)

// Serve implements proxy.Handler: the phases of a request, from routing to the log.
func (s *Server) Serve(x *proxy.Exchange, w proxy.Responder) {
	st := s.state.Load()
	x.KeepOriginal()
	s.forward.apply(x)
	r := s.route(st, x)
	var q *chaos.Request
	if r == nil {
		s.metrics.NoRoute()
		s.answer(x, w, notFound)
	} else {
		q = s.serveRoute(st, r, x, w)
	}
	end := time.Now()
	if q != nil {
		q.End(x, end)
	}
	if r != nil {
		r.metrics.Done(x.Response.Status, end.Sub(x.Start), x.RequestBytes, x.ResponseBytes)
	}
	if s.cfg.AccessLog != nil {
		s.cfg.AccessLog.Log(x, end)
	}
}

// route finds the Route; nil if there is none.
func (s *Server) route(st *state, x *proxy.Exchange) *route {
	table := st.tables[x.Request.Port]
	if table == nil {
		return nil // the port has left the Snapshot; the connection is from before
	}
	r, l, ok := table.Match(&x.Request)
	if l != nil {
		x.Listener = l.ID
	}
	if !ok {
		return nil
	}
	x.Route = r.cfg
	return r
}

// serveRoute gets the response, with the faults that Experiments have for the request. They want to know of its end if what is
// returned is not nil.
func (s *Server) serveRoute(st *state, r *route, x *proxy.Exchange, w proxy.Responder) *chaos.Request {
	if r.invalid {
		s.fail(x, w, r, &proxy.Error{Side: proxy.Internal, Op: "route", Status: 500, Err: errors.New(r.cfg.Invalid)})
		return nil
	}
	a := attempt{s: s, x: x, w: w, to: w, r: r, share: r.share(), generation: st.generation, start: x.Start}
	if a.chaos = s.cfg.Chaos.Begin(x, a.share.id()); a.chaos != nil {
		a.serveFaulty()
	} else {
		a.serve()
	}
	return a.chaos
}

// serve runs the Route's steps and gets the response.
func (a *attempt) serve() {
	s, x, r, sh := a.s, a.x, a.r, a.share
	if answer := runRequest(r.steps, x); answer != nil {
		s.answerFrom(x, a.to, r, nil, *answer)
		return
	}
	if sh == nil {
		s.fail(x, a.to, r, &proxy.Error{Side: proxy.Internal, Op: "pick backend", Status: 500, Err: errNoBackend})
		return
	}
	x.Backend = sh.cfg
	if sh.backend == nil {
		s.fail(x, a.to, r, &proxy.Error{Side: proxy.Internal, Op: "pick backend", Status: 500, Err: errors.New(sh.cfg.Invalid)})
		return
	}
	if answer := runRequest(sh.steps, x); answer != nil {
		s.answerFrom(x, a.to, r, sh, *answer)
		return
	}
	a.run()
}

var (
	errNoBackend  = errors.New("the route has no backend")
	errUnknown    = errors.New("the backend does not exist")
	errNoEndpoint = errors.New("no endpoint is ready")
)

// share picks one of the Route's shares by weight.
func (r *route) share() *share {
	if r.only != nil {
		return r.only
	}
	i := r.weights.Pick(r.random())
	if i < 0 {
		return nil
	}
	return &r.shares[i]
}

// runRequest lets the steps see the request; the first Answer ends it.
func runRequest(steps []proxy.Step, x *proxy.Exchange) *proxy.Answer {
	for _, step := range steps {
		if a := step.Request(x); a != nil {
			return a
		}
	}
	return nil
}

// runResponse lets the steps see the response head, in reverse.
func runResponse(steps []proxy.Step, x *proxy.Exchange) {
	for i := len(steps) - 1; i >= 0; i-- {
		steps[i].Response(x)
	}
}

// attempt gets the response to one Exchange from an Endpoint, if need be in several tries.
type attempt struct {
	s     *Server
	x     *proxy.Exchange
	w     proxy.Responder
	to    proxy.Responder // who gets the response: w, or what damages it on its way there
	r     *route
	share *share         // nil: the Route has no Backend
	chaos *chaos.Request // nil: no Experiment looks at the request

	generation uint64    // of the state that the Route was found in
	start      time.Time // when the Route's timeouts began
	before     int64     // bytes written to the client's connection before toxics acted on it for this request
	told       uint8     // version of the PROXY protocol header that the Backend wants; 0 is none

	tried [8]*upstream.Endpoint // that could not be reached
	n     int
}

func (a *attempt) run() {
	b := a.share.backend
	set := b.endpoints(a.generation)
	if set == nil {
		a.s.fail(a.x, a.to, a.r, &proxy.Error{Side: proxy.Internal, Op: "pick endpoint", Status: 500, Err: errUnknown})
		return
	}
	fresh := false // do not reuse a connection: one has just died
	var last *proxy.Error
	var e *upstream.Endpoint
	for a.x.Attempts < a.s.cfg.Attempts {
		if !fresh {
			if next := b.endpoints(a.generation); next != nil {
				set = next // what has failed may have been replaced meanwhile
			}
			if e = set.pick(a.x, a.tried[:a.n]); e == nil {
				break
			}
		}
		if last != nil {
			b.metrics.Retry()
		}
		a.x.Attempts++
		a.x.Endpoint = e.Endpoint()
		a.told = set.cfg.ProxyProtocol
		err := a.try(e, fresh)
		if err == nil {
			return
		}
		last, fresh = err, err.Retry && err.Op != opConnect
		if !err.Retry {
			break
		}
		if !fresh && a.n < len(a.tried) {
			a.tried[a.n] = e
			a.n++
		}
	}
	if last == nil {
		last = &proxy.Error{Side: proxy.Upstream, Op: "pick endpoint", Status: 503, Err: errNoEndpoint}
	}
	a.s.fail(a.x, a.to, a.r, last)
}

const opConnect = "connect"

// try makes one attempt. nil means that the Exchange has ended, well or not.
func (a *attempt) try(e *upstream.Endpoint, fresh bool) *proxy.Error {
	m := a.share.backend.metrics
	m.Begin()
	e.Begin()
	defer e.End()
	began := a.start
	if a.x.Attempts > 1 {
		began = time.Now()
	}
	limit, err := a.limit(began)
	if err != nil {
		m.End(telemetry.Timeout)
		return err
	}
	f := a.chaos.Attempt(a.x, a.w)
	if f != nil {
		defer f.Undo(a.x)
		defer http1.Limit(a.w, limit)()
		ended, err := a.inject(f, began)
		if ended || err != nil {
			m.End(outcomeOf(err))
		}
		if ended {
			return nil
		}
		if err != nil {
			return err
		}
		if limit > 0 {
			limit = max(limit-time.Since(began), 1)
		}
	}
	conn, err := a.connect(e, fresh, limit, f)
	if err != nil {
		m.End(outcomeOf(err))
		return err
	}
	if limit > 0 && f == nil {
		left := max(limit-time.Since(began), 1) // opening the connection has taken some of it
		defer http1.Limit(a.w, left)()
	}
	if limit == 0 && a.r.timeouts.Unlimited {
		defer http1.Unlimited(a.w)()
	}
	settled := false
	defer func() {
		if !settled { // a Step has panicked
			conn.Close()
			m.End(telemetry.Reset)
		}
	}()
	if err := conn.RoundTrip(a.x, a.w); err != nil {
		settled = true
		conn.Close()
		m.End(outcomeOf(err))
		return err
	}
	err = a.deliver(f.Respond(a.x, conn), began)
	settled = true
	f.Detach()
	switch {
	case !conn.Finish():
	case a.told != 0: // it tells of this client only
		conn.Close()
	case f.HasToxics():
		e.PutVariant(&a.s.slotted, conn)
	default:
		e.Put(conn)
	}
	m.End(outcomeOf(err))
	return nil
}

// deliver sends the client what an Endpoint has answered.
func (a *attempt) deliver(body proxy.Body, began time.Time) *proxy.Error {
	a.x.UpstreamTime = time.Since(began)
	a.share.backend.metrics.Head(a.x.UpstreamTime)
	runResponse(a.share.steps, a.x)
	runResponse(a.r.steps, a.x)
	a.chaos.Head(a.x)
	err := a.to.Deliver(a.x, body)
	if err != nil {
		a.x.Failure = err
	}
	return err
}

// limit is how long the attempt may take by the Route's timeouts; 0 is no limit.
func (a *attempt) limit(began time.Time) (time.Duration, *proxy.Error) {
	t := &a.r.timeouts
	limit := t.Backend
	if t.Request > 0 {
		left := t.Request - began.Sub(a.start)
		if left <= 0 {
			return 0, &proxy.Error{Side: proxy.Upstream, Op: "wait", Status: 504, Err: context.DeadlineExceeded}
		}
		if limit == 0 || left < limit {
			limit = left
		}
	}
	return limit, nil
}

// connect takes a pooled connection or opens one, on which f's toxics act.
func (a *attempt) connect(e *upstream.Endpoint, fresh bool, limit time.Duration, f *chaos.Faults) (*http1.Conn, *proxy.Error) {
	if f.HasToxics() {
		return a.connectSlotted(e, fresh, limit, f)
	}
	if !fresh && a.told == 0 {
		if c := e.Idle(); c != nil {
			return c, nil
		}
	}
	ctx := a.s.cut
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return a.open(ctx, e, a.dial)
}

// open opens a connection, unless the client leaves meanwhile.
func (a *attempt) open(
	ctx context.Context, e *upstream.Endpoint, dial func(context.Context, *upstream.Endpoint) (*http1.Conn, *proxy.Error),
) (c *http1.Conn, err *proxy.Error) {
	stopped := http1.While(ctx, a.w, opConnect, func(ctx context.Context) { c, err = dial(ctx, e) })
	if stopped != nil {
		if c != nil {
			c.Close()
		}
		return nil, stopped
	}
	if err == nil {
		a.share.backend.metrics.Connect()
	}
	return c, err
}

// isDamage reports whether a fault at Client ended the response.
func isDamage(err *proxy.Error) bool {
	_, ok := err.Err.(*proxy.Damage)
	return ok
}

// outcomeOf classifies how an attempt ended.
func outcomeOf(err *proxy.Error) telemetry.Outcome {
	if err == nil {
		return telemetry.OK
	}
	var malformed *http1.Refusal // on the heap
	switch {
	case err.Side == proxy.Downstream && isDamage(err):
		return telemetry.Fault
	case err.Side == proxy.Downstream:
		return telemetry.Canceled
	case err.Status == 504:
		return telemetry.Timeout
	case err.Op == opConnect:
		return telemetry.ConnectFailure
	case errors.As(err.Err, &malformed):
		return telemetry.Malformed
	}
	return telemetry.Reset
}
