package balancer

import "github.com/breakwater-gateway/breakwater/proxy"

// LeastRequest draws two Endpoints at random and takes the one with fewer requests in flight ("power of two choices"):
// nearly as even as looking at all of them, at a cost that does not grow with their number, and without every proxy
// rushing to the same idle Endpoint.
type LeastRequest struct{}

var _ proxy.Balancer = LeastRequest{}

// New makes the Picker.
func (LeastRequest) New(targets []proxy.Target, random func() uint64) proxy.Picker {
	if len(targets) == 1 {
		return single{}
	}
	return &leastRequest{targets: targets, candidates: newCandidates(targets), random: random}
}

type leastRequest struct {
	targets    []proxy.Target
	candidates candidates
	random     func() uint64
}

// Pick returns the less busy of two.
func (p *leastRequest) Pick(_ *proxy.Exchange, avoid func(i int) bool) int {
	n := len(p.candidates)
	if n == 0 {
		return -1
	}
	first := p.candidates.from(draw(p.random(), n), avoid)
	if first < 0 {
		return -1
	}
	a := p.candidates[first]
	if n == 1 {
		return a
	}
	// Another one: skip 1 to n-1 places ahead.
	other := first + 1 + draw(p.random(), n-1)
	if other >= n {
		other -= n
	}
	second := p.candidates.from(other, avoid)
	if second < 0 {
		return a
	}
	if b := p.candidates[second]; p.targets[b].InFlight() < p.targets[a].InFlight() {
		return b
	}
	return a
}
