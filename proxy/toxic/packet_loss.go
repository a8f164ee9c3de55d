package toxic

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// PacketLoss gives a stream of bytes the delays that it would have if a share of its packets were lost. Not a byte is dropped:
// like TCP above a network that loses packets, it delivers all of them in order, late.
//
// It runs the sender of a TCP connection (see sender) in simulated time. Bytes are cut into segments; at most a congestion
// window of them is under way per round trip; those that are lost are sent again after a round trip if later ones tell of the
// loss, otherwise after a probe's or a retransmission's timeout; and what follows waits. An orderly end is a segment too.
// Segments have no delay of their own: add a latency for the way, half of RTT in each direction.
//
// Emulated, after Linux: slow start, Reno or Cubic, SACK, RACK and tail loss probes, timeouts and their doubling, the coarseness of
// timers (of 250 ticks per second), restart after idleness, the loss of SYNs (DialDelay). Not emulated: any other congestion control (BBR in particular takes little notice of losses);
// HyStart; a bottleneck and its queue (add a bandwidth); losses of pure acknowledgements; delayed acknowledgements; ECN; path
// MTU; a receive window below 6 MB; what the kernel's counters (ss -ti) say; loss of the client's own SYNs, which come to the
// kernel first. Whether more data follow within a round trip cannot be known when bytes are passed on, so that the last segment
// of what has arrived at one time is taken for the last of its flight: if it is lost it comes up to a round trip, or, should
// nothing else be under way, up to a timeout late, where data that follow would have told of its loss sooner. Above 15 timeouts
// in a row the connection would have been given up: bytes are then withheld until the toxic is removed.
type PacketLoss struct {
	Loss Loss
	// RTT is the round trip time of the path that is emulated, in milliseconds, above 0 to 60000; required. Like MSS and RTOMin it
	// is what it is at the beginning of the connection, and stays so for the connection's life.
	RTT shape.Value
	// MSS is the payload of a segment in bytes, 88 to 65535, rounded; 0 for ever stands for 1448 (Ethernet, IPv4, timestamps).
	MSS shape.Value
	// RTOMin is what a retransmission timeout is above RTT, in milliseconds, 1 to 60000; 0 for ever stands for 200, which is Linux's
	// floor.
	RTOMin shape.Value
	// Congestion is the congestion control emulated; "" stands for Cubic.
	Congestion Congestion
	// Steady replaces the window by its mean: a rate of MSS/RTT·1.22/√loss (Mathis et al., "The macroscopic behavior of the TCP
	// congestion avoidance algorithm", 1997), and by chance a stall after pauses. It is cheaper and smooth. Of Loss it looks at Rate
	// alone, but for the opening of connections.
	Steady bool
}

var _ Stream = PacketLoss{}

// Type implements proxy.Toxic.
func (PacketLoss) Type() string { return "packet_loss" }

// Validate implements Stream.
func (p PacketLoss) Validate() error {
	switch {
	case p.RTT == shape.Value{}:
		return errors.New("rtt: it is required: above 0, up to 60000 ms")
	case !(p.RTT.Min() > 0 && p.RTT.Max() <= 60000):
		return fmt.Errorf("rtt: %v to %v ms is not above 0, up to 60000 ms", p.RTT.Min(), p.RTT.Max())
	case p.Steady && p.Congestion == NoCongestion:
		return errors.New("steady: needs a congestion control, whose mean rate it is")
	}
	if err := within("rtt", p.RTT, 0, 60000); err != nil {
		return err
	}
	if err := withinOr0("mss", p.MSS, 88, 65535); err != nil {
		return err
	}
	if err := withinOr0("rto_min", p.RTOMin, 1, 60000); err != nil {
		return err
	}
	if err := p.Congestion.validate(); err != nil {
		return err
	}
	return p.Loss.Validate()
}

// New implements Stream.
func (p PacketLoss) New(s Site) Shaper {
	if p.Steady {
		return &steadyLoss{loss: p.Loss, path: p.path(s), began: s.Began, rand: s.Rand}
	}
	return &segmenter{mss: p.path(s).mss, sender: newSender(p, s)}
}

// fields knows the share that is lost by the name that it has in the main branch of Toxiproxy, too; given both, loss counts.
func (p *PacketLoss) fields() []Field {
	all := append([]Field{{"loss_rate", alias{&p.Loss.Rate}, unitless}}, p.Loss.fields()...)
	return append(all,
		Field{"rtt", option{&p.RTT}, inMilliseconds}, Field{"mss", whole{&p.MSS}, inBytes}, Field{"rto_min", option{&p.RTOMin}, inMilliseconds},
		Field{"congestion", (*string)(&p.Congestion), unitless}, Field{"steady", &p.Steady, unitless},
	)
}

// DialDelay returns how long a dial takes longer because its SYNs, in one direction, are lost, at a time since the toxic came
// into force. Linux since 6.5 sends them anew after 1 s, five times, then after 2, 4, 8, 16 and 32 s
// (net.ipv4.tcp_syn_linear_timeouts and tcp_syn_retries); if all are lost isDead is true: the dial fails after delay. For a
// toxic in the other direction, which acts on SYN-ACKs, it holds too, as those have the same timeouts.
func (p PacketLoss) DialDelay(r *rand.Rand, at time.Duration) (delay time.Duration, isDead bool) {
	const (
		linear      = 4
		exponential = 6
	)
	process := newLossProcess(p.Loss, r)
	timeout := time.Second
	for lost := 0; process.next(at + delay); lost++ {
		delay += timeout
		if lost >= linear {
			timeout *= 2
		}
		if lost == linear+exponential {
			return delay, true
		}
	}
	return delay, false
}

// path is what a connection's path is like for its whole life.
type path struct {
	rtt, rtoMin time.Duration
	mss         int // bytes
}

// path is that of a connection that begins at time 0 of its clock, or of one that is older than the toxic: then as of the toxic's
// beginning.
func (p PacketLoss) path(s Site) path {
	at := -s.Began
	of := path{milliseconds(p.RTT.At(at)), 200 * time.Millisecond, 1448}
	if p.RTOMin != (shape.Value{}) {
		of.rtoMin = milliseconds(p.RTOMin.At(at))
	}
	if p.MSS != (shape.Value{}) {
		of.mss = int(p.MSS.Whole(at))
	}
	return of
}

// segmenter cuts a stream into segments and gives them the dues that a sender says.
type segmenter struct {
	mss    int
	sender *sender

	room    int           // bytes that the latest segment could still take
	roomDue time.Duration // its due
	order   InOrder
}

var (
	_ Bounded = (*segmenter)(nil)
	_ Heir    = (*segmenter)(nil)
)

// Bound implements Bounded: about the send buffer to which Linux lets a sender grow (net.ipv4.tcp_wmem).
func (g *segmenter) Bound() int { return 4 << 20 }

// Inherit implements Heir: the congestion window outlives a change of parameters.
func (g *segmenter) Inherit(old Shaper, _ int) {
	if o, ok := old.(*segmenter); ok && o.sender.window.kind == g.sender.window.kind {
		g.sender.window.cwnd, g.sender.window.ssthresh = o.sender.window.cwnd, o.sender.window.ssthresh
	}
}

// Shape implements Shaper.
func (g *segmenter) Shape(c Chunk, emit func(Chunk)) {
	if c.Due == Never || len(c.Data) == 0 && c.End != FIN {
		emit(c)
		return
	}
	c = g.join(c, emit)
	n := (len(c.Data) + g.mss - 1) / g.mss
	switch {
	case n > 0:
	case c.End == FIN && !c.Open:
		n = 1
	default:
		if c.End != None {
			emit(c)
		}
		return
	}
	if len(c.Data) == 0 && g.sender.next() > 0 && c.Due <= g.sender.lastSent {
		emit(Chunk{Due: g.roomDue, End: FIN, Injected: c.Injected}) // it goes with the last bytes, which had not been sent before
		return
	}
	g.sender.push(n, c.Due)
	dues := g.sender.settle()
	for start := 0; start < n; {
		due := g.order.Due(dues[start])
		end := start + 1
		for end < n && g.order.Due(dues[end]) == due {
			end++
		}
		piece := Chunk{Data: c.Data[min(start*g.mss, len(c.Data)):min(end*g.mss, len(c.Data))], Due: due}
		if end == n {
			piece.End, piece.Injected = c.End, c.Injected
			g.room, g.roomDue = n*g.mss-len(c.Data), due
		}
		emit(piece)
		start = end
	}
}

// join lets the first bytes of c go with the latest segment, if that had not been sent when they came.
func (g *segmenter) join(c Chunk, emit func(Chunk)) Chunk {
	if g.room == 0 || len(c.Data) == 0 || c.Due >= g.sender.lastSent {
		return c
	}
	n := min(g.room, len(c.Data))
	g.room -= n
	piece := Chunk{Data: c.Data[:n], Due: g.roomDue}
	c.Data = c.Data[n:]
	if len(c.Data) == 0 && c.End != None { // a FIN goes with the last bytes
		piece.End, piece.Injected, c.End = c.End, c.Injected, None
	}
	emit(piece)
	return c
}

// steadyLoss is PacketLoss.Steady: a pace, and stalls.
type steadyLoss struct {
	path
	loss  Loss
	began time.Duration
	rand  *rand.Rand
	busy  time.Duration // until when what came before is being sent
}

// Shape implements Shaper.
func (s *steadyLoss) Shape(c Chunk, emit func(Chunk)) {
	n := (len(c.Data) + s.mss - 1) / s.mss
	if n == 0 && c.End == FIN && !c.Open {
		n = 1
	}
	if n == 0 || c.Due == Never {
		emit(c)
		return
	}
	loss := s.loss.Rate.At(c.Due - s.began)
	due := c.Due
	if s.busy <= due && s.rand.Float64() < 1-math.Pow(1-loss, float64(n)) {
		due = after(due, s.stall(n))
	}
	due = max(due, s.busy)
	perByte := float64(s.rtt) / float64(s.mss) * math.Sqrt(loss) / 1.22
	step := max(s.mss, len(c.Data)/64)
	for len(c.Data) > step {
		emit(Chunk{Data: c.Data[:step], Due: due})
		c.Data = c.Data[step:]
		due = after(due, time.Duration(perByte*float64(step)))
	}
	c.Due = due
	s.busy = after(due, time.Duration(perByte*float64(len(c.Data))))
	emit(c)
}

// stall is what the loss of one of n segments costs after a pause: a round trip if later ones tell of it, otherwise a timeout.
func (s *steadyLoss) stall(n int) time.Duration {
	switch {
	case n == 1:
		return s.rtt + s.rtoMin
	case s.rand.IntN(n) == 0:
		return 2 * s.rtt
	}
	return s.rtt
}
