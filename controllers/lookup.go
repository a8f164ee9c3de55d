package controllers

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// lookups watch what objects refer to beyond the kinds that are watched as a whole: each Secret and ConfigMap for itself, so that
// the right to read that one suffices, and pods by their labels, of which only names are fetched. The API server selects, so a
// lookup costs as much as what it finds; while nothing is referred to there is none.
type lookups struct {
	clients  kubernetes.Interface
	metadata metadata.Interface
	outage   *outage
	events   chan<- event
	news     chan struct{} // has room for one

	mu     sync.Mutex
	wanted []view.Lookup // guarded by mu
}

func newLookups(clients kubernetes.Interface, m metadata.Interface, o *outage, events chan<- event) *lookups {
	return &lookups{clients: clients, metadata: m, outage: o, events: events, news: make(chan struct{}, 1)}
}

// want says what is to be looked up from now on. It does not wait.
func (l *lookups) want(wanted []view.Lookup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Equal(wanted, l.wanted) {
		return
	}
	l.wanted = wanted
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// running is a lookup under way.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// run looks up what is wanted until ctx is done.
func (l *lookups) run(ctx context.Context) {
	all := map[view.Lookup]running{}
	defer func() {
		for _, r := range all {
			r.cancel()
			<-r.done
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.news:
		}
		l.mu.Lock()
		wanted := l.wanted
		l.mu.Unlock()
		for what, r := range all {
			if !slices.Contains(wanted, what) {
				r.cancel()
				<-r.done // so that nothing it finds comes after it is forgotten
				delete(all, what)
				l.send(ctx, func(v *view.View) { v.Forget(what) })
			}
		}
		for _, what := range wanted {
			if _, ok := all[what]; !ok {
				all[what] = l.start(ctx, what)
			}
		}
	}
}

func (l *lookups) start(ctx context.Context, what view.Lookup) running {
	ctx, cancel := context.WithCancel(ctx)
	r := running{cancel, make(chan struct{})}
	go func() {
		defer close(r.done)
		l.look(ctx, what)
	}()
	return r
}

// look keeps the View as the cluster is, as far as one lookup goes, until ctx is done.
func (l *lookups) look(ctx context.Context, what view.Lookup) {
	lister, object := l.source(what)
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: l.outage.bridge(lister),
		ObjectType:    object,
		Handler:       l.handler(ctx, what),
		Transform:     strip,
	})
	var listed sync.WaitGroup
	defer listed.Wait()
	listed.Go(func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			l.send(ctx, func(v *view.View) { v.Listed(what) })
		}
	})
	informer.RunWithContext(ctx)
}

// source returns where a lookup finds what it looks for.
func (l *lookups) source(what view.Lookup) (cache.ListerWatcher, runtime.Object) {
	narrow := func(o *metav1.ListOptions) {
		if what.Kind == "Pod" {
			o.LabelSelector = what.Labels
			return
		}
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", what.Name).String()
	}
	switch what.Kind {
	case "Secret":
		secrets := l.clients.CoreV1().Secrets(what.Namespace)
		return listWatch(narrow, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return secrets.List(ctx, o)
		}, secrets.Watch), &corev1.Secret{}
	case "ConfigMap":
		maps := l.clients.CoreV1().ConfigMaps(what.Namespace)
		return listWatch(narrow, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return maps.List(ctx, o)
		}, maps.Watch), &corev1.ConfigMap{}
	default:
		pods := l.metadata.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(what.Namespace)
		return listWatch(narrow, func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return pods.List(ctx, o)
		}, pods.Watch), &metav1.PartialObjectMetadata{}
	}
}

func listWatch(narrow func(*metav1.ListOptions), list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	watcher func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			narrow(&o)
			return list(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			narrow(&o)
			return watcher(ctx, o)
		},
	}
}

func (l *lookups) handler(ctx context.Context, what view.Lookup) cache.ResourceEventHandler {
	found := func(object any, is bool) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		o, ok := object.(client.Object)
		switch {
		case !ok:
		case what.Kind == "Pod":
			name := o.GetName()
			l.send(ctx, func(v *view.View) { v.SetPod(what, name, is) })
		case is:
			l.send(ctx, func(v *view.View) { v.Set(o) })
		default:
			l.send(ctx, func(v *view.View) { v.Delete(o) })
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { found(object, true) },
		UpdateFunc: func(_, object any) {
			if what.Kind != "Pod" { // a pod that is updated still has the labels
				found(object, true)
			}
		},
		DeleteFunc: func(object any) { found(object, false) },
	}
}

func (l *lookups) send(ctx context.Context, change func(*view.View)) {
	select {
	case l.events <- event{change: change, at: time.Now()}:
	case <-ctx.Done():
	}
}
