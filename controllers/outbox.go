package controllers

import (
	"context"
	"sync"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
	"github.com/breakwater-gateway/breakwater/controllers/status"
)

// places is what the Gateways of this controller should have.
type places struct {
	gateways []*gatewayv1.Gateway
	ports    infrastructure.Ports
	pods     infrastructure.Pods
}

// outbox takes what the loop has for the writers, so that the loop does not wait for the writers to look at it. The latest
// of each wins.
type outbox struct {
	news chan struct{} // has room for one

	mu     sync.Mutex
	report *status.Report // guarded by mu; nil: nothing new
	places *places        // guarded by mu; nil: nothing new
}

func newOutbox() *outbox { return &outbox{news: make(chan struct{}, 1)} }

// put leaves a Report and places; nil leaves what is there.
func (o *outbox) put(r *status.Report, p *places) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r != nil {
		o.report = r
	}
	if p != nil {
		o.places = p
	}
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// deliver passes on what is put until ctx is done.
func (o *outbox) deliver(ctx context.Context, report func(*status.Report), place func(*places)) {
	var last *status.Report
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.news:
		}
		o.mu.Lock()
		r, p := o.report, o.places
		o.report, o.places = nil, nil
		o.mu.Unlock()
		if p != nil {
			place(p)
		}
		if r != nil && r != last {
			report(r)
			last = r
		}
	}
}
