package toxic

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

const milli = time.Millisecond

func lossy(p float64) Loss { return Loss{Rate: shape.Const(p)} }

// until loses everything before a time since the beginning and nothing after it.
func until(t time.Duration) Loss {
	return Loss{Rate: shape.Value{Base: 1, Wave: shape.Step, Period: t}}
}

func site(seed uint64) Site { return Site{Rand: rand.New(rand.NewPCG(seed, 2))} }

// exact makes the running form of p with timers that are exact.
func exact(p PacketLoss, s Site) *segmenter {
	g := p.New(s).(*segmenter)
	g.sender.jiffy = 0
	return g
}

// dues gives data of a size to s at a time and returns when the bytes are due, with how many there are.
func dues(s Shaper, size int, at time.Duration) (all []Chunk) {
	s.Shape(Chunk{Data: make([]byte, size), Due: at}, func(c Chunk) { all = append(all, c) })
	return all
}

func lastDue(s Shaper, size int, at time.Duration) time.Duration {
	all := dues(s, size, at)
	return all[len(all)-1].Due
}

func TestLossDelays(t *testing.T) {
	for _, c := range []struct {
		name string
		loss Loss
		size int
		want time.Duration // until the last byte is due
	}{
		{"nothing lost", lossy(0), 200, 0},
		{"a probe at the time of a timeout", until(100 * milli), 200, 220 * milli},
		{"then a timeout", until(300 * milli), 200, 440 * milli},
		{"then twice as long", until(500 * milli), 200, 880 * milli},
		{"then four times", until(1000 * milli), 200, 1760 * milli},
		{"a flight of two: probe, then what the probe tells of", until(30 * milli), 2000, 60 * milli},
		{"a whole window: probe, then one, two, four and the rest", until(30 * milli), 14480, 120 * milli},
		{"a window and its probe: timeout, then one, two, four", until(50 * milli), 14480, 320 * milli},
		{"a long outage", until(500 * time.Second), 200, 0},
		{"given up", until(2000 * time.Second), 200, Never},
		{"window of 10, doubled each round trip", lossy(0), 10 * 1448, 0},
		{"30 segments take two windows", lossy(0), 30 * 1448, 20 * milli},
		{"31 take three", lossy(0), 31 * 1448, 40 * milli},
		{"for ever", lossy(1), 200, Never},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := exact(PacketLoss{Loss: c.loss, RTT: shape.Const(20), Congestion: Reno}, site(1))
			if got := lastDue(s, c.size, 0); got != c.want && (c.want != 0 || got < 500*time.Second || got > 620*time.Second) {
				t.Errorf("due after %v, want %v", got, c.want)
			}
		})
	}
}

// Three segments that follow tell of a loss at once; the lost one comes a round trip after the first of them was sent.
func TestFastRetransmission(t *testing.T) {
	for _, c := range []struct {
		followers int
		want      time.Duration // until all are acknowledged
	}{
		{3, 2*milli + 20*milli + 20*milli},
		{1, 20*milli + 5*milli + 20*milli}, // a quarter of a round trip after the lost one should have been acknowledged
	} {
		s := newSender(PacketLoss{Loss: until(milli), RTT: shape.Const(20), Congestion: Reno}, site(1))
		s.jiffy = 0
		s.push(1, 0)
		s.push(c.followers, 2*milli)
		for s.first < int64(1+c.followers) {
			s.step()
		}
		if s.now != c.want || s.window.cwnd > 6 {
			t.Errorf("%d followers: all acknowledged after %v with a window of %v, want %v", c.followers, s.now, s.window.cwnd, c.want)
		}
	}
}

func TestEndIsASegment(t *testing.T) {
	end := func(s Shaper, c Chunk) (all []Chunk) {
		s.Shape(c, func(c Chunk) { all = append(all, c) })
		return all
	}
	bare := exact(PacketLoss{Loss: until(100 * milli), RTT: shape.Const(20)}, site(1))
	if all := end(bare, Chunk{End: FIN}); len(all) != 1 || all[0].End != FIN || all[0].Due != 220*milli {
		t.Errorf("a lost FIN: %+v", all)
	}
	with := exact(PacketLoss{Loss: until(100 * milli), RTT: shape.Const(20)}, site(1))
	dues(with, 200, 0)
	if all := end(with, Chunk{End: FIN}); len(all) != 1 || all[0].End != FIN || all[0].Due != 220*milli {
		t.Errorf("a FIN with the last bytes: %+v", all)
	}
	late := PacketLoss{Loss: Loss{Rate: shape.Value{To: 1, Wave: shape.Step, Period: 5 * milli}}, RTT: shape.Const(20)}.New(site(1))
	dues(late, 200, 0)
	if all := end(late, Chunk{End: FIN, Due: 10 * milli}); len(all) != 1 || all[0].Due != Never {
		t.Errorf("a FIN by itself: %+v", all)
	}
	if all := end(late, Chunk{End: RST, Due: 11 * milli}); len(all) != 1 || all[0].End != RST || all[0].Due != 11*milli {
		t.Errorf("a reset is not delayed: %+v", all)
	}
	if all := end(late, Chunk{Open: true, Due: 11 * milli}); len(all) != 1 || !all[0].Open {
		t.Errorf("opening: %+v", all)
	}
	if all := end(late, Chunk{Data: []byte{1}, Due: Never}); len(all) != 1 || all[0].Due != Never {
		t.Errorf("what is withheld before: %+v", all)
	}
}

func TestSmallWritesShareASegmentThatWaits(t *testing.T) {
	s := PacketLoss{RTT: shape.Const(20), Congestion: Reno}.New(site(1))
	dues(s, 10*1448+100, 0) // fills the window; 100 bytes wait for 20 milli
	for range 50 {
		if due := lastDue(s, 20, milli); due != 20*milli {
			t.Fatal(due)
		}
	}
	if g := s.(*segmenter); g.sender.next() != 11 {
		t.Errorf("%d segments", g.sender.next())
	}
}

func TestWindowShrinksWithIdleness(t *testing.T) {
	s := PacketLoss{RTT: shape.Const(20), Congestion: Reno}.New(site(1)).(*segmenter)
	now := lastDue(s, 300*1448, 0)
	if lastDue(s, 100*1448, now+100*milli) != now+100*milli {
		t.Error("a short pause has shrunk the window")
	}
	if due := lastDue(s, 30*1448, now+10*time.Second); due != now+10*time.Second+20*milli {
		t.Errorf("after a long pause: %v", due-now-10*time.Second)
	}
}

func TestWindowOutlivesAChange(t *testing.T) {
	p := PacketLoss{RTT: shape.Const(20), Congestion: Reno}
	old := p.New(site(1))
	dues(old, 300*1448, 0)
	s := p.New(site(1))
	s.(*segmenter).Inherit(old, 0)
	if due := lastDue(s, 100*1448, time.Second); due != time.Second {
		t.Error(due)
	}
}

// bulk returns the goodput in Mbit/s of a long transfer.
func bulk(s Shaper, chunk int, length time.Duration) float64 {
	n, last := 0, time.Duration(0)
	for last < length {
		last = lastDue(s, chunk, 0)
		n += chunk
	}
	return float64(n) * 8 / last.Seconds() / 1e6
}

// The reference's formula is within 11 % of what was measured; between it and what the kernel does at 3 % lie the timeouts.
func TestGoodputFollowsMathis(t *testing.T) {
	t.Parallel()
	for _, congestion := range []Congestion{Reno, Cubic} {
		for _, rtt := range []float64{20, 80} {
			for _, p := range []float64{0.005, 0.01, 0.03} {
				want := 1448 * 8 / rtt / 1000 * 1.22 / math.Sqrt(p)
				long := time.Duration(300 * 1448 * 8 / p / want * float64(time.Microsecond)) // 300 losses
				for _, steady := range []bool{false, true} {
					toxic := PacketLoss{Loss: lossy(p), RTT: shape.Const(rtt), Congestion: congestion, Steady: steady}
					got := bulk(toxic.New(site(1)), 32<<10, long)
					if r := got / want; r < 0.8 || r > 1.25 || steady && math.Abs(r-1) > 0.03 {
						t.Errorf("%s rtt %v ms loss %v steady %v: %.2f Mbit/s, by Mathis %.2f", congestion, rtt, p, steady, got, want)
					}
				}
			}
		}
	}
}

// Of calls that wait for each other, a share p is slow, by one timeout, of those a share p by another.
func TestCallsHaveTwoModes(t *testing.T) {
	const n = 20000
	s := exact(PacketLoss{Loss: lossy(0.05), RTT: shape.Const(21)}, site(3))
	extra := map[time.Duration]int{}
	now := time.Duration(0)
	for range n {
		due := lastDue(s, 200, now)
		extra[due-now]++
		now = due + 21*milli
	}
	for timeouts, want := range []float64{0.95, 0.95 * 0.05, 0.95 * 0.05 * 0.05} {
		share := float64(extra[time.Duration(timeouts)*221*milli]) / n
		if math.Abs(share-want) > 3*math.Sqrt(want*(1-want)/n) {
			t.Errorf("%d timeouts: %.4f of calls, want %.4f", timeouts, share, want)
		}
	}
}

// Steady calls a round trip apart are held up too, by chance: by a timeout if they are of one segment, whose loss nothing tells of, and
// otherwise by a round trip, or by two if it is the last segment of the call that is lost.
func TestSteadyCallsStall(t *testing.T) {
	const n, p, rtt = 20000, 0.02, 21 * milli
	for segments, want := range map[int]map[time.Duration]float64{ // the shares of calls that are held up
		1: {rtt + 200*milli: p},
		3: {rtt: (1 - math.Pow(1-p, 3)) * 2 / 3, 2 * rtt: (1 - math.Pow(1-p, 3)) / 3},
	} {
		s := PacketLoss{Loss: lossy(p), RTT: shape.Const(21), Steady: true}.New(site(3))
		held := map[time.Duration]int{}
		now := time.Duration(0)
		for range n {
			first := dues(s, segments*1448, now)[0].Due
			if first > now {
				held[first-now]++
			}
			now = first + time.Second
		}
		if len(held) != len(want) {
			t.Errorf("%d segments: held up by %v, want the shares %v", segments, held, want)
		}
		for by, want := range want {
			if share := float64(held[by]) / n; math.Abs(share-want) > 3*math.Sqrt(want*(1-want)/n) {
				t.Errorf("%d segments: %.4f of calls are held up by %v, want %.4f", segments, share, by, want)
			}
		}
	}
}

func TestOutageEnds(t *testing.T) {
	outage := Loss{Rate: shape.Value{To: 1, Wave: shape.Square, Period: 4 * time.Second}} // down in seconds 2 to 4
	s := PacketLoss{Loss: outage, RTT: shape.Const(20)}.New(site(1))
	if due := lastDue(s, 200, 2500*milli); due < 4*time.Second || due > 6*time.Second {
		t.Errorf("sent in an outage, due after %v", due)
	}
	if due := lastDue(s, 200, 8*time.Second); due != 8*time.Second {
		t.Errorf("sent after it, due after %v", due)
	}
}

// Shapes begin when the toxic comes into force, not when the connection begins.
func TestLossOverTimeBeginsWithTheToxic(t *testing.T) {
	for began, want := range map[time.Duration]time.Duration{0: 3 * time.Second, 3 * time.Second: 3220 * milli, -time.Second: 3 * time.Second} {
		at := site(1)
		at.Began = began
		s := exact(PacketLoss{Loss: until(100 * milli), RTT: shape.Const(20)}, at)
		if due := lastDue(s, 200, 3*time.Second); due != want {
			t.Errorf("began at %v: due at %v, want %v", began, due, want)
		}
	}
}

// Linux rounds timeouts up to ticks that grow with them.
func TestTimersAreCoarse(t *testing.T) {
	for rtt, most := range map[float64]time.Duration{20: 4 * milli, 80: 32 * milli, 1900: 256 * milli} {
		var early, late time.Duration = time.Hour, 0
		for seed := range uint64(200) {
			s := PacketLoss{Loss: until(milli), RTT: shape.Const(rtt)}.New(site(seed))
			over := lastDue(s, 200, 0) - milliseconds(rtt) - 200*milli
			early, late = min(early, over), max(late, over)
		}
		if early < 0 || early > most/8 || late > most || late < most*7/8 {
			t.Errorf("timeouts at a round trip of %v ms come %v to %v late, want up to %v", rtt, early, late, most)
		}
	}
}

func TestLossIsRepeatable(t *testing.T) {
	run := func(seed uint64) (all []Chunk) {
		s := PacketLoss{Loss: lossy(0.1), RTT: shape.Const(20)}.New(site(seed))
		for i := range 100 {
			all = append(all, dues(s, 5000, time.Duration(i)*10*milli)...)
		}
		return all
	}
	same := func(a, b []Chunk) bool {
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if a[i].Due != b[i].Due || len(a[i].Data) != len(b[i].Data) {
				return false
			}
		}
		return true
	}
	if !same(run(1), run(1)) || same(run(1), run(2)) {
		t.Error("the seed does not decide")
	}
}

// settle looks ahead; it must leave the sender as it is.
func TestLookingAheadChangesNothing(t *testing.T) {
	a := newSender(PacketLoss{Loss: lossy(0.2), RTT: shape.Const(20)}, site(4))
	b := newSender(PacketLoss{Loss: lossy(0.2), RTT: shape.Const(20)}, site(4))
	for i := range 200 {
		at := time.Duration(i) * 7 * milli
		a.push(3, at)
		b.push(3, at)
		a.settle()
		first := a.settle()
		second := b.settle()
		for j := range first {
			if first[j] != second[j] {
				t.Fatalf("push %d: %v and %v", i, first, second)
			}
		}
	}
}

func TestLossInBursts(t *testing.T) {
	for _, c := range []struct {
		loss        Loss
		rate, burst float64
	}{
		{Loss{Rate: shape.Const(0.05)}, 0.05, 1 / 0.95},
		{Loss{Rate: shape.Const(0.05), Burst: shape.Const(4)}, 0.05, 4},
		{Loss{Rate: shape.Const(0.1), Burst: shape.Const(8), InBad: shape.Const(0.5), InGood: shape.Const(0.02)}, 0.1, 0},
		{Loss{Rate: shape.Const(1), Burst: shape.Const(4)}, 1, 0},
	} {
		if err := c.loss.Validate(); err != nil {
			t.Fatal(err)
		}
		p := newLossProcess(c.loss, rand.New(rand.NewPCG(5, 6)))
		const n = 400000
		lost, bursts, was := 0, 0, false
		for range n {
			is := p.next(0)
			if is {
				lost++
				if !was {
					bursts++
				}
			}
			was = is
		}
		if rate := float64(lost) / n; math.Abs(rate-c.rate) > 0.005 {
			t.Errorf("%+v: lost %.4f", c.loss, rate)
		}
		if burst := float64(lost) / float64(bursts); c.burst > 0 && math.Abs(burst-c.burst)/c.burst > 0.05 {
			t.Errorf("%+v: bursts of %.2f, want %.2f", c.loss, burst, c.burst)
		}
	}
}

func TestDialDelay(t *testing.T) {
	for _, c := range []struct {
		loss   Loss
		want   time.Duration
		isDead bool
	}{
		{lossy(0), 0, false},
		{until(500 * milli), time.Second, false},
		{until(1500 * milli), 2 * time.Second, false},
		{until(4500 * milli), 5 * time.Second, false},
		{until(6 * time.Second), 7 * time.Second, false},
		{until(8 * time.Second), 11 * time.Second, false},
		{lossy(1), 131 * time.Second, true},
	} {
		delay, isDead := PacketLoss{Loss: c.loss, RTT: shape.Const(20)}.DialDelay(rand.New(rand.NewPCG(1, 1)), 0)
		if delay != c.want || isDead != c.isDead {
			t.Errorf("%+v: %v %v, want %v %v", c.loss, delay, isDead, c.want, c.isDead)
		}
	}
	later := PacketLoss{Loss: until(10 * time.Second), RTT: shape.Const(20)} // a toxic that is older than the dial
	if delay, isDead := later.DialDelay(rand.New(rand.NewPCG(1, 1)), 8500*milli); delay != 2*time.Second || isDead {
		t.Errorf("a dial 1.5 s before losses end: %v %v", delay, isDead)
	}
	r := rand.New(rand.NewPCG(1, 1))
	slow := 0
	for range 10000 {
		if delay, _ := (PacketLoss{Loss: lossy(0.2)}).DialDelay(r, 0); delay > 0 {
			slow++
		}
	}
	if slow < 1880 || slow > 2120 {
		t.Errorf("%d of 10000 dials slow, want 2000", slow)
	}
}

func TestPacketLossRefuses(t *testing.T) {
	good := PacketLoss{Loss: lossy(0.01), RTT: shape.Const(20)}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(p *PacketLoss){
		"rtt: it is":  func(p *PacketLoss) { p.RTT = shape.Value{} },
		"rtt: NaN":    func(p *PacketLoss) { p.RTT = shape.Const(math.NaN()) },
		"mss":         func(p *PacketLoss) { p.MSS = shape.Const(10) },
		"rto_min":     func(p *PacketLoss) { p.RTOMin = shape.Const(-1) },
		"congestion":  func(p *PacketLoss) { p.Congestion = "bbr" },
		"steady":      func(p *PacketLoss) { p.Steady, p.Congestion = true, NoCongestion },
		"loss: 1.5":   func(p *PacketLoss) { p.Loss = lossy(1.5) },
		"loss: -0.1":  func(p *PacketLoss) { p.Loss.Rate = shape.Value{Base: 1, To: -0.1, Wave: shape.Sine, Period: 1} },
		"period":      func(p *PacketLoss) { p.Loss.Rate.Wave = shape.Ramp },
		"burst: 0.5":  func(p *PacketLoss) { p.Loss.Burst = shape.Const(0.5) },
		"need a":      func(p *PacketLoss) { p.Loss.InBad = shape.Const(0.5) },
		"loss_bad: 2": func(p *PacketLoss) { p.Loss.Burst, p.Loss.InBad = shape.Const(2), shape.Const(2) },
		"loss_good":   func(p *PacketLoss) { p.Loss.Burst, p.Loss.InGood = shape.Const(2), shape.Const(-1) },
		"not within loss_good 0.5": func(p *PacketLoss) {
			p.Loss.Burst, p.Loss.InGood = shape.Const(2), shape.Const(0.5)
		},
	} {
		p := good
		change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// FuzzPacketLoss: whatever comes, all of it leaves, in order, or is withheld for ever with all that follows.
func FuzzPacketLoss(f *testing.F) {
	f.Add(uint64(1), 0.1, 20.0, uint8(0), []byte{10, 200, 3, 0, 255})
	f.Add(uint64(2), 0.9, 0.5, uint8(5), []byte{255, 255, 255, 1})
	f.Add(uint64(3), 1.0, 80.0, uint8(6), []byte{1, 1})
	f.Fuzz(func(t *testing.T, seed uint64, loss, rtt float64, kind uint8, script []byte) {
		p := PacketLoss{Loss: lossy(loss), RTT: shape.Const(rtt), Congestion: []Congestion{Reno, Cubic, NoCongestion}[kind%3], MSS: shape.Const(88)}
		if kind/3%2 == 1 {
			p.Loss.Burst = shape.Const(3)
		}
		p.Steady = kind/6%2 == 1
		if p.Validate() != nil || len(script) > 64 {
			t.Skip()
		}
		s := p.New(Site{Rand: rand.New(rand.NewPCG(seed, 1)), Began: time.Duration(seed % 1e9)})
		var in, out bytes.Buffer
		ended, now := false, time.Duration(0)
		r := rand.New(rand.NewPCG(seed, 9))
		for i, b := range script {
			data := make([]byte, int(b)*int(b)/8)
			for j := range data {
				data[j] = byte(r.Uint32())
			}
			c := Chunk{Data: data, Due: now}
			if i == len(script)-1 {
				c.End = FIN
			}
			in.Write(data)
			last := now
			s.Shape(c, func(c Chunk) {
				if ended {
					t.Fatal("bytes after the end")
				}
				if c.Due < last && c.Due < now {
					t.Fatalf("due at %v, before it came at %v", c.Due, now)
				}
				out.Write(c.Data)
				ended = c.End == FIN
			})
			now += time.Duration(b) * milli / 4
		}
		if !bytes.Equal(in.Bytes(), out.Bytes()) || !ended && len(script) > 0 {
			t.Fatalf("%d bytes in, %d out, ended %v", in.Len(), out.Len(), ended)
		}
	})
}

// The path of a connection that begins while the loss is another than at first is in a burst as often as that one says.
func TestTheFirstPacketMeetsTheLossOfItsTime(t *testing.T) {
	const sessions, age = 4000, 2 * time.Second
	loss := Loss{
		Rate:  shape.Value{Base: 0, To: 0.5, Wave: shape.Step, Period: time.Second},
		Burst: shape.Const(8),
	}
	lost := 0
	for i := range sessions {
		if p := newLossProcess(loss, rand.New(rand.NewPCG(1, uint64(i)))); p.next(age) {
			lost++
		}
	}
	if share := float64(lost) / sessions; math.Abs(share-0.5) > 0.04 { // five standard deviations
		t.Errorf("%.3f of the first packets are lost, want 0.5", share)
	}
}
