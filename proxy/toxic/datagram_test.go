package toxic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestDatagrams(t *testing.T) {
	for name, c := range map[string]struct {
		toxics []proxy.Toxic
		want   string // what comes at which millisecond, of one datagram each 10 ms
	}{
		"nothing":  {nil, "a@0 b@10 c@20"},
		"noop":     {[]proxy.Toxic{Noop{}}, "a@0 b@10 c@20"},
		"latency":  {[]proxy.Toxic{Latency{Latency: fixed(100)}}, "a@100 b@110 c@120"},
		"two":      {[]proxy.Toxic{Latency{Latency: fixed(100)}, Latency{Latency: fixed(5)}}, "a@105 b@115 c@125"},
		"down":     {[]proxy.Toxic{Down{}}, ""},
		"timeout":  {[]proxy.Toxic{Latency{Latency: fixed(5)}, Timeout{}}, ""},
		"streams":  {[]proxy.Toxic{Slicer{AverageSize: fixed(1)}}, "a@0 b@10 c@20"},
		"doubled":  {[]proxy.Toxic{Duplicate{Rate: fixed(1)}, Latency{Latency: fixed(7)}}, "a@7 a@7 b@17 b@17 c@27 c@27"},
		"reversed": {[]proxy.Toxic{Reorder{Rate: fixed(1), Packets: fixed(5), Delay: fixed(50)}}, "a@50 b@60 c@70"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var as []Active
				for i, toxic := range c.toxics {
					as = append(as, act(fmt.Sprint(i), proxy.Upstreamward, toxic))
				}
				began := time.Now()
				var got []string
				l := NewDatagramLink(NewSlot(as...), func(d proxy.Direction, p []byte) {
					if d == proxy.Upstreamward {
						got = append(got, fmt.Sprintf("%s@%d", p, time.Since(began).Milliseconds()))
					}
				}, Options{})
				for _, p := range []string{"a", "b", "c"} {
					l.Pass(proxy.Upstreamward, []byte(p))
					l.Pass(proxy.Downstreamward, []byte("other"))
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(time.Second)
				r := l.Close()
				if s := strings.Join(got, " "); s != c.want {
					t.Errorf("got %s, not %s", s, c.want)
				}
				if int(r.Upstream) != len(got) || r.Downstream != 15 {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

func TestDatagramsAreLetGoWhenTheToxicIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		began := time.Now()
		hold, slow := act("hold", proxy.Upstreamward, Latency{Latency: fixed(1e6)}), act("slow", proxy.Upstreamward, Latency{Latency: fixed(100)})
		s := NewSlot(hold, slow)
		l := NewDatagramLink(s, func(_ proxy.Direction, p []byte) {
			got = append(got, fmt.Sprintf("%s@%d", p, time.Since(began).Milliseconds()))
		}, Options{})
		l.Pass(proxy.Upstreamward, []byte("a"))
		time.Sleep(50 * time.Millisecond)
		s.Set(slow)
		time.Sleep(time.Second)
		l.Close()
		if !slices.Equal(got, []string{"a@150"}) {
			t.Errorf("%v", got)
		}
	})
}

func TestDatagramsHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		l := NewDatagramLink(NewSlot(act("l", proxy.Upstreamward, Latency{Latency: fixed(1000)})), func(proxy.Direction, []byte) { n++ }, Options{Buffer: 10 << 10})
		for range 100 {
			l.Pass(proxy.Upstreamward, make([]byte, 1000))
		}
		time.Sleep(2 * time.Second)
		if r := l.Close(); n != 10 || r.Dropped != 90 {
			t.Errorf("%d came; %+v", n, r)
		}
	})
}

func TestAnyDatagramsUnderAnyChange(t *testing.T) {
	t.Parallel()
	toxics := []func(r *rand.Rand) proxy.Toxic{
		func(r *rand.Rand) proxy.Toxic { return Latency{Latency: anyValue(r, 500), Jitter: anyValue(r, 300)} },
		func(r *rand.Rand) proxy.Toxic { return Drop{Loss{Rate: fixed(r.Float64())}} },
		func(r *rand.Rand) proxy.Toxic {
			return Duplicate{Rate: fixed(r.Float64()), Copies: fixed(float64(r.IntN(3)))}
		},
		func(r *rand.Rand) proxy.Toxic {
			return Reorder{Rate: fixed(r.Float64()), Packets: fixed(float64(r.IntN(5)))}
		},
		func(r *rand.Rand) proxy.Toxic { return Rate{Rate: anyValue(r, 100)} },
		func(r *rand.Rand) proxy.Toxic { return Noop{} },
	}
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			var as []Active
			s := NewSlot()
			came := 0
			l := NewDatagramLink(s, func(_ proxy.Direction, p []byte) {
				if len(p) != 700 || p[0] != p[699] {
					t.Errorf("damaged: %d bytes", len(p))
				}
				came += len(p)
			}, Options{})
			for i := range 200 {
				p := slices.Repeat([]byte{byte(i)}, 700)
				l.Pass(proxy.Upstreamward, p)
				if r.IntN(10) == 0 {
					as = as[:r.IntN(len(as)+1)]
					as = append(as, act(fmt.Sprint(r.IntN(5)), proxy.Upstreamward, toxics[r.IntN(len(toxics))](r)))
					s.Set(as...)
				}
				time.Sleep(time.Duration(r.IntN(int(20 * time.Millisecond))))
			}
			s.Set()
			time.Sleep(time.Minute)
			f := &l.flows[proxy.Upstreamward]
			f.mu.Lock()
			if len(f.waiting) > 0 || f.room != 0 {
				t.Errorf("%d still wait, %d bytes", len(f.waiting), f.room)
			}
			f.mu.Unlock()
			if got := l.Close(); got.Err != nil || int(got.Upstream) != came {
				t.Errorf("%+v, %d came", got, came)
			}
		})
	}
}

// The Follower of a session is told when all that came in a direction since its toxics changed is lost, and when that is over.
func TestFollowerIsToldOfLostDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string // guarded by mu
		tell := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, what)
		}
		wants := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
			told = nil
		}
		slot := NewSlot(act("all", proxy.Downstreamward, Drop{Loss: Loss{Rate: fixed(1)}}))
		slot.Follow(Follower{
			Answered: func(time.Duration) { tell("answered") },
			Lost:     func(isLost bool) { tell(fmt.Sprint("lost ", isLost)) },
		})
		l := NewDatagramLink(slot, func(proxy.Direction, []byte) {}, Options{})
		pass := func(d proxy.Direction, want ...string) {
			t.Helper()
			l.Pass(d, nil) // an empty datagram is one
			wants(want...)
		}
		drop, late := act("all", proxy.Downstreamward, Drop{Loss: Loss{Rate: fixed(1)}}), act("late", proxy.Downstreamward, Latency{Latency: fixed(1000)})
		pass(proxy.Upstreamward, "lost false")
		pass(proxy.Upstreamward)
		pass(proxy.Downstreamward, "lost true")
		pass(proxy.Downstreamward)
		slot.Set(late)
		pass(proxy.Downstreamward)
		time.Sleep(time.Second)
		wants("lost false", "answered")
		pass(proxy.Downstreamward)
		time.Sleep(time.Second)
		slot.Set(drop)
		wants() // nothing has come
		pass(proxy.Downstreamward, "lost true")
		pass(proxy.Downstreamward)
		pass(proxy.Upstreamward)
		slot.Set()
		wants()
		slot.Set(drop)
		pass(proxy.Downstreamward, "lost true") // again
		slot.Set()
		pass(proxy.Downstreamward, "lost false")
		slot.Set(late)
		pass(proxy.Downstreamward)
		slot.Set(drop)
		wants("lost false")                     // what was held up has got through
		pass(proxy.Downstreamward, "lost true") // which says nothing of what comes now
		slot.Set(drop, act("other", proxy.Upstreamward, Noop{}))
		pass(proxy.Downstreamward)
		pass(proxy.Upstreamward, "lost true") // on the other way
		l.Close()
	})
}

// Of two toxics, the second holds what came first: that goes first, too, when both let go at once.
func TestDatagramsLetGoAtOnceKeepTheirOrder(t *testing.T) {
	first, second := Delay{Latency: fixed(100), InOrder: true}, Delay{Latency: fixed(100), InOrder: true}
	hold := Reorder{Rate: fixed(1), Packets: fixed(5), Delay: fixed(1000)}
	for name, c := range map[string]struct {
		toxics [2]proxy.Toxic
		stay   []int
		fresh  []proxy.Toxic
	}{
		"both are removed":          {toxics: [2]proxy.Toxic{first, second}},
		"the first is removed":      {toxics: [2]proxy.Toxic{first, second}, stay: []int{1}},
		"the second is removed":     {toxics: [2]proxy.Toxic{first, second}, stay: []int{0}},
		"both are replaced":         {toxics: [2]proxy.Toxic{first, second}, fresh: []proxy.Toxic{second}},
		"one that picks is removed": {toxics: [2]proxy.Toxic{first, hold}},
		"the first has picked both": {toxics: [2]proxy.Toxic{hold, Noop{}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				as := []Active{act("x", proxy.Upstreamward, c.toxics[0]), act("y", proxy.Upstreamward, c.toxics[1])}
				s := NewSlot(as...)
				l := NewDatagramLink(s, func(_ proxy.Direction, p []byte) { got = append(got, string(p)) }, Options{})
				for _, p := range []string{"a", "b"} { // a is in y from 100 ms on, b in x from 50 on
					l.Pass(proxy.Upstreamward, []byte(p))
					time.Sleep(50 * time.Millisecond)
				}
				time.Sleep(20 * time.Millisecond)
				var next []Active
				for _, i := range c.stay {
					next = append(next, as[i])
				}
				for i, toxic := range c.fresh {
					next = append(next, act(fmt.Sprint(i), proxy.Upstreamward, toxic))
				}
				s.Set(next...) // at 120
				time.Sleep(time.Second)
				l.Close()
				if !slices.Equal(got, []string{"a", "b"}) {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

// Who ends sessions that are silent asks whether more will come by itself: what waits for its time, but nothing that waits for ever.
func TestDatagramLinkIsBusyWhileMoreWillCome(t *testing.T) {
	for name, c := range map[string]struct {
		toxics []proxy.Toxic
		busy   time.Duration // from the first datagram on
		lost   int64         // of two
	}{
		"nothing":               {},
		"noop":                  {toxics: []proxy.Toxic{Noop{}}},
		"latency":               {toxics: []proxy.Toxic{Latency{Latency: fixed(3000)}}, busy: 3 * time.Second},
		"delay":                 {toxics: []proxy.Toxic{Delay{Latency: fixed(3000)}}, busy: 3 * time.Second},
		"rate":                  {toxics: []proxy.Toxic{Rate{Rate: fixed(1)}}, busy: 2 * time.Second},
		"copies":                {toxics: []proxy.Toxic{Duplicate{Rate: fixed(1), Delay: fixed(3000)}}, busy: 3 * time.Second},
		"picked out":            {toxics: []proxy.Toxic{Reorder{Rate: fixed(1), Packets: fixed(9), Delay: fixed(3000)}}, busy: 3 * time.Second},
		"one after the other":   {toxics: []proxy.Toxic{Latency{Latency: fixed(1000)}, Delay{Latency: fixed(2000)}}, busy: 3 * time.Second},
		"down":                  {toxics: []proxy.Toxic{Down{}}, lost: 2},
		"timeout":               {toxics: []proxy.Toxic{Timeout{}}, lost: 2},
		"dropped":               {toxics: []proxy.Toxic{Drop{Loss{Rate: fixed(1)}}}, lost: 2},
		"dropped in the end":    {toxics: []proxy.Toxic{Latency{Latency: fixed(3000)}, Down{}}, busy: 3 * time.Second, lost: 2},
		"for ever":              {toxics: []proxy.Toxic{forever{}}, lost: 2},
		"for ever, then passed": {toxics: []proxy.Toxic{forever{}, Latency{Latency: fixed(1000)}}, lost: 2},
	} {
		for _, d := range []proxy.Direction{proxy.Upstreamward, proxy.Downstreamward} {
			t.Run(name+" "+d.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var as []Active
					for i, toxic := range c.toxics {
						as = append(as, act(fmt.Sprint(i), d, toxic))
					}
					l := NewDatagramLink(NewSlot(as...), func(proxy.Direction, []byte) {}, Options{})
					if l.Busy() {
						t.Error("busy before anything has come")
					}
					for range 2 {
						l.Pass(d, []byte("a"))
					}
					if got := l.Busy(); got != (c.busy > 0) {
						t.Errorf("busy: %v", got)
					}
					if c.busy > 0 {
						time.Sleep(c.busy - time.Nanosecond)
						if !l.Busy() {
							t.Errorf("not busy any more before %v", c.busy)
						}
						time.Sleep(time.Nanosecond)
						synctest.Wait()
						if l.Busy() {
							t.Errorf("still busy after %v", c.busy)
						}
					}
					if r := l.Close(); r.Dropped != c.lost {
						t.Errorf("%+v, want %d dropped", r, c.lost)
					}
				})
			})
		}
	}
}

// forever withholds datagrams until it is removed.
type forever struct{}

func (forever) Type() string    { return "forever" }
func (forever) Validate() error { return nil }
func (forever) NewDatagram(Site) DatagramShaper {
	return packetFunc(func(p Packet, emit func(Packet)) { emit(Packet{Data: p.Data, Due: Never}) })
}

// What is held when a session ends is lost: it is counted, charged to the toxic that held it, and told to the Follower if nothing else got
// through.
func TestDatagramsHeldAtTheEndAreLost(t *testing.T) {
	for name, c := range map[string]struct {
		toxic     proxy.Toxic
		withheld  int
		told      []bool
		goesAhead bool // one gets through before the toxic comes into force
	}{
		"late":                   {toxic: Latency{Latency: fixed(3000)}, withheld: 2, told: []bool{true}},
		"late, one got through":  {toxic: Latency{Latency: fixed(3000)}, withheld: 2, told: []bool{true}, goesAhead: true},
		"picked out":             {toxic: Reorder{Rate: fixed(1), Packets: fixed(9), Delay: fixed(3000)}, withheld: 2, told: []bool{true}},
		"copies":                 {toxic: Duplicate{Rate: fixed(1), Delay: fixed(3000)}, withheld: 2, told: []bool{false}},
		"dropped":                {toxic: Down{}, told: []bool{true}},
		"nothing has been held":  {toxic: Noop{}, told: []bool{false}},
		"for ever":               {toxic: forever{}, withheld: 2, told: []bool{true}},
		"for ever, one got past": {toxic: forever{}, withheld: 2, told: []bool{true}, goesAhead: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []bool
				var final Observation
				a := act("x", proxy.Upstreamward, c.toxic)
				a.Observe = func(o Observation) {
					if o.Final {
						final = o
					}
				}
				slot, budget := NewSlot(), NewBudget(1<<20)
				l := NewDatagramLink(slot, func(proxy.Direction, []byte) {}, Options{Budget: budget})
				if c.goesAhead {
					l.Pass(proxy.Upstreamward, []byte("a"))
				}
				slot.Set(a)
				synctest.Wait()
				slot.Follow(Follower{Lost: func(isLost bool) { told = append(told, isLost) }})
				for range 2 {
					if !l.Pass(proxy.Upstreamward, []byte("b")) {
						t.Error("a datagram is not taken")
					}
				}
				r := l.Close()
				dropped := c.withheld
				if _, isDown := c.toxic.(Down); isDown {
					dropped = 2
				}
				if r.Withheld != int64(c.withheld) || r.Dropped != int64(dropped) || final.Lost != dropped {
					t.Errorf("%+v, %d charged to the toxic; want %d withheld, %d dropped", r, final.Lost, c.withheld, dropped)
				}
				if !slices.Equal(told, c.told) {
					t.Errorf("told %v, want %v", told, c.told)
				}
				if n := budget.Used(); n != 0 {
					t.Errorf("%d bytes are still taken", n)
				}
				if again := l.Close(); again.Dropped != r.Dropped || again.Withheld != r.Withheld {
					t.Errorf("closed again: %+v, before: %+v", again, r)
				}
				if l.Busy() || l.Pass(proxy.Upstreamward, []byte("c")) {
					t.Error("a link that is closed takes datagrams, or is busy")
				}
			})
		})
	}
}

// A direction whose toxic has panicked holds nothing that will go on.
func TestDatagramsBehindAPanicAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := act("hold", proxy.Upstreamward, Reorder{Rate: fixed(1), Packets: fixed(9), Delay: fixed(3000)})
		broken := act("broken", proxy.Upstreamward, panics{})
		slot := NewSlot(hold, broken)
		l := NewDatagramLink(slot, func(proxy.Direction, []byte) {}, Options{})
		for range 3 {
			l.Pass(proxy.Upstreamward, []byte("a"))
		}
		slot.Set(broken)
		synctest.Wait()
		if l.Busy() {
			t.Error("busy")
		}
		if r := l.Close(); r.Err == nil || r.Withheld != 2 {
			t.Errorf("%+v, want a panic at the first of three, and two that are lost", r)
		}
	})
}

type panics struct{}

func (panics) Type() string    { return "panics" }
func (panics) Validate() error { return nil }
func (panics) NewDatagram(Site) DatagramShaper {
	return packetFunc(func(Packet, func(Packet)) { panic("on purpose") })
}
