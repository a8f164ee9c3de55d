package balancer

import "github.com/breakwater-gateway/breakwater/proxy"

// Policy is one entry of All.
type Policy struct {
	Name  string
	Doc   string // one sentence for people
	Value proxy.Balancer
}

// All returns every policy of this package; the first is the default.
func All() []Policy {
	return []Policy{
		{"RoundRobin", "each endpoint in turn", RoundRobin{}},
		{"LeastRequest", "of two endpoints drawn at random, the one with fewer requests in flight", LeastRequest{}},
		{"Random", "an endpoint at random", Random{}},
	}
}

// candidates are the indexes of the Targets that may be picked. Terminating ones are among them only if there is no
// other (KEP-1669). It is read-only once made.
type candidates []int

func newCandidates(targets []proxy.Target) candidates {
	c := make(candidates, 0, len(targets))
	for i, t := range targets {
		if !t.Endpoint().Terminating {
			c = append(c, i)
		}
	}
	if len(c) == 0 {
		for i := range targets {
			c = append(c, i)
		}
	}
	return c
}

// from returns the place of the first candidate at or after start, going round once, that is not avoided; -1 if there
// is none. 0 <= start < len(c), unless c is empty.
func (c candidates) from(start int, avoid func(i int) bool) int {
	for i := range c {
		at := start + i
		if at >= len(c) {
			at -= len(c)
		}
		if avoid == nil || !avoid(c[at]) {
			return at
		}
	}
	return -1
}

// single is the Picker of a Backend with one Endpoint, whatever the policy: it holds nothing, so that a request to one of
// thousands of such Backends need not wait for the memory of its Picker.
type single struct{}

// Pick returns the only Endpoint.
func (single) Pick(_ *proxy.Exchange, avoid func(i int) bool) int {
	if avoid != nil && avoid(0) {
		return -1
	}
	return 0
}

// draw turns 64 random bits into a number from 0 to n-1, each as likely as the others but for n parts in 2^64.
func draw(bits uint64, n int) int { return int(scale(bits, uint64(n))) }
