package balancer

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
)

// target is an Endpoint with its live state.
type target struct {
	endpoint proxy.Endpoint
	inFlight atomic.Int64
}

func (t *target) Endpoint() proxy.Endpoint { return t.endpoint }
func (t *target) InFlight() int64          { return t.inFlight.Load() }

// targets makes one Target for each letter: "r" is ready, "t" is terminating.
func targets(states string) []proxy.Target {
	var all []proxy.Target
	for i, state := range states {
		all = append(all, &target{endpoint: proxy.Endpoint{
			Address:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80),
			Terminating: state == 't',
		}})
	}
	return all
}

// seeded is what a Picker draws from, the same in each run.
func seeded(seed uint64) func() uint64 { return chance.Seeded(seed).Source("test") }

func TestAllNamesItsPolicies(t *testing.T) {
	for _, p := range All() {
		if name := reflect.TypeOf(p.Value).Name(); name != p.Name || p.Doc == "" {
			t.Errorf("%s is listed as %q, %q", name, p.Name, p.Doc)
		}
		if !reflect.TypeOf(p.Value).Comparable() {
			t.Errorf("%s is not comparable", p.Name)
		}
	}
}

func TestDistribution(t *testing.T) {
	const picks = 100_000
	for _, p := range All() {
		for _, c := range []struct {
			states string
			usable []int
		}{
			{"r", []int{0}},
			{"rr", []int{0, 1}},
			{"rrrrr", []int{0, 1, 2, 3, 4}},
			{"trtrr", []int{1, 3, 4}},
			{"trt", []int{1}},
			{"ttt", []int{0, 1, 2}},
		} {
			picker := p.Value.New(targets(c.states), seeded(7))
			count := make([]int, len(c.states))
			for range picks {
				count[picker.Pick(nil, nil)]++
			}
			want := make([]int, len(c.states))
			for _, i := range c.usable {
				want[i] = picks / len(c.usable)
			}
			for i := range count {
				if off := count[i] - want[i]; off < -picks/50 || off > picks/50 || want[i] == 0 && count[i] > 0 {
					t.Errorf("%s on %s: %v, want %v within 2 %%", p.Name, c.states, count, want)
					break
				}
			}
		}
	}
}

func TestAvoid(t *testing.T) {
	for _, p := range All() {
		for _, c := range []struct {
			states  string
			avoided []int
			want    []int // what may be picked
		}{
			{"", nil, []int{-1}},
			{"r", []int{0}, []int{-1}},
			{"rrrr", []int{0, 1, 2}, []int{3}},
			{"rrrr", []int{1, 3}, []int{0, 2}},
			{"rrrr", []int{0, 1, 2, 3}, []int{-1}},
			{"trr", []int{1}, []int{2}},
			{"trr", []int{1, 2}, []int{-1}}, // terminating ones are not a second choice
			{"tt", []int{0}, []int{1}},
		} {
			picker := p.Value.New(targets(c.states), seeded(3))
			got := map[int]bool{}
			for range 100 {
				got[picker.Pick(nil, func(i int) bool {
					for _, a := range c.avoided {
						if a == i {
							return true
						}
					}
					return false
				})] = true
			}
			want := map[int]bool{}
			for _, i := range c.want {
				want[i] = true
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s on %q avoiding %v picks %v, want %v", p.Name, c.states, c.avoided, got, c.want)
			}
		}
	}
}

func TestRoundRobinTakesTurnsUnderConcurrency(t *testing.T) {
	const goroutines, rounds, n = 8, 500, 7
	picker := RoundRobin{}.New(targets("rrrrrrr"), seeded(1))
	var count [n]atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds * n {
				count[picker.Pick(nil, nil)].Add(1)
			}
		})
	}
	wg.Wait()
	for i := range count {
		if got := count[i].Load(); got != goroutines*rounds {
			t.Errorf("endpoint %d was picked %d times, want exactly %d", i, got, goroutines*rounds)
		}
	}
}

func TestRoundRobinPickersStartApart(t *testing.T) {
	all := targets("rrrrrrrrrr")
	starts := map[int]bool{}
	for range 200 {
		starts[RoundRobin{}.New(all, rand.Uint64).Pick(nil, nil)] = true
	}
	if len(starts) < 5 { // the chance of that is below 1e-50
		t.Errorf("200 pickers began at %d of 10 endpoints", len(starts))
	}
}

func TestLeastRequestPrefersIdle(t *testing.T) {
	all := targets("rrrr")
	all[0].(*target).inFlight.Store(100)
	picker := LeastRequest{}.New(all, seeded(1))
	for range 1000 {
		if picker.Pick(nil, nil) == 0 {
			t.Fatal("the busiest of all was picked although each draw holds a less busy one")
		}
	}
}

// TestLeastRequestBeatsRandom puts n requests that never end on n Endpoints: the fullest holds about ln ln n with two
// choices and about ln n / ln ln n with one (Mitzenmacher, "The power of two choices in randomized load balancing").
func TestLeastRequestBeatsRandom(t *testing.T) {
	fullest := func(b proxy.Balancer) int64 {
		var states [200]byte
		for i := range states {
			states[i] = 'r'
		}
		all := targets(string(states[:]))
		picker := b.New(all, seeded(11))
		most := int64(0)
		for range 200 {
			most = max(most, all[picker.Pick(nil, nil)].(*target).inFlight.Add(1))
		}
		return most
	}
	if two, one := fullest(LeastRequest{}), fullest(Random{}); two > 3 || two >= one {
		t.Errorf("the fullest endpoint holds %d with two choices, %d with one", two, one)
	}
}

func TestPickersRunConcurrently(t *testing.T) {
	for _, p := range All() {
		all := targets("rrtr")
		picker := p.Value.New(all, rand.Uint64)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 2000 {
					i := picker.Pick(nil, func(i int) bool { return i == 1 })
					if i != 0 && i != 3 {
						t.Errorf("%s picked %d", p.Name, i)
						return
					}
					state := all[i].(*target)
					state.inFlight.Add(1)
					state.inFlight.Add(-1)
				}
			})
		}
		wg.Wait()
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for _, p := range All() {
		picker := p.Value.New(targets("rrrt"), rand.Uint64)
		x := new(proxy.Exchange)
		avoid := func(i int) bool { return i == 0 }
		if n := testing.AllocsPerRun(1000, func() { picker.Pick(x, nil); picker.Pick(x, avoid) }); n != 0 {
			t.Errorf("%s: %v allocations", p.Name, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, p := range All() {
		for _, n := range []int{3, 300} {
			b.Run(fmt.Sprintf("%s/%d", p.Name, n), func(b *testing.B) {
				states := make([]byte, n)
				picker := p.Value.New(targets(string(states)), rand.Uint64)
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						picker.Pick(nil, nil)
					}
				})
			})
		}
	}
}
