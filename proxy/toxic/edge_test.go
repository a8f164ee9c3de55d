package toxic

import (
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/shape"
)

// TestLimitDataCountsBeforeWhatComesNext: limit_data lets exactly Bytes through, also when the next toxic has no room for them yet.
func TestLimitDataCountsBeforeWhatComesNext(t *testing.T) {
	for name, second := range map[string]proxy.Toxic{
		"bandwidth": Bandwidth{Rate: fixed(100000)}, "packet_loss": PacketLoss{Loss: lossy(0.01), RTT: shape.Const(20)}, "latency": Latency{Latency: fixed(50)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(Options{}, down("limit", LimitData{fixed(6_000_000)}), down("second", second))
				b.send(pattern(8_000_000), 16<<10, 0)
				if got, err := io.ReadAll(b.client); len(got) != 6_000_000 || err != nil {
					t.Errorf("limit_data of 6000000 bytes has let %d through, %v", len(got), err)
				}
				b.close()
			})
		})
	}
}

// TestDueTimesBreakNothing: a stream on which something is due more than once a millisecond lives.
func TestDueTimesBreakNothing(t *testing.T) {
	const n = 120_000 // above what is taken for a broken connection
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("slow", Latency{Latency: fixed(20)}))
		b.send(pattern(n), 1, 900*time.Microsecond)
		got, err := io.ReadAll(b.client)
		if r := b.close(); len(got) != n || r.Cause != ByPeers {
			t.Errorf("%d of %d bytes, %v; %v %v", len(got), n, err, r.Cause, r.Err)
		}
	})
}

// TestSlicerKeepsFewPieces: each piece takes memory beside its bytes.
func TestSlicerKeepsFewPieces(t *testing.T) {
	for _, c := range []struct{ size, variation, want float64 }{{1, 0, 4 << 10}, {16, 1, 15 << 10}, {100, 90, 10 << 10}, {1500, 0, 64 << 10}, {0, 0, 64 << 10}} {
		s := Slicer{AverageSize: fixed(c.size), SizeVariation: fixed(c.variation)}
		if got := s.New(Site{}).(Bounded).Bound(); got != int(c.want) {
			t.Errorf("%v: %d bytes", c, got)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("slices", Slicer{AverageSize: fixed(1), Delay: fixed(1e6)}))
		_ = b.endpoint.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		if n, _ := b.endpoint.Write(make([]byte, 1<<20)); n > 4<<10+2*halfRoom {
			t.Errorf("%d bytes are taken", n)
		}
		go io.Copy(io.Discard, b.client)
		b.close()
	})
}

func TestReorderIsBounded(t *testing.T) {
	held := Reorder{Rate: fixed(1), Packets: shape.Const(3), Delay: fixed(60000)}
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		budget := NewBudget(64 << 20)
		l := NewDatagramLink(NewSlot(act("r", proxy.Upstreamward, held)), func(proxy.Direction, []byte) { n.Add(1) }, Options{Budget: budget})
		for range 2 * mostHeld {
			l.Pass(proxy.Upstreamward, make([]byte, 1000))
		}
		if n.Load() != mostHeld || budget.Used() != mostHeld*1000 {
			t.Errorf("%d datagrams have gone on, %d bytes are held", n.Load(), budget.Used())
		}
		time.Sleep(time.Hour)
		if n.Load() != 2*mostHeld || budget.Used() != 0 {
			t.Errorf("%d datagrams have gone on, %d bytes are held in the end", n.Load(), budget.Used())
		}
		for range 10 {
			l.Pass(proxy.Upstreamward, make([]byte, 1000))
		}
		if l.Close(); budget.Used() != 0 {
			t.Errorf("%d bytes are held after Close", budget.Used())
		}
		small := NewDatagramLink(NewSlot(act("r", proxy.Upstreamward, held)), func(proxy.Direction, []byte) {}, Options{Buffer: 10_000})
		for range 100 {
			small.Pass(proxy.Upstreamward, make([]byte, 1000))
		}
		if r := small.Close(); r.Dropped-r.Withheld != 90 {
			t.Errorf("%d datagrams are dropped for want of room", r.Dropped-r.Withheld)
		}
	})
}

// TestEndAfterCloseWrite: an orderly end after our own half-close stays one when a toxic comes in between.
func TestEndAfterCloseWrite(t *testing.T) {
	c, slot, far := slowConn(t, 0)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(io.LimitReader(far, 1)); len(got) != 0 || err != nil {
		t.Fatal(got, err)
	}
	slot.Set(slowBy(5))
	say(t, far, "hello")
	_ = far.Close()
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v; want hello and an orderly end", got, err)
	}
}

// TestBandwidthStepsInTime: a rate that steps does not step before its time, however long that is.
func TestBandwidthStepsInTime(t *testing.T) {
	for _, period := range []time.Duration{10 * time.Second, 10 * time.Minute, 24 * time.Hour} {
		b := Bandwidth{Rate: shape.Value{Wave: shape.Step, Base: 1000, To: 1e6, Period: period}}
		for ahead := 200 * time.Millisecond; ahead < min(period, 10*time.Minute); ahead += 50 * time.Millisecond {
			s := b.New(Site{Rand: rand.New(rand.NewPCG(1, 2))})
			s.Shape(Chunk{Open: true}, func(Chunk) {})
			at, last := period-ahead, time.Duration(0)
			s.Shape(Chunk{Data: make([]byte, 100), Due: at}, func(c Chunk) { last = c.Due })
			if took := last - at; took < 90*time.Millisecond || took > 100*time.Millisecond { // 100 ms, less the credit of a pause
				t.Fatalf("period %v: %v before the step, 100 bytes at 1000 bytes a second take %v", period, ahead, took)
			}
		}
	}
}

func TestBandwidthOfFewBytesHoldsFew(t *testing.T) {
	for rate, want := range map[float64]int{0: 256, 5: 256, 100: 1000, 1e4: 16 << 10, 1e6: 100_000} {
		if got := (Bandwidth{Rate: fixed(rate)}).New(Site{}).(Bounded).Bound(); got != want {
			t.Errorf("at %v bytes a second %d wait", rate, got)
		}
	}
}

// TestLossOfBursts: a loss that bursts of a length cannot make is refused, and one that they can is made.
func TestLossOfBursts(t *testing.T) {
	for _, c := range []struct {
		loss  Loss
		valid bool
	}{
		{Loss{Rate: fixed(0.9), Burst: shape.Const(2)}, false}, {Loss{Rate: fixed(0.66), Burst: shape.Const(2)}, true}, {Loss{Rate: fixed(0.9), Burst: shape.Const(10)}, true},
		{Loss{Rate: fixed(1), Burst: shape.Const(2)}, true}, {Loss{Rate: fixed(0.5), Burst: shape.Const(3), InBad: shape.Const(0.6)}, false}, {Loss{Rate: fixed(0.5), Burst: shape.Const(3), InBad: shape.Const(0.6), InGood: shape.Const(0.3)}, true},
	} {
		if err := c.loss.Validate(); (err == nil) != c.valid {
			t.Errorf("%+v: %v", c.loss, err)
		}
		if !c.valid {
			continue
		}
		p := newLossProcess(c.loss, rand.New(rand.NewPCG(1, 2)))
		lost := 0
		for range 200_000 {
			if p.next(0) {
				lost++
			}
		}
		if share := float64(lost) / 200_000; share < c.loss.Rate.Base-0.01 || share > c.loss.Rate.Base+0.01 {
			t.Errorf("%+v: the share lost is %.3f", c.loss, share)
		}
	}
}

// TestUnwrapMeetsClose is for the race detector.
func TestUnwrapMeetsClose(t *testing.T) {
	for range 20 {
		c, slot, far := slowConn(t, 1)
		say(t, far, "held")
		eventually(t, "bytes have come", func() bool { return !c.near.Load().in.isQuiet() })
		slot.Set()
		var w sync.WaitGroup
		w.Go(func() { c.Unwrap() })
		w.Go(func() { _ = c.Close() })
		w.Wait()
	}
}

// panicking is a toxic with a mistake.
type panicking struct{ Noop }

// Type implements proxy.Toxic.
func (panicking) Type() string { return "panicking" }

// New implements Stream.
func (panicking) New(Site) Shaper {
	return ShaperFunc(func(c Chunk, emit func(Chunk)) {
		if len(c.Data) > 0 {
			panic("boom")
		}
		emit(c)
	})
}

func TestPanicNamesTheToxic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Options{}, down("good", Noop{}), down("bad", panicking{}))
		b.send([]byte("hello"), 5, 0)
		_, _ = io.ReadAll(b.client)
		if r := b.close(); r.Cause != ByPanic || r.Toxic.Entry == nil || r.Toxic.Name != "bad" {
			t.Errorf("%v, toxic %+v", r.Cause, r.Toxic)
		}
	})
}

func TestPanicOnAConnIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan error, 1)
		near, far := newMemory(nil, nil)
		c := NewConn(near, NewSlot(down("bad", panicking{})), EndpointSide, Options{Panicked: func(err error) { told <- err }})
		_, _ = far.Write([]byte("hello"))
		if _, err := c.Read(make([]byte, 5)); err == nil {
			t.Error("bytes come through")
		}
		if err := <-told; err == nil {
			t.Error("told of nothing")
		}
		_ = c.Close()
	})
}

func TestStallBeginsWithTheLastByte(t *testing.T) {
	for name, c := range map[string]struct {
		next Chunk
		want time.Duration
	}{
		"what comes in the stall":    {Chunk{Data: make([]byte, 10), Due: time.Second}, 2 * time.Second},
		"what comes after the stall": {Chunk{Data: make([]byte, 10), Due: 5 * time.Second}, 5 * time.Second},
		"an end in the stall":        {Chunk{End: FIN, Due: time.Second}, 2 * time.Second},
	} {
		s := Stall{Duration: fixed(2000), Bytes: fixed(10)}.New(Site{})
		var due []time.Duration
		take := func(c Chunk) { due = append(due, c.Due) }
		s.Shape(Chunk{Open: true}, take)
		s.Shape(Chunk{Data: make([]byte, 10)}, take)
		s.Shape(c.next, take)
		if len(due) != 2 || due[0] != 0 || due[1] != c.want {
			t.Errorf("%s leaves at %v", name, due)
		}
	}
}

// TestSlotWakesWhomItConcerns: only those directions on which others act than before.
func TestSlotWakesWhomItConcerns(t *testing.T) {
	never := &Entry{Name: "never", Direction: proxy.Downstreamward, Toxicity: 0, Toxic: Noop{}}
	d, u := down("d", Noop{}), act("u", proxy.Upstreamward, Noop{})
	s := NewSlot()
	var told directions
	s.watch(func(which directions) { told = which })
	for i, c := range []struct {
		set  []Active
		want directions
	}{
		{nil, directions{}},
		{[]Active{d}, directions{proxy.Downstreamward: true}},
		{[]Active{d}, directions{}},
		{[]Active{{Entry: never}, d}, directions{}},
		{[]Active{u, d}, directions{proxy.Upstreamward: true}},
		{[]Active{down("d", Noop{}), u}, directions{proxy.Downstreamward: true}},
		{nil, bothDirections},
	} {
		if s.Set(c.set...); told != c.want {
			t.Errorf("change %d: %v are told, want %v", i, told, c.want)
		}
	}
}
