package infrastructure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/queue"
)

// Config of a Writer.
type Config struct {
	Controller gatewayv1.GatewayController // whose classes are ours
	Client     client.Client               // reads from the cache
	Log        *slog.Logger
	// Warn emits an Event about a Gateway.
	Warn func(gateway *gatewayv1.Gateway, reason, message string)
}

// ReasonServiceConflict is the reason of the Event for a Gateway whose Service's name is taken by another Service.
const ReasonServiceConflict = "ServiceConflict"

// Writer creates and updates the Service and the EndpointSlices of every Gateway while Run runs, which is while this
// replica leads. What belongs to a deleted Gateway goes with it, by its owner reference. A Gateway that is served no more
// loses its EndpointSlices, for its pod ports may become another's; its Service stays, and with it the address, in case
// the Gateway comes back. A Gateway that has left while nobody led is found at the beginning of a term. Its methods may be
// called concurrently.
type Writer struct {
	config  Config
	queue   *queue.Queue[types.NamespacedName, *desired]
	leading atomic.Bool

	first sync.Once
	told  chan struct{} // closed when Set has been called

	mu     sync.Mutex
	ending map[types.NamespacedName]bool // Gateways that are being deleted; guarded by mu
}

// desired is what one Gateway should have.
type desired struct {
	gateway *gatewayv1.Gateway
	service *corev1.Service // nil: the Gateway is served no more
	slices  []*discoveryv1.EndpointSlice
}

// workers is the number of Gateways written at once.
const workers = 4

// NewWriter returns a Writer that has nothing to write.
func NewWriter(c Config) *Writer {
	w := &Writer{config: c, told: make(chan struct{})}
	w.queue = queue.New(queue.Config[types.NamespacedName, *desired]{
		Equal: func(a, b *desired) bool {
			return a.gateway.UID == b.gateway.UID && equality.Semantic.DeepEqual(a.service, b.service) &&
				equality.Semantic.DeepEqual(a.slices, b.slices)
		},
		Write: w.write,
		Failed: func(key types.NamespacedName, err error) {
			c.Log.Warn("cannot write a Gateway's Service, will try again", "error", err, "Gateway", key)
		},
		Workers: workers,
	})
	return w
}

// Set makes ports and pods the desired state of these Gateways, and has no other Gateway looked after any more. Gateways
// without ports get no Service. It does not wait for anything to be written.
func (w *Writer) Set(gateways []*gatewayv1.Gateway, ports Ports, pods Pods, kind corev1.ServiceType) {
	wanted, ending := map[types.NamespacedName]bool{}, map[types.NamespacedName]bool{}
	for _, gateway := range gateways {
		key := keyOf(gateway)
		if gateway.DeletionTimestamp != nil {
			ending[key] = true
			continue
		}
		if len(ports[key]) == 0 {
			continue
		}
		wanted[key] = true
		w.queue.Set(key, &desired{gateway, Service(gateway, ports[key], kind), EndpointSlices(gateway, ports[key], pods)})
	}
	w.mu.Lock()
	w.ending = ending
	w.mu.Unlock()
	for _, key := range w.queue.Keys() {
		switch last, ok := w.queue.Desired(key); {
		case !ok || wanted[key]:
		case w.leading.Load() && !ending[key]:
			w.queue.Set(key, &desired{gateway: last.gateway})
		default:
			w.queue.Forget(key)
		}
	}
	w.first.Do(func() { close(w.told) })
}

// Check has the Gateway's Service and EndpointSlices compared with the desired ones again.
func (w *Writer) Check(gateway types.NamespacedName) { w.queue.Check(gateway) }

// Run writes until ctx is done, and returns when nothing is being written any more.
func (w *Writer) Run(ctx context.Context) {
	w.leading.Store(true)
	defer w.leading.Store(false)
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	sweeping.Go(func() { w.sweep(ctx) })
	w.queue.Run(ctx)
}

// sweep finds the EndpointSlices of Gateways that nobody has spoken of: they ceased to be served while nobody led.
func (w *Writer) sweep(ctx context.Context) {
	select {
	case <-w.told:
	case <-ctx.Done():
		return
	}
	var list discoveryv1.EndpointSliceList
	if err := w.config.Client.List(ctx, &list, client.MatchingLabels{discoveryv1.LabelManagedBy: SliceManagedBy}); err != nil {
		if ctx.Err() == nil {
			w.config.Log.Warn("EndpointSlices are not looked through for those of former Gateways", "error", err)
		}
		return
	}
	w.mu.Lock()
	ending := w.ending
	w.mu.Unlock()
	for i := range list.Items {
		slice := &list.Items[i]
		ref := metav1.GetControllerOf(slice)
		if ref == nil || ref.Kind != "Gateway" {
			continue
		}
		former := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: slice.Namespace, Name: ref.Name, UID: ref.UID}}
		if key := keyOf(former); !ending[key] && !w.others(ctx, key) {
			w.queue.SetIfAbsent(key, &desired{gateway: former})
		}
	}
}

// others reports whether a Gateway is another controller's: that of another installation has objects with the same labels.
func (w *Writer) others(ctx context.Context, key types.NamespacedName) bool {
	var gateway gatewayv1.Gateway
	if err := w.config.Client.Get(ctx, key, &gateway); err != nil {
		return !apierrors.IsNotFound(err)
	}
	var class gatewayv1.GatewayClass
	if err := w.config.Client.Get(ctx, client.ObjectKey{Name: string(gateway.Spec.GatewayClassName)}, &class); err != nil {
		return !apierrors.IsNotFound(err)
	}
	return class.Spec.ControllerName != w.config.Controller
}

func (w *Writer) write(ctx context.Context, key types.NamespacedName, d *desired) error {
	if d.service == nil {
		return w.withdraw(ctx, key, d)
	}
	ours, err := w.writeService(ctx, d)
	if err != nil || !ours {
		return err
	}
	for _, name := range sliceNames(d.gateway.Name) {
		at := slices.IndexFunc(d.slices, func(s *discoveryv1.EndpointSlice) bool { return s.Name == name })
		if at >= 0 {
			err = errors.Join(err, w.writeSlice(ctx, d.gateway, d.slices[at]))
		} else {
			err = errors.Join(err, w.removeSlice(ctx, d.gateway, name))
		}
	}
	return err
}

// withdraw removes the EndpointSlices of a Gateway that is served no more.
func (w *Writer) withdraw(ctx context.Context, key types.NamespacedName, d *desired) error {
	var err error
	for _, name := range sliceNames(d.gateway.Name) {
		err = errors.Join(err, w.removeSlice(ctx, d.gateway, name))
	}
	if err == nil {
		w.queue.ForgetIf(key, d)
	}
	return err
}

// writeService reports whether the Service is the Gateway's.
func (w *Writer) writeService(ctx context.Context, d *desired) (ours bool, err error) {
	existing := &corev1.Service{}
	err = w.config.Client.Get(ctx, client.ObjectKeyFromObject(d.service), existing)
	if apierrors.IsNotFound(err) {
		if err := w.config.Client.Create(ctx, d.service.DeepCopy()); err != nil {
			return false, fmt.Errorf("create Service: %w", err)
		}
		w.config.Log.Info("Service created", "Gateway", keyOf(d.gateway), "Service", d.service.Name)
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read Service: %w", err)
	}
	if !metav1.IsControlledBy(existing, d.gateway) {
		w.config.Warn(d.gateway, ReasonServiceConflict,
			fmt.Sprintf("the Service %s exists and does not belong to this Gateway: no address can be assigned", existing.Name))
		return false, nil
	}
	merged, changed := Merge(existing, d.service)
	if !changed {
		return true, nil
	}
	if err := w.patch(ctx, existing, merged); err != nil {
		return true, fmt.Errorf("update Service: %w", err)
	}
	w.config.Log.Info("Service updated", "Gateway", keyOf(d.gateway), "Service", d.service.Name)
	return true, nil
}

func (w *Writer) writeSlice(ctx context.Context, gateway *gatewayv1.Gateway, want *discoveryv1.EndpointSlice) error {
	existing := &discoveryv1.EndpointSlice{}
	err := w.config.Client.Get(ctx, client.ObjectKeyFromObject(want), existing)
	switch {
	case apierrors.IsNotFound(err):
		if err := w.config.Client.Create(ctx, want.DeepCopy()); err != nil {
			return fmt.Errorf("create EndpointSlice: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read EndpointSlice: %w", err)
	case !metav1.IsControlledBy(existing, gateway):
		return fmt.Errorf("the EndpointSlice %s does not belong to this Gateway", existing.Name)
	}
	merged := existing.DeepCopy()
	mergeMap(&merged.Labels, want.Labels)
	merged.Endpoints, merged.Ports = want.Endpoints, want.Ports
	if equality.Semantic.DeepEqual(existing, merged) {
		return nil
	}
	if err := w.patch(ctx, existing, merged); err != nil {
		return fmt.Errorf("update EndpointSlice: %w", err)
	}
	return nil
}

// patch changes existing to merged unless someone else has changed it meanwhile. Only what differs is sent, because a
// cached object lacks what the cache leaves out.
func (w *Writer) patch(ctx context.Context, existing, merged client.Object) error {
	return w.config.Client.Patch(ctx, merged, client.MergeFromWithOptions(existing, client.MergeFromWithOptimisticLock{}))
}

func (w *Writer) removeSlice(ctx context.Context, gateway *gatewayv1.Gateway, name string) error {
	existing := &discoveryv1.EndpointSlice{}
	err := w.config.Client.Get(ctx, types.NamespacedName{Namespace: gateway.Namespace, Name: name}, existing)
	if apierrors.IsNotFound(err) || (err == nil && !metav1.IsControlledBy(existing, gateway)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read EndpointSlice: %w", err)
	}
	if err := w.config.Client.Delete(ctx, existing); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete EndpointSlice: %w", err)
	}
	return nil
}
