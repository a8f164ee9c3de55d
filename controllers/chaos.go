package controllers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// Chaos is what the data plane knows of Experiments.
type Chaos interface {
	// Status returns what has become of each Experiment. It is called about once per second, by one goroutine.
	Status() []proxy.ExperimentStatus
	// Retired returns what has become of those whose objects have been deleted.
	Retired() []proxy.ExperimentStatus
	// ToldHalt notes that the cluster has heard of the halt that arose here at a time, as that of a number (status.halts); 0 where it
	// does not count.
	ToldHalt(uid string, at time.Time, number uint64)
}

const (
	// chaosInterval is the time between two looks at the Experiments, unless there is news of them.
	chaosInterval = time.Second
	// countsInterval is the least time between two writes of an object for the sake of its counts alone.
	countsInterval = 5 * time.Second
	// agreement is how long build and data plane may differ, or the kill switch be unread, before a status says so: until then what
	// was said before stays, so that neither a change nor a restart looks as if faults had stopped.
	agreement = 5 * time.Second
)

// chaosReporter brings together what the build and what the data plane say of NetworkChaos. On every replica it tells the
// cluster that a guard has halted an experiment, or that somebody has lifted a halt, which holds on all of them; the rest is for the
// status writer, on the replica that leads.
type chaosReporter struct {
	chaos   Chaos
	news    <-chan struct{} // a phase has changed; may be nil
	report  func(map[types.NamespacedName]*status.NetworkChaos)
	deleted func(types.NamespacedName, *status.NetworkChaos) // is told of objects that are no more, and what they were last
	replica status.Replica                                   // this one
	reader  client.Reader
	writer  client.StatusClient
	log     *slog.Logger

	mu    sync.Mutex
	built map[types.NamespacedName]*status.NetworkChaos // by the latest build; guarded by mu
	fresh chan struct{}                                 // has room for one: there is a new build

	// Of the goroutine that runs.
	told  map[types.NamespacedName]told
	since map[types.NamespacedName]time.Time // when build and data plane began to differ, where they do
	halts map[string]toldHalt                // by UID
}

// toldHalt is the latest halt that arose here and that the cluster knows of: since when, and which of all halts of the object has been in
// force then, its own or one that was there already.
type toldHalt struct {
	at     time.Time
	number int64
	halt   v1alpha1.Halt
}

// told is what was said of an object last.
type told struct {
	status *status.NetworkChaos
	at     time.Time
}

// build notes what the latest build says.
func (c *chaosReporter) build(built map[types.NamespacedName]*status.NetworkChaos) {
	c.mu.Lock()
	c.built = built
	c.mu.Unlock()
	select {
	case c.fresh <- struct{}{}:
	default:
	}
}

// run works until ctx is done.
func (c *chaosReporter) run(ctx context.Context) {
	c.told, c.halts = map[types.NamespacedName]told{}, map[string]toldHalt{}
	tick := time.NewTicker(chaosInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.fresh:
		case <-c.news:
		}
		c.look(ctx, time.Now())
	}
}

// look compares what there is to say with what was said.
func (c *chaosReporter) look(ctx context.Context, now time.Time) {
	c.mu.Lock()
	built := c.built
	c.mu.Unlock()
	if len(built) == 0 && len(c.told) == 0 {
		return
	}
	live := map[types.UID]*proxy.ExperimentStatus{}
	if c.chaos != nil {
		for _, s := range c.chaos.Status() {
			live[types.UID(s.UID)] = &s
			c.tellHalt(ctx, &s)
		}
	}
	ended := func(key types.NamespacedName) bool {
		l := live[built[key].UID]
		return l != nil && (l.Phase == proxy.ExperimentExpired || l.Phase == proxy.ExperimentInvalid)
	}
	next := make(map[types.NamespacedName]told, len(built))
	since := map[types.NamespacedName]time.Time{}
	all := make(map[types.NamespacedName]*status.NetworkChaos, len(built))
	for key, b := range built {
		said := b.Without(func(other types.NamespacedName) bool { return ended(key) || ended(other) })
		n := told{said.With(live[b.UID], c.replica), now}
		last, ok := c.told[key]
		ok = ok && last.status.UID == b.UID
		if !b.Agrees(live[b.UID]) {
			began, differed := c.since[key]
			if !differed {
				began = now
			}
			since[key] = began
			switch {
			case now.Sub(began) >= agreement:
			case ok:
				n = last
			default:
				continue
			}
		}
		if ok && last.status.SameButCounts(n.status) && now.Sub(last.at) < countsInterval {
			n = last
		}
		next[key], all[key] = n, n.status
	}
	before := c.told
	c.told, c.since = next, since
	c.report(all)
	c.tellDeleted(before, built)
}

// tellDeleted tells of the objects that are not built any more, or are others by the same names.
func (c *chaosReporter) tellDeleted(before map[types.NamespacedName]told, built map[types.NamespacedName]*status.NetworkChaos) {
	gone := map[types.NamespacedName]*status.NetworkChaos{}
	for key, last := range before {
		if b := built[key]; b == nil || b.UID != last.status.UID {
			gone[key] = last.status
		}
	}
	if len(gone) == 0 {
		return
	}
	retired := map[types.UID]*proxy.ExperimentStatus{}
	if c.chaos != nil {
		for _, s := range c.chaos.Retired() {
			retired[types.UID(s.UID)] = &s
		}
	}
	for key, n := range gone {
		if live := retired[n.UID]; live != nil {
			n = n.WithCounts(live)
		}
		c.deleted(key, n)
	}
}

// tellHalt has the object's status say what has become of halts here, since they hold, and are lifted, for all replicas: a halt that
// arose here is written there unless one is in force already, and the one that is there is removed if it has been lifted here.
func (c *chaosReporter) tellHalt(ctx context.Context, s *proxy.ExperimentStatus) {
	last := c.halts[s.UID]
	isNew := !s.HaltedAt.IsZero() && !s.HaltedAt.Equal(last.at)
	if !isNew && s.LiftedHalts == 0 && last.at.IsZero() {
		return
	}
	var o v1alpha1.NetworkChaos
	err := c.reader.Get(ctx, types.NamespacedName{Namespace: s.ID.Namespace, Name: s.ID.Name}, &o)
	if apierrors.IsNotFound(err) || err == nil && (string(o.UID) != s.UID || isNew && o.Spec.Rearm != s.HaltedRearm) {
		return // it is no more, or has been re-armed
	}
	if err == nil {
		base := o.DeepCopy()
		if isNew {
			writeHalt(&o, s)
		} else {
			removeHalt(&o, s, last)
		}
		if !equality.Semantic.DeepEqual(base, &o) {
			err = c.writer.Status().Patch(ctx, &o, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		}
	}
	if err != nil {
		if !apierrors.IsConflict(err) && ctx.Err() == nil {
			c.log.Warn("cannot tell the cluster of a halt, will try again", "error", err, v1alpha1.KindNetworkChaos, s.ID.Namespace+"/"+s.ID.Name)
		}
		return
	}
	if isNew {
		c.halts[s.UID] = toldHalt{s.HaltedAt, o.Status.Halts, *o.Status.Halt}
		c.chaos.ToldHalt(s.UID, s.HaltedAt, uint64(max(o.Status.Halts, 0)))
	}
}

// writeHalt makes a halt that arose here the one that is in force, unless there is one already.
func writeHalt(o *v1alpha1.NetworkChaos, s *proxy.ExperimentStatus) {
	h := o.Status.Halt
	if h != nil && h.Rearm == s.HaltedRearm && o.Status.Halts >= int64(s.LiftedHalts) {
		return
	}
	at := metav1.NewTime(s.HaltedAt.Round(0)).Rfc3339Copy()
	o.Status.Halt = &v1alpha1.Halt{Time: at, Rearm: s.HaltedRearm, Message: s.HaltedReason[:min(len(s.HaltedReason), 1024)]}
	o.Status.Halts++
}

// removeHalt removes the halt if it has been lifted here: by its number or, before that was seen here, as the one that was told last. Who
// tells of halts without counting them, as where the CRD is older than this program, has none removed that is not known here.
func removeHalt(o *v1alpha1.NetworkChaos, s *proxy.ExperimentStatus, last toldHalt) {
	if o.Status.Halt == nil || !s.HaltedAt.IsZero() {
		return
	}
	isLast := !last.at.IsZero() && o.Status.Halts == last.number && equality.Semantic.DeepEqual(*o.Status.Halt, last.halt)
	if isLast || o.Status.Halts < int64(s.LiftedHalts) {
		o.Status.Halt = nil
	}
}
