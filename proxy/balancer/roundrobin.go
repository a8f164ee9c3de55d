package balancer

import (
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// RoundRobin takes the Endpoints in turn. Over any n picks in a row, whatever the goroutines, each of n Endpoints is
// picked once. The start is drawn at random so that many Pickers, here and in other replicas, do not march in step.
type RoundRobin struct{}

var _ proxy.Balancer = RoundRobin{}

// New makes the Picker.
func (RoundRobin) New(targets []proxy.Target, random func() uint64) proxy.Picker {
	if len(targets) == 1 {
		return single{}
	}
	p := &roundRobin{candidates: newCandidates(targets)}
	p.next.Store(random() >> 1) // far from wrapping round, which would break the turn
	return p
}

type roundRobin struct {
	candidates candidates
	_          [64]byte // the counter is written by every pick: keep it off the cache line that all picks read
	next       atomic.Uint64
}

// Pick returns the next Endpoint; for a retry the first one after it that is not avoided.
func (p *roundRobin) Pick(_ *proxy.Exchange, avoid func(i int) bool) int {
	n := len(p.candidates)
	if n == 0 {
		return -1
	}
	start := int(p.next.Add(1) % uint64(n))
	if at := p.candidates.from(start, avoid); at >= 0 {
		return p.candidates[at]
	}
	return -1
}
