package loss

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
	"github.com/breakwater-gateway/breakwater/proxy/toxic"
)

var (
	matrix = flag.Bool("matrix", false, "compare the packet_loss toxic with real loss in all cases; takes minutes")
	length = flag.Float64("seconds", 12, "how long each part of a case takes about, with -matrix")
	quick  = flag.Bool("quick", false, "compare them in one case")
)

type setting struct {
	rtt        time.Duration
	loss       float64
	congestion string
}

func (s setting) String() string { return fmt.Sprintf("%s %v %g%%", s.congestion, s.rtt, 100*s.loss) }

// load returns a load each part of which takes about so many seconds.
func (s setting) load(seconds float64) load {
	rate := 1448 / s.rtt.Seconds() * 1.22 / math.Sqrt(s.loss) // bytes per second
	message := s.rtt.Seconds() + 65536/rate
	// Luck in slow start and the number of losses decide about one transfer: there are several, and longer ones where losses are rare.
	// So there are more messages, too: the slowest twentieth must not be a handful.
	long := max(1, s.rtt.Seconds()/0.03)
	return load{
		bulk: int64(rate * seconds * long), streams: min(max(int(4e6/rate), 3), 12), connections: min(max(int(3e6/rate), 3), 8),
		calls:    int(seconds / (s.rtt.Seconds() + s.loss*0.25)),
		messages: int(seconds * long / message),
	}
}

// TestTruth compares the toxic with real loss by the measures of the reference.
func TestTruth(t *testing.T) {
	var settings []setting
	seconds := *length
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
		seconds = 4
		settings = []setting{{20 * time.Millisecond, 0.03, "cubic"}}
	default:
		t.Skip("asked for by -matrix or -quick: it takes time and depends on the machine's speed")
	}
	for _, s := range settings {
		t.Run(s.String(), func(t *testing.T) {
			l := s.load(seconds)
			truth, rtt, observed, err := measureTruth(s, l)
			if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) || errors.Is(err, errNoCongestion) {
				t.Skipf("no real loss to be had here: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			got, err := measureToxic(s, rtt, l)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("round trips in ms: %v", rtt)
			compare(t, s, truth, got, observed)
		})
	}
}

// TestDialTruth holds DialDelay's seconds against the kernel's: a connection whose SYN-ACK is lost takes whole seconds longer.
func TestDialTruth(t *testing.T) {
	if !*matrix && !*quick {
		t.Skip("asked for by -matrix or -quick")
	}
	const dials, loss = 100, 0.3
	p, err := newPath(5*time.Millisecond, 8)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		t.Skipf("no real loss to be had here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var listener net.Listener
	p.server.do(func() { listener, err = listen("10.99.0.2:0", "reno") })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go serve(listener, func(net.Conn) {})
	p.setLoss(loss)
	took := make(chan time.Duration, dials)
	for range dials {
		go dialRaw(p.client, listener.Addr().(*net.TCPAddr).Port, took)
	}
	slow := 0
	for range dials {
		d := <-took
		if d == 0 {
			t.Fatal("a dial has failed")
		}
		seconds := (d - 10*time.Millisecond).Seconds()
		if whole := math.Round(seconds); math.Abs(seconds-whole) > 0.1+0.03*whole {
			t.Errorf("a dial took %v: not near a whole second", d)
		}
		if seconds > 0.5 {
			slow++
		}
	}
	t.Logf("%d of %d dials at least a second late", slow, dials)
	if math.Abs(float64(slow)-loss*dials) > 3*math.Sqrt(loss*(1-loss)*dials) {
		t.Errorf("%d of %d dials slow at a loss of %v", slow, dials, loss)
	}
}

// dialRaw connects a socket that is made inside the namespace and reports how long that took, 0 for a failure.
func dialRaw(n *namespace, port int, took chan<- time.Duration) {
	var fd int
	var err error
	n.do(func() { fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		took <- 0
		return
	}
	defer func() { _ = unix.Close(fd) }()
	began := time.Now()
	if unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: serverAddress}) != nil {
		took <- 0
		return
	}
	took <- time.Since(began)
}

// trips are the round trip times that the server's kernel has measured in each part of a load.
type trips struct {
	now atomic.Int32 // the part
	mu  sync.Mutex   // guards all
	all [parts][]time.Duration
}

func (t *trips) note(c net.Conn) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		i := t.now.Load()
		t.all[i] = append(t.all[i], time.Duration(info.Rtt)*time.Microsecond)
	})
}

func (t *trips) median() (m [parts]time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, all := range t.all {
		slices.Sort(all)
		m[i] = percentile(all, 50)
	}
	return m
}

// measureTruth returns the round trip times of the path, too, which the timers of a busy machine make longer than they should be.
func measureTruth(s setting, l load) (o outcome, rtt [parts]time.Duration, observed float64, err error) {
	p, err := newPath(s.rtt/2, 7)
	if err != nil {
		return o, rtt, 0, err
	}
	defer p.Close()
	var listener net.Listener
	p.server.do(func() { listener, err = listen("10.99.0.2:0", s.congestion) })
	if err != nil {
		return o, rtt, 0, err
	}
	defer func() { _ = listener.Close() }()
	var t trips
	go serve(listener, t.note)
	dial := func(part part) (c net.Conn, err error) {
		t.now.Store(int32(part))
		p.setLoss(0)
		p.client.do(func() { c, err = net.DialTimeout("tcp4", listener.Addr().String(), 5*time.Second) })
		return c, err
	}
	o, err = run(dial, l, func() { p.setLoss(s.loss) })
	if err == nil {
		rtt = t.median()
	}
	return o, rtt, float64(p.dropped.Load()) / float64(max(p.tcp.Load(), 1)), err
}

func measureToxic(s setting, rtt [parts]time.Duration, l load) (outcome, error) {
	listener, err := listen("127.0.0.1:0", s.congestion)
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = listener.Close() }()
	go serve(listener, func(net.Conn) {})
	var proxies [parts]net.Listener
	for i := range proxies {
		if proxies[i], err = relay(listener.Addr().String(), rtt[i]/2, toxic.PacketLoss{
			Loss: toxic.Loss{Rate: shape.Const(s.loss)}, RTT: shape.Const(float64(rtt[i]) / 1e6), Congestion: toxic.Congestion(s.congestion),
		}); err != nil {
			return outcome{}, err
		}
		defer func() { _ = proxies[i].Close() }()
	}
	dial := func(p part) (net.Conn, error) { return net.Dial("tcp4", proxies[p].Addr().String()) }
	return run(dial, l, func() {})
}

func compare(t *testing.T, s setting, truth, got outcome, observed float64) {
	t.Helper()
	slowTruth, modeTruth := slow(truth.calls, s.rtt)
	slowGot, modeGot := slow(got.calls, s.rtt)
	p50, p95 := percentile(truth.messages, 50), percentile(truth.messages, 95)
	g50, g95 := percentile(got.messages, 50), percentile(got.messages, 95)
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	t.Logf("| %s | %.2f%% | %.2f / %.2f = %.2f | %.2f%% / %.2f%% of %d | %d / %d | %d / %d = %.2f | %d / %d = %.2f | of %d; left out %d, %d",
		s, 100*observed, got.goodput, truth.goodput, got.goodput/truth.goodput,
		100*slowGot, 100*slowTruth, len(got.calls), ms(modeGot), ms(modeTruth),
		ms(g50), ms(p50), float64(g50)/float64(p50), ms(g95), ms(p95), float64(g95)/float64(p95), len(got.messages), got.left, truth.left)
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
	if !*matrix {
		g95 = p95 // too few
	}
	for _, x := range []struct{ got, truth time.Duration }{{g50, p50}, {g95, p95}} {
		if ratio := float64(x.got) / float64(x.truth); ratio < 0.7 || ratio > 1.3 {
			t.Errorf("messages take %v, with real loss %v", x.got, x.truth)
		}
	}
}
