package chaos

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/fault"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

// Faults are what acts on a request at one Point. A nil *Faults does nothing. What has ended in the meantime, by a deadline or a
// switch, does nothing any more: waits end at once, and a body that is slowed down goes on as it is.
type Faults struct {
	request *Request
	x       *proxy.Exchange
	w       proxy.Responder
	steps   []running
	toxics  []ofBytes
	place   Place
	conn    *Connection // once they have been attached

	changed bool          // the request's fields
	fields  []proxy.Field // as they were before
}

// running is a fault.Step in force.
type running struct {
	fault.Step
	armed   *armed
	of      *decision // for the whole request
	target  string    // as in the log
	ordinal uint64
	acted   bool // it has been counted and logged
}

// ofBytes is a decision that wants toxics on the connection.
type ofBytes struct {
	decision
	of *decision // for the whole request
}

// isOfResponse reports whether the step does nothing before there is a response.
func (s *running) isOfResponse() bool {
	return (s.Body != nil || s.Response != nil) && s.Request == nil && s.Reply == nil && s.End == fault.None && s.Delay == 0
}

// acts counts and logs that a step acts, once.
func (f *Faults) acts(s *running) {
	if s.acted {
		return
	}
	s.acted = true
	s.armed.stats.applied.Add(1)
	if s.Delay == 0 {
		s.armed.stats.delay.observe(0)
	}
	s.armed.logged(s.target, s.ordinal, decidedInject, 0, s.Delay)
	f.injected(s.of)
}

// injected counts that something of what a decision lets act does so.
func (f *Faults) injected(of *decision) {
	of.count()
	f.request.touch()
	f.x.Experiments = addTo(f.x.Experiments, of.key.id)
}

// step makes the running form of a fault.
func (t *armed) step(d *decision, w proxy.Responder, target string) running {
	s := running{armed: t, target: target, ordinal: d.ordinal, Step: t.fault.New(fault.Site{
		At: d.cfg.At, Rand: t.Key.Rand(d.ordinal), Began: time.Since(t.Began), InForce: t.inForce,
		Pause: func(wait time.Duration) *proxy.Error {
			if err := http1.PauseUntil(w, wait, t.gone); err != nil {
				return err
			}
			if !t.inForce() {
				return over
			}
			return nil
		},
	})}
	if s.Delay > 0 {
		s.Delay = cmp.Or(t.of.engine.cfg.Replay.delay(t.of.name, t.cfg.Name, d.ordinal), s.Delay)
	}
	return s
}

// over is what a fault that wants to wait gets when it is not in force any more.
var over = &proxy.Error{Op: "wait", Err: errors.New("the fault is not in force any more")}

// Begin lets the faults act on the request, in order. If one takes the place of what would come next, that is returned: a Reply,
// an End, or why waiting has ended.
func (f *Faults) Begin(x *proxy.Exchange) (*fault.Reply, fault.End, *proxy.Error) {
	if f == nil {
		return nil, fault.None, nil
	}
	for i := range f.steps {
		s := &f.steps[i]
		if !s.armed.inForce() {
			continue
		}
		if !s.isOfResponse() {
			f.acts(s)
		}
		if s.Delay > 0 {
			if err := f.delay(s); err != nil {
				return nil, fault.None, err
			}
			if !s.armed.inForce() {
				continue
			}
		}
		if s.Request != nil {
			if !f.changed {
				f.changed, f.fields = true, slices.Clone(x.Request.Header.Fields)
			}
			s.Request(x)
		}
		if s.End != fault.None || s.Reply != nil {
			return s.Reply, s.End, nil
		}
	}
	return nil, fault.None, nil
}

// Undo takes changes of the request's fields back: those at Backend are one attempt's.
func (f *Faults) Undo(x *proxy.Exchange) {
	if f != nil && f.changed {
		x.Request.Header.Fields = append(x.Request.Header.Fields[:0], f.fields...)
		f.changed = false
	}
}

// delay waits for as long as a step wants, or until it is not in force any more, and notes how long that was.
func (f *Faults) delay(s *running) *proxy.Error {
	began := time.Now()
	err := http1.PauseUntil(f.w, s.Delay, s.armed.gone)
	took := min(time.Since(began), s.Delay)
	s.armed.stats.delay.observe(took)
	if took < s.Delay {
		s.armed.logged(s.target, s.ordinal, decidedEnd, 0, took)
	}
	return err
}

// Respond lets the faults see the response head and wrap its body, the last one first: it is nearest to the Endpoint. b is what
// Responder.Deliver would have been given, and may be nil.
func (f *Faults) Respond(x *proxy.Exchange, b proxy.Body) proxy.Body {
	if f == nil {
		return b
	}
	for i := len(f.steps) - 1; i >= 0; i-- {
		s := &f.steps[i]
		if !s.armed.inForce() {
			continue
		}
		var m *metered
		comes := b
		if s.Body != nil && b != nil {
			m = &metered{Body: b, of: s}
			comes = m
		}
		wrapped := fault.Respond([]fault.Step{s.Step}, x, comes)
		if wrapped != comes {
			b = &passing{Body: wrapped, inner: b}
			f.request.metered = append(f.request.metered, m)
		}
		if wrapped != comes || s.Response != nil && x.Response.Status != 101 {
			f.acts(s)
		}
	}
	return b
}

// metered is a Body as it comes to a fault.
type metered struct {
	proxy.Body
	of *running
	n  int64 // bytes that have come while the fault was in force
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.Body.Read(b)
	if m.of.armed.inForce() {
		m.n += int64(n)
	}
	return n, err
}

// over counts and logs what has come.
func (m *metered) over() {
	s := m.of
	s.armed.stats.bytes.Add(m.n)
	s.armed.logged(s.target, s.ordinal, decidedEnd, m.n, 0)
}

// passing is a damaged Body until its fault is over; then it is what was wrapped.
type passing struct {
	proxy.Body
	inner proxy.Body
}

func (p *passing) Read(b []byte) (int, error) {
	n, err := p.Body.Read(b)
	if e, ok := err.(*proxy.Error); ok && e == over {
		p.Body, err = p.inner, nil
		if n == 0 {
			return p.Body.Read(b)
		}
	}
	return n, err
}

// Arrive waits for as long as toxics at Client hold the request's head up on its way to the gateway. It has come before anybody
// could know that it is to be late; what follows it on the connection is slowed down there. It returns early for what has ended
// meanwhile, and an error if waiting has.
func (f *Faults) Arrive(x *proxy.Exchange) (err *proxy.Error) {
	if f == nil {
		return nil
	}
	for i := range f.toxics {
		d := &f.toxics[i]
		d.each(func(t *armed) {
			if err != nil || t.fault != nil || t.Direction != proxy.Upstreamward || !t.inForce() {
				return
			}
			if late := (toxic.Active{Entry: t.Entry, Ordinal: d.ordinal}).Late(headSize(&x.Request)); late > 0 {
				f.injected(d.of)
				err = http1.PauseUntil(f.w, late, t.gone)
			}
		})
	}
	return err
}

// headSize is about how many bytes the head of a request takes.
func headSize(r *proxy.Request) int {
	n := len(r.Method) + len(r.Path) + len(r.Host) + len(" HTTP/1.1\r\nHost: \r\n\r\n")
	for i := range r.Header.Fields {
		n += len(r.Header.Fields[i].Name) + len(r.Header.Fields[i].Value) + len(": \r\n")
	}
	return n
}

// HasToxics reports whether toxics are to act on the connection to the client, or to the Endpoint: then Attach is to be called.
func (f *Faults) HasToxics() bool { return f != nil && len(f.toxics) > 0 }

// Attach lets the toxics act on a connection, through its Slot. Nobody else may use the Slot until Detach is called or the request
// has ended.
func (f *Faults) Attach(slot *toxic.Slot) {
	e := f.request.engine
	f.conn = &Connection{engine: e, fixed: true, admission: admitted, place: f.place, Slot: slot}
	for i := range f.toxics {
		d := &f.toxics[i]
		acts := false
		d.each(func(t *armed) { acts = acts || t.fault == nil && t.inForce() })
		if acts {
			f.injected(d.of)
		}
		one := d.decision
		one.counted = true // or it is not to be
		f.conn.decisions = append(f.conn.decisions, one)
	}
	e.conns.open(f.conn)
	f.request.conns = append(f.request.conns, f.conn)
}

// Refused is called in place of Attach if there is no connection because of Dial: that is what the toxics have done.
func (f *Faults) Refused() { f.Attach(toxic.NewSlot()) }

// Keep has what has been attached act on after the request has ended, for what is still to come of a connection that ends with it.
// Release of what is returned ends that.
func (f *Faults) Keep() *Connection {
	f.request.conns = slices.DeleteFunc(f.request.conns, func(c *Connection) bool { return c == f.conn })
	return f.conn
}

// Detach takes the toxics out of the Slot again.
func (f *Faults) Detach() {
	if f != nil && f.conn != nil {
		f.conn.end()
	}
}

// Dial says what becomes of a new connection to the Endpoint: what toxic.Await makes of it.
func (f *Faults) Dial() (all []toxic.Hold) {
	if f == nil {
		return nil
	}
	for i := range f.toxics {
		d, before := &f.toxics[i], len(all)
		if all = d.dial(all); len(all) > before {
			f.injected(d.of)
		}
	}
	return all
}

// dial adds what the toxics do to the opening of a connection.
func (d *decision) dial(all []toxic.Hold) []toxic.Hold {
	if d.cfg.At != proxy.AtBackend {
		return all
	}
	d.each(func(t *armed) {
		if !t.inForce() {
			return
		}
		h := toxic.Hold{Gone: t.gone}
		switch v := t.Toxic.(type) {
		case toxic.Down:
			h.Refused = true
		case interface {
			DialDelay(r *rand.Rand, at time.Duration) (time.Duration, bool)
		}:
			h.Delay, h.Refused = v.DialDelay(t.Key.Rand(^d.ordinal), time.Since(t.Began))
		}
		if h.Refused || h.Delay > 0 {
			all = append(all, h)
		}
	})
	return all
}
