package status

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/queue"
)

// Key names an object whose status may be written.
type Key struct {
	Kind string // "Ingress", "GatewayClass", "Gateway", "HTTPRoute", "TCPRoute", "UDPRoute", "Service"
	types.NamespacedName
}

// Emitter emits Events. It is the part of client-go's events.EventRecorder that a Writer uses.
type Emitter interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// Config of a Writer.
type Config struct {
	Controller gatewayv1.GatewayController // whose entries in a route's status are ours
	Cached     client.Reader               // answers at once, perhaps with an older state
	Fresh      client.Reader               // answers with the latest state
	Status     client.StatusClient
	Events     Emitter
	Log        *slog.Logger
	Now        func() time.Time
	Workers    int // objects written at once
	// Provisioned are labels of the Services that this controller makes for its Gateways.
	Provisioned client.MatchingLabels
}

// Writer carries Reports to the API server: one write for each object and settled state. An object that has the desired
// status already, but for lastTransitionTime, is not written; what other controllers wrote is kept; a conflict is
// resolved by reading the object again. It writes only while Run runs, which is while this replica leads; then every
// object that differs is written. Its methods may be called concurrently.
type Writer struct {
	config Config
	queue  *queue.Queue[Key, desired]

	leading  atomic.Bool
	first    sync.Once
	reported chan struct{} // closed when there has been a Report

	mu        sync.Mutex
	emitted   map[Key]map[Event]bool                    // the Events each object's latest entry had; guarded by mu
	addresses []networkingv1.IngressLoadBalancerIngress // those of the latest Report; guarded by mu
}

// NewWriter returns a Writer that has nothing to write.
func NewWriter(c Config) *Writer {
	w := &Writer{config: c, reported: make(chan struct{}), emitted: map[Key]map[Event]bool{}}
	w.queue = queue.New(queue.Config[Key, desired]{
		Equal:   sameDesired,
		Write:   w.write,
		Failed:  w.failed,
		Workers: c.Workers,
	})
	return w
}

// Report makes r the desired status of every object. It does not wait for anything to be written.
func (w *Writer) Report(r *Report) {
	wanted := map[Key]bool{}
	set := func(kind string, name types.NamespacedName, d desired) {
		key := Key{kind, name}
		wanted[key] = true
		w.queue.Set(key, d)
	}
	for name, d := range r.GatewayClasses {
		set("GatewayClass", types.NamespacedName{Name: name}, d)
	}
	for name, d := range r.Gateways {
		set("Gateway", name, d)
	}
	r.Routes(func(name types.NamespacedName, d *Route) { set(d.Kind, name, d) })
	for name, d := range r.Ingresses {
		set("Ingress", name, d)
	}
	for name, d := range r.Services {
		set("Service", name, d)
	}
	for _, key := range w.queue.Keys() {
		if !wanted[key] && key.Kind != v1alpha1.KindNetworkChaos { // these are not in a Report's gift alone: see NetworkChaos
			w.withdraw(key)
		}
	}
	w.mu.Lock()
	w.addresses = r.LoadBalancer
	w.mu.Unlock()
	w.first.Do(func() { close(w.reported) })
}

// withdraw handles an object that the latest Report does not speak of any more: it is gone or no longer ours. What we
// wrote about a route's parents, an Ingress's addresses and a Gateway goes; a replica that does not lead leaves that to
// the one that does, and to sweep, but for what it has begun itself.
func (w *Writer) withdraw(key Key) {
	last, ok := w.queue.Desired(key)
	if !ok {
		return // done meanwhile
	}
	if former := formerOf(last); former != nil && (w.leading.Load() || isFormer(last)) {
		w.queue.Set(key, former)
		return
	}
	w.forget(key, last)
}

// Check has the object's status compared with the latest Report again, because someone may have changed it.
func (w *Writer) Check(key Key) { w.queue.Check(key) }

// Run writes until ctx is done, and returns when nothing is being written any more.
func (w *Writer) Run(ctx context.Context) {
	w.leading.Store(true)
	defer w.leading.Store(false)
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	sweeping.Go(func() {
		select {
		case <-w.reported:
			w.sweep(ctx)
		case <-ctx.Done():
		}
	})
	w.queue.Run(ctx)
}

// forget ends the care for an object unless something else than d is desired of it by now.
func (w *Writer) forget(key Key, d desired) {
	if !w.queue.ForgetIf(key, d) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.emitted, key)
}

// write brings one object's status to what is desired.
func (w *Writer) write(ctx context.Context, key Key, d desired) error {
	err := w.attempt(ctx, w.config.Cached, key, d)
	if apierrors.IsConflict(err) || err == nil && isFormer(d) { // the cache may not have seen what is to go
		err = w.attempt(ctx, w.config.Fresh, key, d)
	}
	switch {
	case apierrors.IsNotFound(err), err == nil && isFormer(d):
		w.forget(key, d)
		return nil
	case apierrors.IsInvalid(err):
		// Another attempt would end the same way; the next change of the object or the Report is a new chance.
		w.config.Log.Error("the API server refuses the status", "error", err, key.Kind, key.NamespacedName)
		return nil
	}
	return err
}

func (w *Writer) attempt(ctx context.Context, reader client.Reader, key Key, d desired) error {
	obj := d.object()
	if err := reader.Get(ctx, key.NamespacedName, obj); err != nil {
		return err
	}
	uid, generation := d.of()
	if uid != "" && (uid != obj.GetUID() || generation < obj.GetGeneration()) {
		return nil // the next Report will speak of the object as it is now
	}
	m := merge{controller: w.config.Controller, now: metav1.NewTime(w.config.Now()).Rfc3339Copy()}
	if c, ok := d.(conditional); ok {
		if applies, err := c.applies(ctx, reader, obj, m); err != nil || !applies {
			return err
		}
	}
	base := obj.DeepCopyObject().(client.Object)
	d.merge(obj, m)
	if !equality.Semantic.DeepEqual(base, obj) {
		patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
		if err := w.config.Status.Status().Patch(ctx, obj, patch); err != nil {
			return fmt.Errorf("write status: %w", err)
		}
		w.config.Log.Debug("status written", key.Kind, key.NamespacedName)
		if t, ok := d.(transitional); ok {
			for _, e := range t.transitions(base, obj) {
				w.eventf(obj, e)
			}
		}
	}
	w.emit(key, obj, d.events())
	return nil
}

// maxNote is the longest message that an Event may carry, in bytes (events.k8s.io/v1).
const maxNote = 1024

// emit emits the Events that the object's previous entry did not have.
func (w *Writer) emit(key Key, obj client.Object, events []Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.emitted[key]
	now := make(map[Event]bool, len(events))
	for _, e := range events {
		if !before[e] && !now[e] {
			w.eventf(obj, e)
		}
		now[e] = true
	}
	if len(now) == 0 {
		delete(w.emitted, key)
		return
	}
	w.emitted[key] = now
}

func (w *Writer) eventf(obj client.Object, e Event) {
	w.config.Events.Eventf(obj, nil, e.Type, e.Reason, "Translate", "%s", strings.ToValidUTF8(e.Message[:min(len(e.Message), maxNote)], ""))
}

func (w *Writer) failed(key Key, err error) {
	w.config.Log.Warn("cannot write a status, will try again", "error", err, key.Kind, key.NamespacedName)
}
