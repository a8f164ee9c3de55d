package balancer

import "github.com/breakwater-gateway/breakwater/proxy"

// Random takes an Endpoint at random, each as likely as the others.
type Random struct{}

var _ proxy.Balancer = Random{}

// New makes the Picker.
func (Random) New(targets []proxy.Target, bits func() uint64) proxy.Picker {
	if len(targets) == 1 {
		return single{}
	}
	return &random{newCandidates(targets), bits}
}

type random struct {
	candidates candidates
	random     func() uint64
}

// Pick returns one at random; for a retry the first one after it that is not avoided.
func (p *random) Pick(_ *proxy.Exchange, avoid func(i int) bool) int {
	if len(p.candidates) == 0 {
		return -1
	}
	if at := p.candidates.from(draw(p.random(), len(p.candidates)), avoid); at >= 0 {
		return p.candidates[at]
	}
	return -1
}
