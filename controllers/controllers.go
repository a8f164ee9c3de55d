package controllers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// Config of Controllers that read a cluster.
type Config struct {
	REST      *rest.Config // of the API server; its QPS, if 0, is set to what a large cluster needs
	DataPlane DataPlane
	Log       *slog.Logger

	// Translate says what is ours and how it is translated. Placement is ours to set; without
	// Addresses those of the Service are used.
	Translate translate.Options
	Gateways  Gateways
	Pods      Pods
	Leader    Leader

	// Applied, if not nil, is told of every change of what is served. It must not block.
	Applied func(Applied)
	// Problems, if not nil, is told how many things are wrong with the objects of ours. It must not block.
	Problems func(int)
	// Chaos, if not nil, is what the data plane knows of Experiments, and ChaosNews, if not nil, gets a notice when the phase of
	// one changes, so that a halt is told at once.
	Chaos     Chaos
	ChaosNews <-chan struct{}
	// Recheck is the time between two looks for kinds that are not installed; 0 is 10 s.
	Recheck time.Duration
}

// Gateways says what a Gateway gets.
type Gateways struct {
	Ports       infrastructure.Range // pod ports to choose from
	ServiceType corev1.ServiceType   // LoadBalancer, NodePort or ClusterIP; empty is LoadBalancer
}

// Pods says how the replicas are reached. A Gateway's traffic is led to them, and Ingresses get the Service's address as
// their status.
type Pods struct {
	// Service selects the pods of all replicas; its EndpointSlices are where their addresses come from.
	Service types.NamespacedName
	// Address is this replica's own; it is used while there is no such Service, so for one replica only. It may be
	// empty.
	Address string
}

const (
	// queries to the API server per second, and at once. A thousand routes that change together are then written
	// within seconds; the API server's own fairness protects it.
	defaultQPS   = 200
	defaultBurst = 400
	// statusWorkers is the number of statuses written at once.
	statusWorkers = 8
	// eventBuffer is how many changes may wait for the loop before informers wait for it.
	eventBuffer    = 1024
	defaultRecheck = 10 * time.Second
)

// Controllers keep the data plane and the statuses as the cluster says.
type Controllers struct {
	config  Config
	cluster cluster.Cluster
	clients kubernetes.Interface
	events  chan event
	loop    *loop
	outbox  *outbox
	// broadcaster sends the Events.
	broadcaster events.EventBroadcaster
	status      *status.Writer
	places      *infrastructure.Writer
	lookups     *lookups
	chaos       *chaosReporter
}

// New returns Controllers that have not begun. It does not talk to the API server, so the API server may be away.
func New(c Config) (*Controllers, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, fmt.Errorf("register types: %w", err)
	}
	out := &outage{log: c.Log}
	cl, err := cluster.New(c.REST, func(o *cluster.Options) {
		o.Scheme = scheme
		o.Cache = cacheOptions(out)
		o.Logger = logr.FromSlogHandler(c.Log.Handler())
	})
	if err != nil {
		return nil, fmt.Errorf("set up the cluster's caches: %w", err)
	}
	clients, err := kubernetes.NewForConfigAndClient(c.REST, cl.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up the cluster's clients: %w", err)
	}
	names, err := metadata.NewForConfigAndClient(c.REST, cl.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up the cluster's clients: %w", err)
	}
	ctl := &Controllers{
		config:      c,
		cluster:     cl,
		clients:     clients,
		events:      make(chan event, eventBuffer),
		outbox:      newOutbox(),
		broadcaster: events.NewBroadcaster(&events.EventSinkImpl{Interface: clients.EventsV1()}),
	}
	ctl.lookups = newLookups(clients, names, out, ctl.events)
	ctl.makeLoop()
	ctl.makeWriters(ctl.broadcaster.NewRecorder(scheme, c.Translate.Controller))
	return ctl, nil
}

// complete sets defaults and reports what cannot be used.
func (c *Config) complete() error {
	if c.REST == nil || c.DataPlane == nil || c.Log == nil {
		return errors.New("controllers: REST, DataPlane and Log are required")
	}
	if c.Translate.Controller == "" {
		return errors.New("controllers: the controller's name is required")
	}
	if c.Leader.Namespace == "" || c.Leader.Name == "" || c.Leader.Identity == "" {
		return errors.New("controllers: namespace and name of the Lease and the identity of this replica are required")
	}
	if c.Gateways.ServiceType == "" {
		c.Gateways.ServiceType = corev1.ServiceTypeLoadBalancer
	}
	if c.Recheck == 0 {
		c.Recheck = defaultRecheck
	}
	c.Leader.setDefaults()
	c.REST = rest.CopyConfig(c.REST)
	if c.REST.QPS == 0 {
		c.REST.QPS, c.REST.Burst = defaultQPS, defaultBurst
	}
	if c.REST.Dial == nil {
		c.REST.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return c.Gateways.Ports.Validate()
}

func (c *Controllers) makeLoop() {
	c.loop = &loop{
		events:  c.events,
		options: c.config.Translate,
		ports:   c.config.Gateways.Ports,
		pods:    c.config.Pods,
		builder: builder{dataPlane: c.config.DataPlane, applied: c.config.Applied, log: c.config.Log},
		outbox:  c.outbox,
		lookups: c.lookups,
		synced:  make(chan struct{}),
		log:     c.config.Log,
		view:    view.New(),
	}
}

func (c *Controllers) makeWriters(recorder events.EventRecorder) {
	c.status = status.NewWriter(status.Config{
		Controller: gatewayv1.GatewayController(c.config.Translate.Controller),
		Cached:     c.cluster.GetClient(),
		Fresh:      c.cluster.GetAPIReader(),
		Status:     c.cluster.GetClient(),
		Events:     recorder,
		Log:        c.config.Log,
		Now:        time.Now,
		Workers:    statusWorkers,

		Provisioned: map[string]string{infrastructure.LabelManagedBy: infrastructure.ManagedBy},
	})
	c.chaos = &chaosReporter{
		chaos:   c.config.Chaos,
		news:    c.config.ChaosNews,
		report:  c.status.NetworkChaos,
		deleted: c.status.DeletedChaos,
		replica: status.Replica{Name: c.config.Leader.Identity, Switch: c.config.Translate.Chaos.SwitchName()},
		reader:  c.cluster.GetClient(),
		writer:  c.cluster.GetClient(),
		log:     c.config.Log,
		fresh:   make(chan struct{}, 1),
	}
	c.places = infrastructure.NewWriter(infrastructure.Config{
		Controller: gatewayv1.GatewayController(c.config.Translate.Controller),
		Client:     c.cluster.GetClient(),
		Log:        c.config.Log,
		Warn: func(gateway *gatewayv1.Gateway, reason, message string) {
			recorder.Eventf(gateway, nil, corev1.EventTypeWarning, reason, "Provision", "%s", message)
		},
	})
}

// Synced reports whether all kinds have been listed and the first full snapshot serves. Once true it stays so, whatever
// becomes of the API server.
func (c *Controllers) Synced() bool {
	select {
	case <-c.loop.synced:
		return true
	default:
		return false
	}
}

// Run works until ctx is done, and returns when everything it started has ended. It can be called once.
func (c *Controllers) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		failures error
	)
	start := func(what string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				mu.Lock()
				failures = errors.Join(failures, fmt.Errorf("%s: %w", what, err))
				mu.Unlock()
				cancel() // one part less is none
			}
		})
	}
	if err := c.broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("start the event recorder: %w", err)
	}
	defer c.broadcaster.Shutdown()
	start("caches", c.cluster.Start)
	start("watches", c.watch)
	start("loop", func(ctx context.Context) error { c.loop.run(ctx); return nil })
	start("outbox", func(ctx context.Context) error { c.outbox.deliver(ctx, c.report, c.provide); return nil })
	start("lookups", func(ctx context.Context) error { c.lookups.run(ctx); return nil })
	start("chaos", func(ctx context.Context) error { c.chaos.run(ctx); return nil })
	start("leader election", func(ctx context.Context) error {
		return lead(ctx, c.config.Leader, c.clients, c.config.Log, c.write)
	})
	wg.Wait()
	return failures
}

// watch watches every kind, and tells the loop when all have been listed.
func (c *Controllers) watch(ctx context.Context) error {
	w := &watcher{
		informers:     c.cluster.GetCache(),
		events:        c.events,
		statusChanged: c.statusChanged,
		placeChanged:  c.places.Check,
		recheck:       c.config.Recheck,
		log:           c.config.Log,
	}
	var watches, unlisted sync.WaitGroup
	for _, k := range kinds() {
		unlisted.Add(1)
		watches.Go(func() {
			listed := sync.OnceFunc(unlisted.Done)
			defer listed()
			w.watch(ctx, k, listed)
		})
	}
	unlisted.Wait()
	select {
	case c.events <- event{at: time.Now()}:
	case <-ctx.Done():
	}
	watches.Wait()
	return nil
}

// statusChanged has a status that someone wrote compared with the desired one: perhaps it was not us.
func (c *Controllers) statusChanged(kind string, object client.Object) {
	c.status.Check(status.Key{Kind: kind, NamespacedName: client.ObjectKeyFromObject(object)})
}

// report takes what there is to say about the objects from the loop.
func (c *Controllers) report(r *status.Report) {
	c.status.Report(r)
	c.chaos.build(r.NetworkChaos)
	if c.config.Problems != nil {
		c.config.Problems(len(findings(r)))
	}
}

// provide takes what the Gateways should have from the loop.
func (c *Controllers) provide(p *places) {
	c.places.Set(p.gateways, p.ports, p.pods, c.config.Gateways.ServiceType)
}

// write runs the writers for one term of leadership.
func (c *Controllers) write(term context.Context) {
	var writers sync.WaitGroup
	writers.Go(func() { c.status.Run(term) })
	writers.Go(func() { c.places.Run(term) })
	writers.Wait()
}
