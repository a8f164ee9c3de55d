package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// event is a change of one object.
type event struct {
	object  view.Object // as it is now, or as it was last if it is deleted; nil: all kinds have been listed
	deleted bool
	// change, if not nil, is what a lookup has found; there is no object then.
	change func(*view.View)
	at     time.Time // when it arrived
}

// watcher feeds the loop from the informers.
type watcher struct {
	informers ctrlcache.Informers
	events    chan<- event
	// statusChanged is told of objects of which only the status has changed.
	statusChanged func(kind string, object client.Object)
	// placeChanged is told of a Gateway whose Service or EndpointSlice has changed.
	placeChanged func(gateway types.NamespacedName)
	// recheck is the time between two looks for a kind that is not installed, and between attempts after an error.
	recheck time.Duration
	log     *slog.Logger
}

// watch starts the informer of a kind as soon as the cluster has the kind, and calls listed once when all its objects
// have been sent to the loop, or when it is certain that the cluster does not have the kind for now. It returns when ctx
// is done.
func (w *watcher) watch(ctx context.Context, k kind, listed func()) {
	const quiet, failing, absent = 0, 1, 2
	said := quiet
	for {
		registration, err := w.register(ctx, k)
		switch {
		case err == nil:
			if said == absent {
				w.log.Info("the kind is installed now", "kind", k.name)
			}
			if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
				listed()
			}
			<-ctx.Done()
			return
		case ctx.Err() != nil:
			return
		case k.optional && meta.IsNoMatchError(err):
			if said != absent {
				w.log.Info("the kind is not installed; it is picked up when it is", "kind", k.name)
			}
			said = absent
			listed()
		default:
			if said != failing {
				w.log.Warn("cannot watch a kind, will try again", "kind", k.name, "error", err)
			}
			said = failing
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.recheck):
		}
	}
}

func (w *watcher) register(ctx context.Context, k kind) (cache.ResourceEventHandlerRegistration, error) {
	informer, err := w.informers.GetInformer(ctx, k.object, ctrlcache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("start the informer: %w", err)
	}
	return informer.AddEventHandler(w.handler(ctx, k))
}

func (w *watcher) handler(ctx context.Context, k kind) cache.ResourceEventHandler {
	send := func(object any, deleted bool) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		o, ok := object.(view.Object)
		if !ok {
			w.log.Error("an informer delivered something else than an object", "kind", k.name, "type", fmt.Sprintf("%T", object))
			return
		}
		if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == "Gateway" {
			w.placeChanged(types.NamespacedName{Namespace: o.GetNamespace(), Name: owner.Name})
		}
		select {
		case w.events <- event{object: o, deleted: deleted, at: time.Now()}:
		case <-ctx.Done():
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { send(object, false) },
		UpdateFunc: func(before, after any) {
			old, updated := before.(client.Object), after.(client.Object)
			switch {
			case old.GetResourceVersion() == updated.GetResourceVersion(): // a resync
			case k.status && onlyStatus(old, updated):
				w.statusChanged(k.name, updated)
			default:
				send(updated, false)
				if k.status && !sameHalt(old, updated) {
					w.statusChanged(k.name, updated)
				}
			}
		},
		DeleteFunc: func(object any) { send(object, true) },
	}
}
