package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/nonblock"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
	"github.com/breakwater-gateway/breakwater/proxy/upstream"
)

// maxPending bounds the bytes of a session that wait for its Endpoint to be known by address.
const maxPending = 256 << 10

// session is one client's datagrams. Its goroutine dials and reads what the Endpoint answers; the port's goroutine passes on what the
// client sends.
type session struct {
	p          *Packets
	key        sessionKey
	route      *Route
	generation uint64
	backend    Backend
	reply      []byte          // control message that makes answers leave from the address the client sent to
	x          *proxy.Exchange // for Pickers
	entry      telemetry.StreamEntry

	last     atomic.Int64           // when something moved, on the port's clock
	out      atomic.Pointer[outlet] // nil while there is no Endpoint to send to
	up, down atomic.Int64           // bytes
	quiet    atomic.Bool            // the Server shuts down: a short silence is the end
	refused  atomic.Bool            // nobody takes what is sent; an answer takes that back

	// of the session's goroutine
	set    Endpoints
	target *upstream.Endpoint
	failed Connection // what has acted on the last attempt if it has failed; nil otherwise
	lost   error      // says what has been lost with the last attempt; nil if nothing has

	mu      sync.Mutex
	pending [][]byte           // guarded by mu; what waits for out
	size    int                // guarded by mu; of pending
	ended   bool               // guarded by mu
	aborted bool               // guarded by mu
	cancel  context.CancelFunc // guarded by mu; of the dial
}

// outlet is the way to one Endpoint.
type outlet struct {
	s        *session
	endpoint *upstream.Endpoint
	set      Endpoints // in which the Endpoint was found last; of the port's goroutine
	conn     *net.UDPConn
	raw      syscall.RawConn
	chaos    Connection          // nil: nothing ever acts
	link     *toxic.DatagramLink // nil with chaos
	left     atomic.Bool         // another Endpoint is wanted

	mu    sync.Mutex // guards what follows: the arguments and results of put
	put   func(fd uintptr) bool
	out   []byte
	errno error
}

// pick chooses an Endpoint; nil if there is none.
func (s *session) pick(tried ...*upstream.Endpoint) (Endpoints, *upstream.Endpoint) {
	set, ok := s.backend.Endpoints(s.generation)
	if !ok {
		return nil, nil
	}
	return set, set.Pick(s.x, tried)
}

// fromClient passes on a datagram of the client. It reports false if the session has ended.
func (s *session) fromClient(p []byte) bool {
	s.last.Store(s.p.now())
	for {
		if o := s.out.Load(); o != nil {
			return s.pass(o, p)
		}
		if h := s.hold(p); h != notNeeded {
			return h == held
		}
	}
}

// pass passes on a datagram of the client by the way that is known. It reports false if the session has ended.
func (s *session) pass(o *outlet, p []byte) bool {
	if set, ok := s.backend.Endpoints(s.generation); ok && set != o.set {
		if !set.Has(o.endpoint) {
			o.leave()
			return o.again(p)
		}
		o.set = set
	}
	switch {
	case o.link == nil:
		return o.send(p)
	case o.link.Pass(proxy.Upstreamward, p):
		return true
	}
	return o.again(p)
}

// holding is what becomes of a datagram for which there is no way.
type holding uint8

const (
	held         holding = iota // or dropped for want of room
	notNeeded                   // there is a way
	sessionEnded                // there will be none
)

// hold keeps a datagram until there is an Endpoint, if there is none.
func (s *session) hold(p []byte) holding {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return sessionEnded
	case s.out.Load() != nil:
		return notNeeded
	case s.size+len(p) > maxPending:
		s.route.metrics.Drop(telemetry.DropQueue)
		return held
	}
	s.pending = append(s.pending, append([]byte(nil), p...))
	s.size += len(p)
	return held
}

// open makes o the way for what comes, after what has been held. If that shows that o leads nowhere, what is left waits for another.
func (s *session) open(o *outlet) {
	for !o.left.Load() {
		s.mu.Lock()
		if len(s.pending) == 0 {
			s.out.Store(o)
			s.mu.Unlock()
			return
		}
		held := s.pending
		s.pending, s.size = nil, 0
		s.mu.Unlock()
		for _, p := range held {
			if o.link != nil {
				o.link.Pass(proxy.Upstreamward, p)
			} else {
				o.send(p)
			}
		}
	}
}

// run is the session's goroutine.
func (s *session) run() {
	defer s.p.srv.ended.Done()
	defer s.p.srv.sessions.n.Add(-1)
	defer s.finish()
	for {
		o, err := s.dial()
		if err != nil {
			s.entry.Outcome, s.entry.Err = telemetry.StreamUnreachable, err
			return
		}
		s.open(o)
		again := o.read()
		s.out.CompareAndSwap(o, nil)
		if again {
			_, s.target = s.pick(o.endpoint)
			if s.target == nil { // there is no other one: perhaps it will be back
				_, s.target = s.pick()
			}
			if s.target == nil {
				s.refused.Store(true)
			}
		}
		if !again || s.target == nil {
			s.end(o)
			return
		}
		o.fail(telemetry.Reset)
	}
}

// end closes the last outlet, so that no datagram can have been taken by a session that does not pass it on.
func (s *session) end(o *outlet) {
	s.markEnded()
	if n := o.close(telemetry.OK); n > 0 {
		s.lost = fmt.Errorf("datagrams that toxics held back to the end are lost: %d", n)
	}
}

// markEnded makes fromClient report false from now on.
func (s *session) markEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for range s.pending {
		s.route.metrics.Drop(telemetry.DropNoEndpoint)
	}
	s.pending = nil
}

// finish counts and logs the end.
func (s *session) finish() {
	s.markEnded()
	s.p.forget(s)
	switch {
	case s.aborted: // for good: nobody changes it any more
		s.entry.Outcome, s.entry.Err = telemetry.StreamCut, s.lost
	case s.lost != nil:
		s.entry.Outcome, s.entry.Err = telemetry.StreamFault, s.lost
	}
	s.route.metrics.End(s.entry.Outcome)
	s.entry.End = time.Now()
	s.entry.Up, s.entry.Down = s.up.Load(), s.down.Load()
	s.p.srv.log(&s.entry)
}

// dial connects to s.target, or to another Endpoint if it cannot be reached.
func (s *session) dial() (*outlet, error) {
	ctx, cancel := context.WithCancel(s.p.srv.cut)
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	ended := s.ended
	s.mu.Unlock()
	if ended {
		s.leave(s.ending(s.refused.Load()))
		return nil, context.Canceled
	}
	var tried []*upstream.Endpoint
	for {
		s.entry.Attempts++
		s.entry.Endpoint = s.target.Endpoint()
		o, err := s.try(ctx, s.target)
		if err == nil {
			return o, nil
		}
		tried = append(tried, s.target)
		if len(tried) < s.p.srv.cfg.Attempts && ctx.Err() == nil {
			s.set, s.target = s.pick(tried...)
		} else {
			s.target = nil
		}
		if s.target == nil {
			s.leave(s.ending(ctx.Err() == nil || s.refused.Load()))
			return nil, err
		}
		s.backend.Metrics().Retry()
	}
}

// ending says what has become of the session.
func (s *session) ending(failed bool) Ending {
	return Ending{Failed: failed, Up: s.up.Load(), Down: s.down.Load(), Attempts: s.entry.Attempts}
}

// leave ends what has acted on a failed attempt.
func (s *session) leave(e Ending) {
	if s.failed != nil {
		s.entry.AddExperiments(s.failed.Experiments())
		s.failed.Close(e)
		s.failed = nil
	}
}

// try connects to one Endpoint.
func (s *session) try(ctx context.Context, e *upstream.Endpoint) (_ *outlet, err error) {
	m := s.backend.Metrics()
	m.Begin()
	e.Begin()
	o := &outlet{s: s, endpoint: e, set: s.set}
	o.put = o.write
	defer func() {
		if err != nil {
			o.fail(telemetry.ConnectFailure)
		}
	}()
	s.leave(Ending{Retried: true})
	if c := s.p.srv.cfg.Chaos; c != nil {
		o.chaos = c.Open(Place{
			Listener: s.entry.Listener, Route: s.route.cfg.ID, Backend: s.entry.Backend, Endpoint: e.Endpoint(),
			Client: s.key.client, Protocol: proxy.UDP, Attempt: s.entry.Attempts,
		})
	}
	if o.chaos != nil && toxic.Refuses(o.chaos.Dial()) {
		return nil, errRefused
	}
	nc, failed := e.DialNet(ctx, "udp")
	if failed != nil {
		return nil, failed
	}
	m.Connect()
	o.conn = nc.(*net.UDPConn)
	if o.raw, err = o.conn.SyscallConn(); err != nil {
		return nil, err
	}
	if o.chaos != nil {
		o.link = toxic.NewDatagramLink(o.chaos.Slot(), o.deliver, s.p.srv.cfg.Toxics)
	}
	return o, nil
}

// shorten makes the session end after a short silence.
func (s *session) shorten() {
	s.quiet.Store(true)
	if o := s.out.Load(); o != nil {
		o.wake()
	}
}

// abort ends the session.
func (s *session) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.aborted = true, true
	if s.cancel != nil {
		s.cancel()
	}
	if o := s.out.Load(); o != nil {
		o.wake()
	}
}

// limit is how long the session may be silent; 0 if it is to end. While toxics hold back what will go on by itself it is not silent.
func (s *session) limit() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return 0
	case s.quiet.Load():
		return min(s.p.srv.cfg.SessionIdle, s.p.srv.cfg.DrainQuiet)
	}
	return s.p.srv.cfg.SessionIdle
}

// deliver is what the DatagramLink lets through.
func (o *outlet) deliver(d proxy.Direction, p []byte) {
	o.s.last.Store(o.s.p.now())
	if d == proxy.Upstreamward {
		o.send(p)
	} else {
		o.answer(p)
	}
}

// send sends a datagram to the Endpoint. It reports false if the session has ended. It does not block: what the kernel does
// not take is lost.
func (o *outlet) send(p []byte) bool {
	o.mu.Lock()
	o.out = p
	err := o.raw.Write(o.put)
	errno := o.errno
	o.out, o.errno = nil, nil
	o.mu.Unlock()
	switch {
	case err != nil: // closed, for another Endpoint or for good
		return o.again(p)
	case errno == nil:
		o.s.up.Add(int64(len(p)))
		o.s.route.metrics.Up.Add(uint64(len(p)))
		o.s.route.metrics.UpDatagrams.Add(1)
		return true
	case errors.Is(errno, syscall.ECONNREFUSED): // by what was sent before; this one has not been sent
		o.failed()
		o.leave()
		return o.again(p)
	case unreachable(errno): // it may be by the system itself, which refuses the next one, too
		o.failed()
		o.leave()
	}
	o.s.route.metrics.Drop(telemetry.DropQueue)
	return true
}

// again keeps a datagram that has not been sent for another way; one that came too late for that is lost. It reports false if the
// session has ended.
func (o *outlet) again(p []byte) bool {
	switch o.s.hold(p) {
	case sessionEnded:
		return false
	case notNeeded:
		o.s.route.metrics.Drop(telemetry.DropQueue)
	}
	return true
}

// write is called by the runtime's poller, once.
func (o *outlet) write(fd uintptr) bool {
	_, o.errno = nonblock.Write(int(fd), o.out)
	return true
}

// answer sends a datagram to the client, from the address that the client knows.
func (o *outlet) answer(p []byte) {
	s := o.s
	if _, _, err := s.p.conn.WriteMsgUDPAddrPort(p, s.reply, s.key.client); err != nil {
		return
	}
	s.down.Add(int64(len(p)))
	s.route.metrics.Down.Add(uint64(len(p)))
	s.route.metrics.DownDatagrams.Add(1)
}

// failed notes that nobody takes what is sent to the Endpoint.
func (o *outlet) failed() {
	o.endpoint.Failed()
	o.s.refused.Store(true)
}

// leave makes the session look for another Endpoint.
func (o *outlet) leave() {
	o.s.out.CompareAndSwap(o, nil)
	o.left.Store(true)
	o.wake()
}

// past is a deadline that has always passed.
var past = time.Unix(1, 0)

// wake makes read look at what has changed.
func (o *outlet) wake() { _ = o.conn.SetReadDeadline(past) }

// read passes on what the Endpoint answers until the session is silent for too long. It reports true if another Endpoint is to be
// tried.
func (o *outlet) read() (again bool) {
	s := o.s
	in := reader{o: o}
	readable := in.readable // bound once
	for {
		if o.link != nil && o.link.Busy() { // before silent: what is delivered meanwhile is not overlooked
			s.last.Store(s.p.now())
		}
		// The deadline comes first: whoever changes something and then wakes us is not overlooked.
		silent := time.Duration(s.p.now() - s.last.Load())
		limit := s.limit()
		_ = o.conn.SetReadDeadline(time.Now().Add(max(limit-silent, 0)))
		if limit = s.limit(); limit == 0 || silent >= limit {
			return false
		}
		if o.left.Load() {
			return true
		}
		err := o.raw.Read(readable)
		if err == nil {
			err = in.err
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case unreachable(err):
			o.failed()
			return true
		default:
			return false
		}
	}
}

// reader reads all that an Endpoint has sent, with a buffer that is borrowed only while there is something.
type reader struct {
	o   *outlet
	err error
}

var datagrams = sync.Pool{New: func() any { return new([maxDatagram]byte) }}

// readable is called by the runtime's poller: at once, and each time the descriptor may have become readable.
func (r *reader) readable(fd uintptr) bool {
	buf := datagrams.Get().(*[maxDatagram]byte)
	defer datagrams.Put(buf)
	o := r.o
	for {
		n, err := nonblock.Read(int(fd), buf[:])
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			r.err = err
			return true
		}
		o.s.last.Store(o.s.p.now())
		o.endpoint.Succeeded()
		o.s.refused.Store(false)
		if o.link != nil {
			o.link.Pass(proxy.Downstreamward, buf[:n])
		} else {
			o.answer(buf[:n])
		}
	}
}

// unreachable reports whether err is what ICMP makes of a datagram that nobody takes.
func unreachable(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		errors.Is(err, syscall.EPERM)
}

// fail ends an attempt that another one may follow. What acts on it stays until that is known.
func (o *outlet) fail(end telemetry.Outcome) {
	o.s.failed, o.chaos = o.chaos, nil
	o.close(end)
}

// close ends the attempt. It returns how many datagrams have been lost by that.
func (o *outlet) close(end telemetry.Outcome) (lost int64) {
	if o.link != nil {
		r := o.link.Close()
		if r.Err != nil {
			o.s.p.srv.cfg.Log.Error("session handling panicked", "error", r.Err)
		}
		lost = r.Withheld
	}
	if o.conn != nil {
		_ = o.conn.Close()
	}
	if o.chaos != nil {
		o.s.entry.AddExperiments(o.chaos.Experiments())
		o.chaos.Close(o.s.ending(o.s.refused.Load()))
	}
	o.endpoint.End()
	o.s.backend.Metrics().End(end)
	return lost
}
