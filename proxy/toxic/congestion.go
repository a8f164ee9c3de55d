package toxic

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Congestion is the congestion control that packet_loss emulates.
type Congestion string

const (
	// Reno is NewReno (RFC 5681, RFC 6582).
	Reno Congestion = "reno"
	// Cubic is RFC 9438, the default of most systems, without HyStart. "" stands for it.
	Cubic Congestion = "cubic"
	// NoCongestion has no window: losses delay what they hit, and nothing else.
	NoCongestion Congestion = "none"
)

func (c Congestion) validate() error {
	switch c {
	case "", Reno, Cubic, NoCongestion:
		return nil
	}
	return fmt.Errorf("congestion: %q is not one of %s; others, such as bbr, are not emulated",
		string(c), strings.Join([]string{string(Reno), string(Cubic), string(NoCongestion)}, ", "))
}

const (
	initialWindow = 10 // segments; RFC 6928
	leastWindow   = 2
	maxWindow     = 4096 // segments; about the 6 MB to which Linux lets a receive buffer grow (net.ipv4.tcp_rmem)
)

// window is a congestion window in segments. It is a value.
type window struct {
	kind     Congestion
	cwnd     float64
	ssthresh float64

	// Of Cubic.
	lastMax    float64       // the window before the latest loss
	origin     float64       // where the curve is flat
	reach      time.Duration // from epoch until the curve reaches origin (K)
	epoch      time.Duration
	inEpoch    bool
	asReno     float64 // the window that Reno would have (W_est)
	minimalRTT time.Duration
}

func newWindow(c Congestion, rtt time.Duration) window {
	w := window{kind: c, cwnd: initialWindow, ssthresh: math.Inf(1), minimalRTT: rtt}
	switch c {
	case "":
		w.kind = Cubic
	case NoCongestion:
		w.cwnd = math.Inf(1)
	}
	return w
}

// beta is the share of the window that a loss leaves.
func (w *window) beta() float64 {
	if w.kind == Reno {
		return 0.5
	}
	return 0.7
}

// reduce notes a loss and returns the new slow start threshold.
func (w *window) reduce() float64 {
	w.inEpoch = false
	if w.cwnd < w.lastMax { // fast convergence, RFC 9438 section 4.7
		w.lastMax = w.cwnd * (1 + w.beta()) / 2
	} else {
		w.lastMax = w.cwnd
	}
	w.ssthresh = max(w.cwnd*w.beta(), leastWindow)
	return w.ssthresh
}

// grow notes the acknowledgement of one segment.
func (w *window) grow(now time.Duration) {
	switch {
	case w.kind == NoCongestion:
		return
	case w.cwnd < w.ssthresh:
		w.cwnd++
	case w.kind == Reno:
		w.cwnd += 1 / w.cwnd
	default:
		w.growCubic(now)
	}
	w.cwnd = min(w.cwnd, maxWindow)
}

// growCubic is RFC 9438 section 4: the greater of the cubic curve and of what Reno would have.
func (w *window) growCubic(now time.Duration) {
	const c = 0.4
	if !w.inEpoch {
		w.inEpoch, w.epoch, w.asReno = true, now, w.cwnd
		w.origin, w.reach = w.cwnd, 0
		if w.cwnd < w.lastMax {
			w.origin = w.lastMax
			w.reach = time.Duration(math.Cbrt((w.lastMax-w.cwnd)/c) * float64(time.Second))
		}
	}
	t := (now - w.epoch + w.minimalRTT - w.reach).Seconds()
	target := w.origin + c*t*t*t
	perAck := 0.01 / w.cwnd // as Linux, when the curve is below
	if target > w.cwnd {
		perAck = min((target-w.cwnd)/w.cwnd, 0.5)
	}
	alpha := 3 * (1 - w.beta()) / (1 + w.beta())
	w.asReno += alpha / w.cwnd
	if w.asReno > w.cwnd+perAck {
		w.cwnd = w.asReno
		return
	}
	w.cwnd += perAck
}

// restart shrinks the window of a sender that has been silent for idle (RFC 5681 section 4.1): as Linux, by half once per RTO,
// not below the initial window.
func (w *window) restart(idle, rto time.Duration) {
	if w.kind == NoCongestion || idle <= rto {
		return
	}
	w.ssthresh = max(w.ssthresh, w.cwnd*3/4)
	for floor := min(w.cwnd, initialWindow); idle > rto && w.cwnd > floor; idle -= rto {
		w.cwnd = max(w.cwnd/2, floor)
	}
	w.inEpoch = false
}
