package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/breakwater-gateway/breakwater/controllers"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/breakwater-gateway/breakwater/proxy/chance"
	"github.com/breakwater-gateway/breakwater/proxy/router"
	"github.com/breakwater-gateway/breakwater/proxy/server"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
	"github.com/spf13/pflag"
)

// processOptions are the flags of everything but where the configuration comes from.
type processOptions struct {
	data      dataOptions
	objects   objectOptions
	chaos     experimentOptions
	admin     adminOptions
	toxiproxy toxiproxyOptions
	accessLog accessLogOptions
	log       logOptions
	stop      stopOptions
}

// groups returns the flags by owner.
func (o *processOptions) groups() []group {
	gs := []group{newGroup("Objects", o.objects.add)}
	gs = append(gs, o.data.groups()...)
	return append(gs,
		newGroup("Experiments", o.chaos.add),
		newGroup("Admin endpoint", o.admin.add),
		newGroup("API for Toxiproxy's clients", o.toxiproxy.add),
		newGroup("Logs", func(f *pflag.FlagSet) { o.log.add(f); o.accessLog.add(f) }),
		newGroup("Stop", o.stop.add),
	)
}

// stopOptions are the flags of the graceful stop.
type stopOptions struct {
	drainDelay  time.Duration
	gracePeriod time.Duration
}

func (o *stopOptions) add(f *pflag.FlagSet) {
	f.DurationVar(&o.drainDelay, "drain-delay", 0,
		"how long to serve on after /readyz has turned 503, so that load balancers notice (default 5s in a cluster)")
	f.DurationVar(&o.gracePeriod, "grace-period", 30*time.Second,
		"how long requests in flight, TCP connections and UDP sessions may go on at the end; that requests were cut off makes exit code 1")
}

func (o *stopOptions) validate() error {
	return notNegative(flagValue[time.Duration]{"drain-delay", o.drainDelay}, flagValue[time.Duration]{"grace-period", o.gracePeriod})
}

// clusterDrainDelay is the drain delay in a cluster if none is given: endpoints of a Service are withdrawn in that time.
const clusterDrainDelay = 5 * time.Second

// source provides the configuration.
type source interface {
	// Run feeds the data plane until ctx is done.
	Run(ctx context.Context) error
	// Synced reports whether the first full configuration serves.
	Synced() bool
}

var (
	_ source = (*controllers.Controllers)(nil)
	_ source = (*controllers.Files)(nil)
)

// process is everything that runs, and the order in which it stops.
type process struct {
	log     *slog.Logger
	stop    stopOptions
	metrics *telemetry.Metrics

	chaos     experiments
	server    *server.Server
	dataPlane *dataPlane
	source    source
	// replica is the name of this replica, and chaosSwitch what switches chaos off in all; empty without a cluster.
	replica, chaosSwitch string

	accessLog *telemetry.AccessLog // nil: off
	operator  *operator            // nil: off
	toxiproxy *toxiproxyAPI        // nil: off
	// serving is called once, when the first configuration serves; nil is nothing. The source's goroutine uses it.
	serving func()
	sleep   func(d time.Duration, hasty <-chan struct{}) // until hasty is closed at most
	final   finalReport
	// appliedLevel is how loudly changes of the configuration are logged: in a cluster they are many.
	appliedLevel slog.Level
}

// newProcess starts what serves, which has nothing to serve yet. newSource makes the source for it.
func (o *processOptions) newProcess(stdout io.Writer, log *slog.Logger, newSource func(*process) (source, error)) (_ *process, err error) {
	logLines, logging, err := o.accessLog.options()
	if err != nil {
		return nil, err
	}
	for _, validate := range []func() error{
		o.objects.validate,
		o.stop.validate,
		o.chaos.final.validate,
		func() error { return o.toxiproxy.validate(o.objects.ingressPort) },
	} {
		if err := validate(); err != nil {
			return nil, err
		}
	}
	limitMemory(log)
	p := &process{log: log, stop: o.stop, metrics: telemetry.New(), appliedLevel: slog.LevelDebug, sleep: sleepUnlessHasty, final: o.chaos.final}
	config, err := o.data.config(p.metrics, nil, log)
	if err != nil {
		return nil, err
	}
	if logging {
		p.accessLog = telemetry.NewAccessLog(stdout, logLines, p.metrics)
		config.AccessLog = p.accessLog
	}
	if p.chaos, err = o.chaos.start(log); err != nil {
		if p.accessLog != nil {
			err = errors.Join(err, p.accessLog.Close())
		}
		return nil, err
	}
	config.Chaos = p.chaos.Engine
	if o.chaos.hasSeed() {
		config.Draws = chance.Seeded(o.chaos.routingSeed)
	}
	p.server = server.New(config)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	routes := &tcpRoutes{address: o.data.bindAddress, snapshot: p.server.Snapshot, set: p.chaos.SetManual}
	p.dataPlane = &dataPlane{
		server: p.server, ingressPort: o.objects.ingressPort, failed: make(chan error, 1), changed: routes.follow,
	}
	o.objects.trustsNobody = len(o.data.trustedProxies) == 0
	if p.source, err = newSource(p); err != nil {
		return nil, err
	}
	o.toxiproxy.hosts = o.admin.hosts
	if p.toxiproxy, err = o.toxiproxy.start(toxiproxy.Config{
		Routes: routes, Connections: config.Connections.Share(o.data.proxyConnections()), Held: config.Toxics, Chaos: p.chaos.Engine,
		Log: bounded(log),
	}); err != nil {
		return nil, err
	}
	p.operator, err = o.admin.start(admin.Config{
		Ready:    p.ready,
		Metrics:  telemetry.NewRegistry(p.metrics, readVersion().module),
		Snapshot: p.server.Snapshot,
		Explain:  p.explain,
		Chaos:    p.chaos.Engine,
		Replica:  p.replica,
		Switch:   p.chaosSwitch,
		Toxics:   p.toxiproxy.list(),
	}, log)
	return p, err
}

// ready is what /readyz says.
func (p *process) ready() error {
	if f, ok := p.source.(*controllers.Files); ok && f.Waiting() != nil {
		return f.Waiting()
	}
	if err := p.server.Ready(); err != nil {
		return err
	}
	if !p.source.Synced() {
		return errors.New("the first full configuration is not served yet")
	}
	return nil
}

func (p *process) explain(q admin.Query) (fmt.Stringer, error) {
	return explain(q, p.server.Snapshot(), func(port uint16, r *proxy.Request) (router.Explanation, error) {
		return p.server.Explain(port, r)
	}, p.chaos.Engine)
}

// applied is told of every change of what is served.
func (p *process) applied(a controllers.Applied) {
	switch a.Lane {
	case controllers.LaneFull:
		p.metrics.Built(telemetry.FullLane, a.Build)
		p.metrics.Propagated(a.Total)
	case controllers.LaneEndpoints:
		p.metrics.Built(telemetry.EndpointsLane, a.Build)
		p.metrics.Propagated(a.Total)
	case controllers.LaneRetry: // nothing has changed
	}
	if a.Lane != controllers.LaneRetry { // which the controllers log themselves
		p.log.Log(context.Background(), p.appliedLevel, "configuration applied",
			append(a.Changes, "lane", string(a.Lane), "build", a.Build, "apply", a.Apply, "total", a.Total)...)
	}
	if p.serving != nil && p.server.Ready() == nil {
		p.serving()
		p.serving = nil
	}
}

// run serves until ctx ends or something fails, and stops in order: it becomes unready, serves on for the drain delay,
// closes its ports, lets requests in flight end, and only then stops following the configuration. If haste is asked for (heed), it waits
// for no request and no delay any more, and leaves nothing else out.
func (p *process) run(ctx context.Context) error {
	hasty := heed(ctx)
	feeding, stopFeeding := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFeeding()
	fed := make(chan error, 1)
	go func() { fed <- p.source.Run(feeding) }()
	reclaimed := make(chan struct{})
	go func() {
		defer close(reclaimed)
		reclaimMemory(feeding)
	}()
	defer p.obeyHangups()()

	var failure error
	select {
	case <-ctx.Done():
		p.drain(hasty)
	case err := <-fed:
		failure = errors.Join(errors.New("the configuration is no longer followed"), err)
		fed <- nil
	case failure = <-p.dataPlane.failed:
	case failure = <-p.operator.failed():
	case failure = <-p.toxiproxy.failed():
	}
	stopped := p.shutdown(hasty)
	stopFeeding()
	<-reclaimed
	reported := p.final.write(p.chaos.Report())
	err := errors.Join(failure, stopped, reported, <-fed, p.close())
	if err == nil {
		p.log.Info("stopped")
	}
	return err
}

// obeyHangups has SIGHUP open the fault log anew, and do nothing without one, until the function that is returned is called.
func (p *process) obeyHangups() (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			p.chaos.reopen(p.log)
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

// drain serves on while whoever sends traffic notices that this process is not ready any more.
func (p *process) drain(hasty <-chan struct{}) {
	p.log.Info("stopping", "drainDelay", p.stop.drainDelay, "gracePeriod", p.stop.gracePeriod)
	p.server.Drain()
	p.sleep(p.stop.drainDelay, hasty)
}

func sleepUnlessHasty(d time.Duration, hasty <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hasty:
	}
}

// shutdown closes the ports and lets requests in flight end.
func (p *process) shutdown(hasty <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), p.stop.gracePeriod)
	defer cancel()
	go func() {
		select {
		case <-hasty:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := p.server.Shutdown(ctx)
	cut := (*server.CutError)(nil)
	switch {
	case !errors.As(err, &cut):
		return err
	case errors.Is(cut, context.Canceled):
		return cutInHaste(cut)
	default:
		return cutOff(cut, p.stop.gracePeriod, p.log)
	}
}

// cutInHaste says what another signal has cut off, nil if that is nothing.
func cutInHaste(e *server.CutError) error {
	var what []string
	if e.Requests > 0 {
		what = append(what, counted(e.Requests, "request", "requests"))
	}
	if streams := cutStreams(e); streams != "" {
		what = append(what, streams)
	}
	if len(what) == 0 {
		return nil
	}
	return fmt.Errorf("stop: another signal has cut off %s", strings.Join(what, ", "))
}

// close ends everything, at once.
func (p *process) close() error {
	cut, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.server.Shutdown(cut) // that it cuts requests off is what is wanted
	err := errors.Join(p.operator.close(), p.toxiproxy.close(), p.chaos.close())
	if p.accessLog != nil {
		err = errors.Join(err, p.accessLog.Close())
	}
	return err
}
