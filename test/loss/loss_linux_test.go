package loss

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"os"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

var (
	matrix = flag.Bool("matrix", false, "compare the packet_loss toxic with real loss in all cases; takes minutes")
	quick  = flag.Bool("quick", false, "compare them in two cases")
)

type setting struct {
	rtt        time.Duration
	loss       float64
	congestion string
}

func (s setting) String() string { return fmt.Sprintf("%s %v %g%%", s.congestion, s.rtt, 100*s.loss) }

// seconds is how long one bulk answer takes about.
func (s setting) load(seconds float64) load {
	rate := 1448 / s.rtt.Seconds() * 1.22 / math.Sqrt(s.loss) // bytes per second
	message := s.rtt.Seconds() + 65536/rate
	return load{
		bulk: int64(rate * seconds), connections: 8,
		calls:    int(seconds / (s.rtt.Seconds() + s.loss*0.25)),
		messages: int(seconds / message),
	}
}

// TestTruth compares the toxic with real loss by the measures of the reference.
func TestTruth(t *testing.T) {
	var settings []setting
	seconds := 12.0
	switch {
	case *matrix:
		for _, congestion := range []string{"reno", "cubic"} {
			for _, rtt := range []time.Duration{20 * time.Millisecond, 80 * time.Millisecond} {
				for _, p := range []float64{0.005, 0.01, 0.03} {
					settings = append(settings, setting{rtt, p, congestion})
				}
			}
		}
	case *quick:
		seconds = 3
		settings = []setting{{20 * time.Millisecond, 0.03, "reno"}, {20 * time.Millisecond, 0.03, "cubic"}}
	default:
		t.Skip("asked for by -matrix or -quick: it takes time and depends on the machine's speed")
	}
	for _, s := range settings {
		t.Run(s.String(), func(t *testing.T) {
			l := s.load(seconds)
			truth, observed, err := measureTruth(s, l)
			if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) || errors.Is(err, errNoCongestion) {
				t.Skipf("no real loss to be had here: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			got, err := measureToxic(s, l)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, s, truth, got, observed)
		})
	}
}

func measureTruth(s setting, l load) (outcome, float64, error) {
	p, err := newPath(s.rtt/2, 7)
	if err != nil {
		return outcome{}, 0, err
	}
	defer p.Close()
	var listener net.Listener
	p.server.do(func() { listener, err = listen("10.99.0.2:0", s.congestion) })
	if err != nil {
		return outcome{}, 0, err
	}
	defer listener.Close()
	go serve(listener)
	dial := func() (c net.Conn, err error) {
		p.setLoss(0)
		p.client.do(func() { c, err = net.DialTimeout("tcp4", listener.Addr().String(), 5*time.Second) })
		return c, err
	}
	o, err := run(dial, l, func() { p.setLoss(s.loss) })
	return o, float64(p.dropped.Load()) / float64(max(p.tcp.Load(), 1)), err
}

func measureToxic(s setting, l load) (outcome, error) {
	listener, err := listen("127.0.0.1:0", s.congestion)
	if err != nil {
		return outcome{}, err
	}
	defer listener.Close()
	go serve(listener)
	proxy, err := relay(listener.Addr().String(), s.rtt/2, toxic.PacketLoss{
		Loss: toxic.Loss{Rate: shape.Const(s.loss)}, RTT: float64(s.rtt) / 1e6, Congestion: toxic.Congestion(s.congestion),
	})
	if err != nil {
		return outcome{}, err
	}
	defer proxy.Close()
	dial := func() (net.Conn, error) { return net.Dial("tcp4", proxy.Addr().String()) }
	return run(dial, l, func() {})
}

func compare(t *testing.T, s setting, truth, got outcome, observed float64) {
	t.Helper()
	slowTruth, modeTruth := slow(truth.calls, s.rtt)
	slowGot, modeGot := slow(got.calls, s.rtt)
	p50, p95 := percentile(truth.messages, 50), percentile(truth.messages, 95)
	g50, g95 := percentile(got.messages, 50), percentile(got.messages, 95)
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	t.Logf("| %s | %.2f%% | %.2f / %.2f = %.2f | %.2f%% / %.2f%% of %d | %d / %d | %d / %d = %.2f | %d / %d = %.2f | of %d",
		s, 100*observed, got.goodput, truth.goodput, got.goodput/truth.goodput,
		100*slowGot, 100*slowTruth, len(got.calls), ms(modeGot), ms(modeTruth),
		ms(g50), ms(p50), float64(g50)/float64(p50), ms(g95), ms(p95), float64(g95)/float64(p95), len(got.messages))
	if ratio := got.goodput / truth.goodput; ratio < 0.8 || ratio > 1.25 {
		t.Errorf("goodput %.2f Mbit/s, with real loss %.2f", got.goodput, truth.goodput)
	}
	sigma := math.Sqrt(s.loss * (1 - s.loss) * 2 / float64(len(got.calls)))
	if math.Abs(slowGot-slowTruth) > 3*sigma {
		t.Errorf("%.2f%% of calls are slow, with real loss %.2f%%; 3 sigma are %.2f%%", 100*slowGot, 100*slowTruth, 300*sigma)
	}
	if d := modeGot - modeTruth; d.Abs() > 15*time.Millisecond {
		t.Errorf("a lost packet delays by %v, with real loss by %v", modeGot, modeTruth)
	}
	for _, x := range []struct{ got, truth time.Duration }{{g50, p50}, {g95, p95}} {
		if ratio := float64(x.got) / float64(x.truth); ratio < 0.7 || ratio > 1.3 {
			t.Errorf("messages take %v, with real loss %v", x.got, x.truth)
		}
	}
}
