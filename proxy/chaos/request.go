package chaos

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Request is what the Experiments have decided for one HTTP request. The goroutine that serves the request uses it, from Begin to
// End.
type Request struct {
	engine    *Engine
	concern   *concern
	decisions []decision // of the actions that have matched
	flights   []flight   // one for each interest, for Guards that bound the latency
	admission admission
	touched   bool
	// grpcFailed: the response says so in its Grpc-Status.
	grpcFailed bool
	conns      []*Connection // whose Slots are in use
	metered    []*metered    // what has come to faults of bodies
}

// Begin looks at a request that has been routed and whose share of the Route goes to b (the zero BackendID: to none). It removes
// tokens, and returns nil if nothing else is to be done: then nobody need call End. With no Experiment it costs one load, and
// with none for the Route one look-up.
func (e *Engine) Begin(x *proxy.Exchange, b proxy.BackendID) *Request {
	if e == nil {
		return nil
	}
	p := e.plan.Load()
	if p == nil {
		return nil
	}
	c := p.concernOf(x.Route, &x.Listener, b)
	if c == nil {
		return nil
	}
	if bytes.HasPrefix(x.Request.Path, acmePath) {
		e.stripTokens(x, c)
		return nil
	}
	return e.begin(x, c)
}

// acmePath is where ACME challenges are answered (RFC 8555 section 8.3). No fault ever touches it.
var acmePath = []byte("/.well-known/acme-challenge/")

func (e *Engine) begin(x *proxy.Exchange, c *concern) *Request {
	var r *Request
	if len(c.interests) > 0 {
		r = e.requests.Get().(*Request)
		r.concern = c
		for _, s := range c.shares {
			s.request(s.rate)
		}
		for i := range c.interests {
			r.look(x, &c.interests[i])
		}
		if c.guarded {
			r.flights = slices.Grow(r.flights, len(c.interests))[:len(c.interests)] // they are linked: they must not move
			for i := range c.interests {
				c.interests[i].guard.begin(&r.flights[i], x.Start)
			}
		}
	}
	e.stripTokens(x, c)
	return r
}

// stripTokens removes tokens from a request.
func (e *Engine) stripTokens(x *proxy.Exchange, c *concern) {
	for _, s := range c.strip {
		if !s.ifValid || bears(&x.Request, s.token, s.of.ID, e.cfg.Now()) {
			strip(&x.Request, s.token)
		}
	}
}

// look decides what one Experiment does.
func (r *Request) look(x *proxy.Exchange, i *interest) {
	for _, s := range i.dry {
		s.request(s.rate)
	}
	a := i.action
	if a.halted.Load() || !a.matches(x) {
		return
	}
	d := decision{interest: i, ordinal: a.number(keyOf(a.cfg.OrdinalKey, &x.Request)), attempt: 1, kind: requests}
	if len(a.sequence) > 0 {
		d.client = keyOf(a.cfg.SequenceKey, &x.Request)
	}
	if a.cfg.At == proxy.Client {
		d.choose()
	}
	r.decisions = append(r.decisions, d)
}

// matches reports whether Token and Matches select a request.
func (a *action) matches(x *proxy.Exchange) bool {
	if t := a.cfg.Token; t != nil && !bears(&x.Request, t, a.key.id, a.engine.cfg.Now()) {
		return false
	}
	for _, m := range a.matchers {
		if m.Match(&x.Request) {
			return true
		}
	}
	return len(a.matchers) == 0
}

// Client returns what acts between the client and routing; nil is nothing. It is called once.
func (r *Request) Client(x *proxy.Exchange, w proxy.Responder) *Faults {
	var f *Faults
	for i := range r.decisions {
		if d := &r.decisions[i]; d.cfg.At == proxy.Client {
			f = r.collect(x, f, d, d, w)
		}
	}
	return f.settle()
}

// Attempt returns what acts on the latest attempt, which x describes: Backend, Endpoint, Attempts; nil is nothing. It is called
// once for each attempt. A nil Request has none.
func (r *Request) Attempt(x *proxy.Exchange, w proxy.Responder) *Faults {
	if r == nil {
		return nil
	}
	var f *Faults
	for i := range r.decisions {
		d := &r.decisions[i]
		if d.cfg.At != proxy.AtBackend || x.Backend == nil {
			continue
		}
		if !d.endpoints.has(x.Backend.Backend, x.Endpoint.ID()) {
			continue
		}
		one := *d
		one.attempt, one.ordinal = x.Attempts, attemptOrdinal(d.ordinal, x.Attempts)
		one.choose()
		f = r.collect(x, f, &one, d, w)
		d.rehearsed = one.rehearsed
	}
	return f.settle()
}

// collect adds what d lets act to f, which counts and logs it when it does: an earlier fault may answer the request. Whether it has been
// counted stands in of, the decision for the whole request.
func (r *Request) collect(x *proxy.Exchange, f *Faults, d, of *decision, w proxy.Responder) *Faults {
	if d.halted.Load() || !d.any() {
		return f
	}
	name := x.Route.ID.String()
	if d.cfg.At == proxy.AtBackend {
		name = x.Endpoint.String()
	}
	admitted := d.admit(r.concern.shares, &r.admission, name)
	of.counted = d.counted
	if !admitted {
		return f
	}
	if f == nil {
		f = &Faults{request: r, x: x, w: w}
	}
	onBytes := false
	d.each(func(t *armed) {
		if !t.inForce() {
			return
		}
		if t.fault == nil {
			onBytes = true
			return
		}
		t.stats.decided.Add(1)
		s := t.step(d, w, name)
		s.of = of
		f.steps = append(f.steps, s)
	})
	if onBytes {
		f.toxics = append(f.toxics, ofBytes{*d, of})
	}
	return f
}

// addTo adds id to ids, unless it is there.
func addTo(ids []proxy.ObjectID, id proxy.ObjectID) []proxy.ObjectID {
	if slices.Contains(ids, id) {
		return ids
	}
	return append(ids, id)
}

// settle notes where f acts.
func (f *Faults) settle() *Faults {
	if f == nil {
		return nil
	}
	x := f.x
	client := netip.AddrPortFrom(x.Request.ClientIP, x.Request.Peer.Port())
	f.place = Place{Route: x.Route.ID.Object, Listener: x.Listener, Client: client}
	if x.Backend != nil {
		f.place.Backend, f.place.Endpoint = x.Backend.Backend, x.Endpoint
	}
	return f
}

// touch notes that the request is touched.
func (r *Request) touch() {
	if r.touched {
		return
	}
	r.touched = true
	for i := range r.flights {
		r.concern.interests[i].guard.touch(&r.flights[i])
	}
}

// Head tells that the head of the response is about to be sent. What follows it may take as long as it likes if its length is not
// known, as with tunnels and streams of events: Guards judge by the time up to here then. A nil Request does not care.
func (r *Request) Head(x *proxy.Exchange) {
	if r == nil {
		return
	}
	code := x.Response.Header.Get("Grpc-Status")
	r.grpcFailed = len(code) > 0 && slices.Contains(grpcFailures, string(code))
	if len(r.flights) == 0 || x.Response.Status != 101 && x.Response.ContentLength >= 0 {
		return
	}
	took := time.Since(x.Start)
	for i := range r.flights {
		r.concern.interests[i].guard.answered(&r.flights[i], took)
	}
}

// End tells what has become of the request, which was at its end at a time, and gives everything back. The Request and its Faults
// must not be used any more.
func (r *Request) End(x *proxy.Exchange, end time.Time) {
	for _, c := range r.conns {
		c.end()
	}
	for _, m := range r.metered {
		m.over()
	}
	o := outcome{
		status: x.Response.Status, latency: end.Sub(x.Start), upstream: x.RequestBytes, downstream: x.ResponseBytes,
		retries: max(x.Attempts-1, 0),
	}
	o.failed = r.grpcFailed || failed(x)
	for i := range r.concern.interests {
		r.concern.interests[i].clients[index(r.touched)].done(&o)
	}
	for i := range r.flights {
		r.concern.interests[i].guard.end(&r.flights[i], &o, r.touched)
	}
	clear(r.decisions)
	clear(r.conns)
	clear(r.flights)
	clear(r.metered)
	r.concern, r.admission, r.touched, r.grpcFailed = nil, undecided, false, false
	r.decisions, r.flights, r.conns, r.metered = r.decisions[:0], r.flights[:0], r.conns[:0], r.metered[:0]
	r.engine.requests.Put(r)
}

// failed reports whether the client has got no answer, one that says that the gateway or what is behind it has failed, or not all of
// an answer, unless that is the client's own doing.
func failed(x *proxy.Exchange) bool {
	f := x.Failure
	switch {
	case x.Response.Status >= 500:
		return true
	case f == nil:
		return x.Response.Status == 0
	case f.Side == proxy.Downstream:
		var damage *proxy.Damage
		return errors.As(f.Err, &damage)
	}
	return x.Response.Status != 101 || f.Status != 504 // a tunnel that falls silent ends so
}

// grpcFailures are the codes with which a server says that it has failed, as OpenTelemetry's conventions for RPC spans have them.
// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS.
var grpcFailures = []string{"2", "4", "12", "13", "14", "15"}

func index(touched bool) int {
	if touched {
		return 1
	}
	return 0
}
