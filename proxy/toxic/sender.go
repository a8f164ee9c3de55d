package toxic

import (
	"math"
	"slices"
	"time"
)

// sender is a simulated TCP sender at whose far end packets get lost: a simulation by events in the time of the stream.
// It knows segments by number only. Loss is recovered as Linux does with SACK: RACK and tail loss probes (RFC 8985),
// retransmission timeouts (RFC 6298), proportional rate reduction (RFC 6937). The round trip time is constant, therefore
// acknowledgements come in the order of sending, and timeouts are rtt + rtoMin, to the precision of Linux's timers.
//
// A segment's number is taken in the order of push. What has been sent cannot be changed by what is pushed later, but the
// recovery of what was lost can. So push takes the simulation just to the sending of the last segment, and settle runs a copy
// of it on, as if no more came, to learn when the segments sent last arrive.
type sender struct {
	rtt, rto, rtoMin time.Duration
	jiffy, phase     time.Duration // precision of timers, 0 for any, and when they tick
	began            time.Duration // of the toxic, on the stream's clock
	window           window
	loss             lossProcess
	now              time.Duration

	first     int64  // the first segment that is not acknowledged
	acked     []bool // first and those after it that were sent: acknowledged selectively
	selective int    // how many of them are
	flight    []transmission
	silent    []transmission // lost; acknowledgements of what was sent later have not told yet
	again     []int64        // known to be lost and not sent again yet, in order of sending
	pipe      int            // transmissions in flight or silent

	state             state
	until             int64 // the state ends when all segments before it are acknowledged
	reduction         reduction
	probed            int64 // a probe has been sent; none again before all segments before this one are acknowledged
	isLimited         bool  // the window, not the want of data, has held back sending in this round
	most              int   // segments outstanding in this round
	round             int64 // the round ends when all segments before it are acknowledged
	lastSent          time.Duration
	timeouts          uint // in a row
	rtoAt, ptoAt, reo time.Duration
	isDead            bool // the connection would have been given up

	base int64 // arrivals[0] is that of this segment
	// arrivals says when each segment reaches the receiver, less one way's delay; Never if not known.
	arrivals []time.Duration
	missing  int // segments that have not arrived, from base on
}

type transmission struct {
	segment int64
	at      time.Duration
	isLost  bool
	isProbe bool
}

// state is that of congestion control (RFC 5681, in Linux's words).
type state uint8

const (
	open state = iota
	recovery
	timedOut
)

// reduction is the state of proportional rate reduction, RFC 6937.
type reduction struct {
	prior, target   float64
	delivered, sent float64
}

const (
	maxTimeouts = 15 // net.ipv4.tcp_retries2
	maxRTO      = 120 * time.Second
	duplicates  = 3 // segments acknowledged after a lost one that tell of its loss at once
)

func newSender(p PacketLoss, s Site) *sender {
	const jiffy = time.Second / 250 // CONFIG_HZ of many a distribution
	path := p.path(s)
	return &sender{
		rtt: path.rtt, rto: path.rtt + path.rtoMin, rtoMin: path.rtoMin, began: s.Began,
		jiffy: jiffy, phase: time.Duration(s.Rand.Int64N(int64(64 * jiffy))),
		window: newWindow(p.Congestion, path.rtt), loss: newLossProcess(p.Loss, s.Rand),
		rtoAt: Never, ptoAt: Never, reo: Never,
	}
}

// next is the number of the segment that is pushed next.
func (s *sender) next() int64 { return s.first + int64(len(s.acked)) }

// push sends n segments that the application wrote at a time. It forgets the arrivals of those before.
func (s *sender) push(n int, at time.Duration) {
	s.base, s.arrivals, s.missing = s.next(), s.arrivals[:0], 0
	for !s.isDead && s.event() <= at {
		s.step()
	}
	s.now = max(s.now, at)
	if len(s.acked) == 0 && s.lastSent > 0 {
		s.window.restart(s.now-s.lastSent, s.rto)
	}
	for range n {
		s.arrivals = append(s.arrivals, Never)
		s.missing++
		for !s.isDead && !s.maySend() {
			s.isLimited = true
			s.step()
		}
		if s.isDead {
			continue
		}
		s.acked = append(s.acked, false)
		s.sendNew()
	}
}

// settle returns when the segments pushed last arrive if nothing is pushed any more; Never for those that never do.
func (s *sender) settle() []time.Duration {
	if s.missing == 0 || s.isDead {
		return s.arrivals
	}
	c := *s
	c.acked, c.flight, c.silent = slices.Clone(s.acked), slices.Clone(s.flight), slices.Clone(s.silent)
	c.again, c.arrivals = slices.Clone(s.again), slices.Clone(s.arrivals)
	for c.missing > 0 && !c.isDead {
		c.step()
	}
	return c.arrivals
}

func (s *sender) maySend() bool { return float64(s.pipe+1) <= s.window.cwnd && len(s.again) == 0 }

func (s *sender) sendNew() {
	s.lastSent = s.now
	s.transmit(s.next()-1, false)
	if len(s.acked) == 1 {
		s.rtoAt = s.timer(s.rto)
	}
	s.most = max(s.most, len(s.acked))
	s.armProbe()
}

// transmit sends a segment, for the first time or again.
func (s *sender) transmit(segment int64, isProbe bool) {
	isLost := s.loss.next(s.now - s.began)
	s.flight = append(s.flight, transmission{segment, s.now, isLost, isProbe})
	s.pipe++
	s.reduction.sent++
	if i := segment - s.base; !isLost && i >= 0 && s.arrivals[i] == Never {
		s.arrivals[i] = s.now
		s.missing--
	}
}

// event is the time of the next event.
func (s *sender) event() time.Duration {
	at := min(s.rtoAt, s.ptoAt, s.reo)
	if len(s.flight) > 0 {
		at = min(at, after(s.flight[0].at, s.rtt))
	}
	return at
}

// step lets the next event happen.
func (s *sender) step() {
	at := s.event()
	if at == Never {
		s.isDead = true
		return
	}
	s.now = max(s.now, at)
	switch {
	case len(s.flight) > 0 && at == after(s.flight[0].at, s.rtt):
		t := s.flight[0]
		s.flight = s.flight[1:]
		if t.isLost {
			s.silent = append(s.silent, t)
			return
		}
		s.acknowledge(t)
	case at == s.reo:
		s.noteLosses()
		s.reduceRate(0, false)
	case at == s.ptoAt:
		s.ptoAt = Never
		s.probed = s.next()
		s.transmit(s.next()-1, true)
		s.rtoAt = s.timer(s.rto)
	default:
		s.timeout()
	}
	s.resend()
}

// acknowledge handles the acknowledgement of what has arrived.
func (s *sender) acknowledge(t transmission) {
	s.pipe--
	newly := 0
	if i := t.segment - s.first; i >= 0 && !s.acked[i] {
		s.acked[i] = true
		s.selective++
		newly = 1
	}
	isAdvance := s.advance()
	if len(s.silent) > 0 {
		s.detect()
	}
	if isAdvance && s.first >= s.until && s.state != open {
		if s.state == recovery && s.window.kind != NoCongestion {
			s.window.cwnd = s.window.ssthresh
		}
		s.state = open
	}
	switch {
	case s.state == recovery:
		s.reduceRate(newly, isAdvance)
	case t.isProbe && newly == 1 && s.first >= s.probed: // RFC 8985 section 7.4: the probe has repaired a loss
		s.window.cwnd = s.lessWindow()
	case newly == 1 && s.growing():
		s.window.grow(s.now)
	}
	if isAdvance {
		s.timeouts = 0
		s.rtoAt = Never
		if len(s.acked) > 0 {
			s.rtoAt = s.timer(s.rto)
		}
	}
	s.ptoAt = Never
	s.armProbe()
	if s.first >= s.round {
		s.round, s.most, s.isLimited = s.next(), len(s.acked), false
	}
}

// advance forgets the segments at the front that are acknowledged, and tells whether there were any.
func (s *sender) advance() bool {
	n := 0
	for n < len(s.acked) && s.acked[n] {
		n++
	}
	s.acked = s.acked[n:]
	s.first += int64(n)
	s.selective -= n
	return n > 0
}

// growing tells whether the sender uses its window, without which it must not grow (RFC 7661; Linux's tcp_is_cwnd_limited).
func (s *sender) growing() bool {
	return s.isLimited || s.window.cwnd < s.window.ssthresh && s.window.cwnd < float64(2*s.most)
}

// detect decides whether what is silent is lost (RFC 8985 section 6): at once if enough has been acknowledged that was sent
// later, or if losses are being recovered from anyway, otherwise a quarter of a round trip late.
func (s *sender) detect() {
	patience := after(s.silent[0].at, s.rtt+s.rtt/4)
	if s.state != open || s.selective >= duplicates || s.now >= patience {
		s.noteLosses()
		return
	}
	s.reo = s.timer(patience - s.now)
}

// noteLosses takes all that is silent as lost.
func (s *sender) noteLosses() {
	s.reo = Never
	isLoss := false
	for _, t := range s.silent {
		s.pipe--
		if i := t.segment - s.first; i >= 0 && !s.acked[i] && !slices.Contains(s.again, t.segment) {
			s.again = append(s.again, t.segment)
			isLoss = true
		}
	}
	s.silent = s.silent[:0]
	if !isLoss || s.state != open {
		return
	}
	s.ptoAt = Never
	s.reduction = reduction{prior: s.window.cwnd, target: s.lessWindow()}
	s.state, s.until = recovery, s.next()
}

// lessWindow notes a loss in the window and returns the window to have after it.
func (s *sender) lessWindow() float64 {
	target := s.window.reduce()
	if s.window.kind == NoCongestion {
		return s.window.cwnd
	}
	return target
}

// reduceRate sets the window while losses are recovered from: proportional rate reduction, RFC 6937, with slow start as its
// bound.
func (s *sender) reduceRate(newly int, isAdvance bool) {
	if s.state != recovery || s.window.kind == NoCongestion {
		return
	}
	r := &s.reduction
	r.delivered += float64(newly)
	room := r.target - float64(s.pipe)
	var send float64
	if room < 0 {
		send = math.Ceil(r.target*r.delivered/r.prior) - r.sent
	} else {
		send = max(r.delivered-r.sent, float64(newly))
		if isAdvance {
			send++
		}
		send = min(send, room)
	}
	if r.sent == 0 {
		send = max(send, 1)
	}
	s.window.cwnd = float64(s.pipe) + max(send, 0)
}

// timeout is that of retransmission, RFC 6298 section 5.
func (s *sender) timeout() {
	if s.timeouts++; s.timeouts > maxTimeouts {
		s.isDead = true
		return
	}
	reduced := s.state != open
	s.state, s.until = timedOut, s.next() // before the losses are noted: this is no recovery
	s.noteLosses()
	if !reduced {
		s.lessWindow()
	}
	if s.window.kind != NoCongestion {
		s.window.cwnd = float64(s.pipe + 1)
	}
	s.ptoAt = Never
	s.rtoAt = s.timer(s.backedOff())
}

func (s *sender) backedOff() time.Duration { return min(s.rto<<s.timeouts, max(maxRTO, s.rto)) }

// resend sends again what is lost, as far as the window lets it.
func (s *sender) resend() {
	for len(s.again) > 0 && float64(s.pipe+1) <= s.window.cwnd {
		segment := s.again[0]
		s.again = s.again[1:]
		if segment < s.first || s.acked[segment-s.first] {
			continue
		}
		s.transmit(segment, false)
		if segment == s.first {
			s.rtoAt = s.timer(s.backedOff())
		}
	}
}

// timer returns when a timer set for a time from now fires. Linux's wheel has coarser ticks for longer times: of 8 jiffies from
// 63 jiffies on, of 64 from 504 on, and so forth, up to an eighth late; a tick that has begun does not count.
func (s *sender) timer(d time.Duration) time.Duration {
	at := after(s.now, d)
	if at == Never || s.jiffy == 0 {
		return at
	}
	tick := s.jiffy
	for d >= 63*tick && tick < 64*64*s.jiffy {
		tick *= 8
	}
	return (at+s.phase)/tick*tick + tick - s.phase
}

// armProbe schedules a tail loss probe, RFC 8985 section 7.2.
func (s *sender) armProbe() {
	if s.state != open || s.selective > 0 || len(s.acked) == 0 || s.first < s.probed {
		return
	}
	wait := 2 * s.rtt
	if len(s.acked) == 1 {
		wait += s.rtoMin // the receiver may delay its acknowledgement
	}
	s.ptoAt = min(s.timer(wait), s.rtoAt)
}
