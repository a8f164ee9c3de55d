package controllers

import (
	"context"
	"log/slog"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// loop is the goroutine that owns the View: it takes events, collects them to batches and has each batch built.
type loop struct {
	events  <-chan event
	options translate.Options // without Placement
	ports   infrastructure.Range
	pods    Pods
	builder builder
	outbox  *outbox
	lookups *lookups // nil: nothing is looked up
	// synced is closed when the first full snapshot serves.
	synced chan struct{}
	log    *slog.Logger

	view      *view.View
	pace      pace
	listed    bool // every kind has been listed: the View is whole
	batch     batch
	allocated infrastructure.Ports
}

// run works until ctx is done.
func (l *loop) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		var due <-chan time.Time
		if wait, ok := l.pace.wait(time.Now()); ok && l.listed {
			if wait == 0 {
				l.drain()
				l.build()
				continue
			}
			timer.Reset(wait)
			due = timer.C
		} else if again, ok := l.builder.retryAfter(); ok {
			timer.Reset(again)
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case e := <-l.events:
			l.take(e)
		case <-due:
			if !l.pace.pending {
				l.retry()
			}
		}
	}
}

// drain takes the events that are there already, so that they need no build of their own.
func (l *loop) drain() {
	for range len(l.events) {
		l.take(<-l.events)
	}
}

// take brings the View up to date with one event and notes what has to be built.
func (l *loop) take(e event) {
	if e.change != nil {
		e.change(l.view)
		l.note(e.at)
		l.batch.full = true
		return
	}
	if e.object == nil {
		l.listed = true
		l.log.Info("all kinds are listed")
		l.note(e.at)
		l.batch.full = true
		return
	}
	slice, ok := e.object.(*discoveryv1.EndpointSlice)
	if !ok {
		l.set(e)
		l.note(e.at)
		l.batch.full = true
		return
	}
	if slice.Labels[discoveryv1.LabelManagedBy] == infrastructure.SliceManagedBy {
		return // ours: they lead back to this proxy
	}
	key := types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name}
	before, was := l.view.ServiceOf(key)
	l.set(e)
	after, is := l.view.ServiceOf(key)
	if was {
		l.changed(e.at, before)
	}
	if is {
		l.changed(e.at, after)
	}
}

func (l *loop) set(e event) {
	if e.deleted {
		l.view.Delete(e.object)
	} else {
		l.view.Set(e.object)
	}
}

func (l *loop) changed(at time.Time, service types.NamespacedName) {
	l.note(at)
	if l.batch.services == nil {
		l.batch.services = map[types.NamespacedName]struct{}{}
	}
	l.batch.services[service] = struct{}{}
}

func (l *loop) note(at time.Time) {
	if l.batch.empty() {
		l.batch.first = at
	}
	l.pace.add()
}

// build builds the batch and hands the outcome on.
func (l *loop) build() {
	changes := l.batch
	l.batch = batch{}
	began := time.Now()
	options := l.options
	gateways := l.gateways()
	l.allocated = infrastructure.Record(gateways, l.view.Services, l.ports, l.allocated)
	ports, without := infrastructure.Allocate(gateways, l.allocated, l.ports)
	options.Placement = infrastructure.Placement{Ports: l.allocated, Without: without, Range: l.ports, Services: l.view.Services}
	if service := l.view.Services[l.pods.Service]; service != nil && len(options.Addresses) == 0 {
		options.Addresses = infrastructure.Addresses(service)
	}
	done := l.builder.build(l.view, options, changes)
	l.pace.built(began, time.Now())
	if done {
		l.serving()
	}
	var next *places
	if _, podsChanged := changes.services[l.pods.Service]; changes.full || podsChanged {
		next = &places{gateways: gateways, ports: ports, pods: l.addresses()}
	}
	l.outbox.put(l.builder.report(), next)
	if l.lookups != nil && l.builder.last != nil {
		l.lookups.want(l.builder.last.Lookups())
	}
}

// retry serves the last good result again, because not everything in it could be bound.
func (l *loop) retry() {
	if l.builder.serve(Applied{Lane: LaneRetry}, time.Now()) {
		l.serving()
	}
	l.outbox.put(l.builder.report(), nil)
}

// serving notes that everything is served as the View says.
func (l *loop) serving() {
	select {
	case <-l.synced:
	default:
		l.log.Info("the first full snapshot serves")
		close(l.synced)
	}
}

// gateways returns the Gateways of our classes.
func (l *loop) gateways() []*gatewayv1.Gateway {
	var result []*gatewayv1.Gateway
	for _, g := range l.view.Gateways {
		class := l.view.GatewayClasses[string(g.Spec.GatewayClassName)]
		if class != nil && string(class.Spec.ControllerName) == l.options.Controller {
			result = append(result, g)
		}
	}
	return result
}

// addresses returns where the replicas are.
func (l *loop) addresses() infrastructure.Pods {
	if l.view.Services[l.pods.Service] == nil {
		return infrastructure.PodAt(l.pods.Address)
	}
	return infrastructure.PodsOf(l.view.EndpointSlices[l.pods.Service])
}
