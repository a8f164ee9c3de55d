package chaos

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// plan is what is to be done for requests and connections now. It is immutable but for its cache.
type plan struct {
	actions []*action   // those that act, in the order in which they compose
	caps    []*action   // of Experiments that are stopped before their time: their MaxPercent binds, they do nothing else
	tokens  []tokenRule // of all Experiments, whether they act or not

	byListener, byBackend bool     // some target is a Listener, or a Backend
	cache                 sync.Map // *proxy.Route to *variants
}

// tokenRule says where tokens are removed.
type tokenRule struct {
	of    *proxy.Experiment // its ID, Targets and Spared
	token *proxy.Token
}

// variants are the concerns of one Route, by what else tells them apart.
type variants struct{ list atomic.Pointer[[]variant] }

type variant struct {
	listener proxy.ListenerID // zero if no target is a Listener
	backend  proxy.BackendID  // zero if no target is a Backend
	concern  *concern         // nil: nothing
}

// concern is what is to be done for the requests of one Route, Listener and Backend. It is immutable.
type concern struct {
	interests []interest
	shares    []share // the budgets that the requests count for
	strip     []stripping
	guarded   bool // some interest has a Guard
}

// stripping removes the tokens of an Experiment from requests.
type stripping struct {
	tokenRule
	ifValid bool // requests without a valid one are left alone: their Route is spared
}

// interest is one action that a request concerns.
type interest struct {
	*action
	dry []share // the budgets of a dry run, which is all it may look at
}

// concernOf finds what a request concerns; nil is nothing.
func (p *plan) concernOf(r *proxy.Route, l *proxy.ListenerID, b proxy.BackendID) *concern {
	var v *variants
	if got, ok := p.cache.Load(r); ok {
		v = got.(*variants)
	} else {
		got, _ := p.cache.LoadOrStore(r, &variants{})
		v = got.(*variants)
	}
	if list := v.list.Load(); list != nil && !p.byListener && !p.byBackend {
		return (*list)[0].concern
	}
	key := variant{}
	if p.byListener {
		key.listener = *l
	}
	if p.byBackend {
		key.backend = b
	}
	for {
		list := v.list.Load()
		if list != nil {
			for i := range *list {
				if one := &(*list)[i]; one.listener == key.listener && one.backend == key.backend {
					return one.concern
				}
			}
		}
		key.concern = p.find(r.ID.Object, *l, b, p.strips(r, l))
		next := []variant{key}
		if list != nil {
			next = append(slices.Clone(*list), key)
		}
		v.list.CompareAndSwap(list, &next)
	}
}

// find works out what concerns the traffic of a Route, a Listener and a Backend, from whose requests strip is removed.
func (p *plan) find(route proxy.ObjectID, l proxy.ListenerID, b proxy.BackendID, strip []stripping) *concern {
	c := &concern{strip: strip}
	for _, a := range p.actions {
		i := interest{action: a}
		found := false
		for n, t := range a.cfg.Targets {
			if !covers(a.cfg, t, route, l, b) {
				continue
			}
			found = true
			switch {
			case a.cfg.MaxPercent <= 0:
			case a.cfg.DryRun:
				i.dry = append(i.dry, a.share(n))
			default:
				c.shares = append(c.shares, a.share(n))
			}
		}
		if found {
			c.interests = append(c.interests, i)
			c.guarded = c.guarded || a.cfg.Guard != nil
		}
	}
	if len(c.interests) == 0 && len(c.strip) == 0 {
		return nil
	}
	for _, a := range p.caps {
		for n, t := range a.cfg.Targets {
			if covers(a.cfg, t, route, l, b) {
				c.shares = append(c.shares, a.share(n))
			}
		}
	}
	return c
}

// share is what each request for the nth target gives to its budget.
func (a *action) share(n int) share { return share{a.budgets[n], rate(a.cfg.MaxPercent)} }

// caps reports whether the experiment does not act but bounds what others may touch: who halts or suspends it wants less damage, not
// what it has kept the others from. That ends with its window. Engine.mu is held.
func (x *experiment) caps() bool {
	return !x.acting && x.window.open && x.problem == "" && x.refused == "" && (x.cfg.Suspend || x.isHalted()) &&
		x.cfg.MaxPercent > 0 && !x.cfg.DryRun
}

// strips says which tokens are removed from the requests of a Route on a Listener: those of every Experiment whose targets are one of
// the two or any Backend of the Route, also from requests that another Backend gets, or whose Route is spared. No Backend is to see a
// token.
func (p *plan) strips(r *proxy.Route, l *proxy.ListenerID) (all []stripping) {
	for _, rule := range p.tokens {
		s := stripping{tokenRule: rule, ifValid: true}
		found := false
		for _, t := range rule.of.Targets {
			is := isTarget(t, r.ID.Object, *l, proxy.BackendID{}) ||
				slices.ContainsFunc(r.Backends, func(b proxy.WeightedBackend) bool { return isTarget(t, r.ID.Object, *l, b.Backend) })
			found = found || is
			s.ifValid = s.ifValid && !(is && !isSpared(rule.of, t, r.ID.Object))
		}
		if found {
			all = append(all, s)
		}
	}
	return all
}

// Concerns reports whether an Experiment has traffic of the Route, Listener and Backend among its targets.
func Concerns(x *proxy.Experiment, route proxy.ObjectID, l proxy.ListenerID, b proxy.BackendID) bool {
	return slices.ContainsFunc(x.Targets, func(t proxy.ExperimentTarget) bool { return covers(x, t, route, l, b) })
}

// covers reports whether t, a target of x, is the Route, or the Listener or Backend that serve it unless its namespace is spared.
func covers(x *proxy.Experiment, t proxy.ExperimentTarget, route proxy.ObjectID, l proxy.ListenerID, b proxy.BackendID) bool {
	return isTarget(t, route, l, b) && !isSpared(x, t, route)
}

// isSpared reports whether a Route is left alone although t, a target of x, is a Listener or Backend that serves it.
func isSpared(x *proxy.Experiment, t proxy.ExperimentTarget, route proxy.ObjectID) bool {
	_, spared := slices.BinarySearch(x.Spared, route.Namespace)
	return spared && t.Object != route
}

// isTarget reports whether t is the Route, the Listener or the Backend.
func isTarget(t proxy.ExperimentTarget, route proxy.ObjectID, l proxy.ListenerID, b proxy.BackendID) bool {
	switch t.Object.Kind {
	case gateway:
		return t.Object == l.Object && (t.Section == "" || t.Section == l.Section)
	case service:
		return b.Kind == service && t.Object.Namespace == b.Namespace && t.Object.Name == b.Name
	default:
		return t.Object == route
	}
}

const (
	gateway = "Gateway"
	service = "Service"
)

// rebuild makes the plan that fits the experiments as they are now, and lets live connections follow it. e.mu is held.
func (e *Engine) rebuild(fresh bool) {
	next := &plan{}
	for _, x := range e.order {
		switch {
		case x.acting:
			next.actions = append(next.actions, x.act)
		case x.caps():
			next.caps = append(next.caps, x.act)
		}
		if x.cfg.Token != nil {
			next.tokens = append(next.tokens, tokenRule{x.cfg, x.cfg.Token})
		}
		for _, t := range x.cfg.Targets {
			next.byListener = next.byListener || t.Object.Kind == gateway
			next.byBackend = next.byBackend || t.Object.Kind == service
		}
	}
	old := e.plan.Load()
	changed := old == nil && len(next.actions) > 0 ||
		old != nil && !(slices.Equal(old.actions, next.actions) && slices.Equal(old.caps, next.caps))
	switch {
	case len(next.actions) == 0 && len(next.tokens) == 0:
		next = nil
	case old != nil && !changed && !fresh && slices.EqualFunc(old.tokens, next.tokens, sameRule):
		return
	}
	e.plan.Store(next)
	if changed {
		end(old, next)
		e.conns.update(nil)
	}
}

func sameRule(a, b tokenRule) bool {
	return a.token == b.token && slices.Equal(a.of.Targets, b.of.Targets) && slices.Equal(a.of.Spared, b.of.Spared)
}

// end tells the toxics that are in old and not in next that they are not in force any more.
func end(old, next *plan) {
	if old == nil {
		return
	}
	kept := map[*armed]bool{}
	if next != nil {
		for _, a := range next.actions {
			for _, t := range a.toxics {
				kept[t] = true
			}
		}
	}
	for _, a := range old.actions {
		for _, t := range a.toxics {
			if !kept[t] {
				close(t.gone)
			}
		}
	}
}
