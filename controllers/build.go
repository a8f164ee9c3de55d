package controllers

import (
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// DataPlane serves Snapshots.
type DataPlane interface {
	// Apply makes s what is served and returns when new requests see it. An error joins one error for each port that cannot
	// be bound; if it has a method Unbound() []proxy.ListenerID, the status of these Listeners' Gateways says so. Everything
	// else in s is served all the same. It is called by one goroutine.
	Apply(s *proxy.Snapshot) error
}

// Lane says how a batch of changes was built.
type Lane string

const (
	// LaneFull is translate.Build: anything may have changed.
	LaneFull Lane = "full"
	// LaneEndpoints is translate.Endpoints: only endpoints have changed.
	LaneEndpoints Lane = "endpoints"
	// LaneRetry is another attempt to bind what could not be bound; nothing has changed.
	LaneRetry Lane = "retry"
)

// Applied describes one change of what is served.
type Applied struct {
	Lane  Lane
	Build time.Duration // the translation
	Apply time.Duration // Apply
	Total time.Duration // from the arrival of the oldest change of the batch until Apply returned
	// Changes are attributes for a log line that name the objects which have come, changed and gone; nil if nobody knows.
	Changes []any
}

// builder runs translations and hands their outcome to the data plane. One goroutine uses it.
type builder struct {
	dataPlane DataPlane
	applied   func(Applied) // may be nil
	log       *slog.Logger

	last    *translate.Result // the last good result
	behind  bool              // the last build failed, so last is not what the View says
	unbound error             // what the last Apply returned
	refused int               // how often in a row Apply returned an error
}

// batch is a set of changes to build.
type batch struct {
	first time.Time // when the oldest of them arrived
	full  bool      // something else than endpoints has changed
	// services are those whose endpoints have changed.
	services map[types.NamespacedName]struct{}
}

func (b *batch) empty() bool { return !b.full && len(b.services) == 0 }

// build translates v after the changes of a batch and applies the outcome if it differs from what is served. If the
// translation fails, what is served stays. It reports whether everything is served as the View says.
func (b *builder) build(v *view.View, o translate.Options, changes batch) bool {
	began := time.Now()
	lane := LaneFull
	if !changes.full && b.last != nil && !b.behind {
		lane = LaneEndpoints
	}
	result, err := b.translate(v, o, lane, changes)
	if err != nil {
		b.behind = true
		b.log.Error("cannot translate the configuration; what was served before stays in service", "error", err)
		return false
	}
	b.behind = false
	previous := b.last
	b.last = result
	if b.unbound == nil && previous != nil && sameSnapshot(previous.Snapshot, result.Snapshot) {
		return true
	}
	return b.serve(Applied{Lane: lane, Build: time.Since(began)}, changes.first)
}

// serve applies the last good result; first is when the oldest change in it arrived.
func (b *builder) serve(a Applied, first time.Time) bool {
	began := time.Now()
	err := b.apply(b.last.Snapshot)
	again := b.unbound != nil && err != nil && b.unbound.Error() == err.Error()
	b.unbound = err
	switch {
	case err == nil && b.refused > 0:
		b.refused = 0
		b.log.Info("everything is served again")
	case err == nil:
	case again:
		b.refused++
		next, _ := b.retryAfter()
		b.log.Warn("still cannot serve everything, will try again", "error", err, "next", next)
	default:
		b.refused = 1
		next, _ := b.retryAfter()
		b.log.Error("cannot serve everything, will try again", "error", err, "next", next)
	}
	if b.applied != nil {
		a.Apply, a.Total = time.Since(began), time.Since(first)
		b.applied(a)
	}
	return err == nil
}

// Time until a Snapshot that could not be served completely is applied again: doubled from the first to the last.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// retryAfter returns when to serve again; ok is false if there is no reason to.
func (b *builder) retryAfter() (d time.Duration, ok bool) {
	if b.unbound == nil {
		return 0, false
	}
	return min(firstRetry<<min(b.refused-1, 10), lastRetry), true
}

// report returns the Report of the last good build as far as its Listeners are bound, nil if there was none.
func (b *builder) report() *status.Report {
	if b.last == nil {
		return nil
	}
	return withUnbound(b.last.Report, bindFailures(b.unbound))
}

// translate runs one translation. A panic in it is a bug of ours that some object brings out: it must not end the
// process. A second attempt from scratch helps if the fault lies in what was kept from the build before.
func (b *builder) translate(v *view.View, o translate.Options, lane Lane, changes batch) (*translate.Result, error) {
	if lane == LaneEndpoints {
		services := slices.Collect(maps.Keys(changes.services))
		result, err := contained(func() *translate.Result { return translate.Endpoints(v, o, b.last, services) })
		if err == nil {
			return result, nil
		}
		b.log.Error("the fast lane failed, building everything", "error", err)
	}
	if b.last != nil {
		result, err := contained(func() *translate.Result { return translate.Build(v, o, b.last) })
		if err == nil {
			return result, nil
		}
		b.log.Error("the incremental build failed, building from scratch", "error", err)
	}
	return contained(func() *translate.Result { return translate.Build(v, o, nil) })
}

func (b *builder) apply(s *proxy.Snapshot) (err error) {
	applied, panicked := contained(func() error { return b.dataPlane.Apply(s) })
	if panicked != nil {
		return panicked
	}
	return applied
}

// contained returns what f returns, or the panic that ended it as an error.
func contained[T any](f func() T) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(), nil
}

// sameSnapshot reports whether both hold the very same.
func sameSnapshot(a, b *proxy.Snapshot) bool {
	return a == b || slices.Equal(a.Listeners, b.Listeners) && maps.Equal(a.Backends, b.Backends) &&
		slices.Equal(a.Experiments, b.Experiments) && slices.Equal(a.Refused, b.Refused) && a.ChaosOff == b.ChaosOff && a.ChaosSwitch == b.ChaosSwitch &&
		slices.Equal(a.ChaosNamespaces, b.ChaosNamespaces)
}
