package backend

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// Table holds the Backends that are referenced. It is immutable: Update and Endpoints return another one that shares
// what has not changed.
type Table struct {
	// Backends by identity: Snapshot.Backends.
	Backends map[proxy.BackendID]*proxy.Backend
	// Reports are the Events about Services that are referenced.
	Reports map[types.NamespacedName]*status.Service

	entries  map[proxy.BackendID]entry
	problems map[proxy.BackendID]problem // of which there are few
}

// entry is what a Backend was made from.
type entry struct {
	service *corev1.Service // nil: it does not exist
	uses    int             // references
}

// NewTable returns an empty Table.
func NewTable() *Table {
	return &Table{Backends: map[proxy.BackendID]*proxy.Backend{}, Reports: map[types.NamespacedName]*status.Service{}}
}

// Uses counts references to Backends: positive where they are new, negative where they have gone.
type Uses map[proxy.BackendID]int

// Add notes that the references gained and lost have appeared and gone.
func (u Uses) Add(gained, lost []proxy.BackendID) {
	for _, id := range gained {
		u[id]++
	}
	for _, id := range lost {
		u[id]--
	}
}

// Update returns the Table after a change of references, with every Backend as the View has it now; t itself if that is
// the same. delta says what has changed in the View since t was made.
func (t *Table) Update(v *view.View, delta *view.Delta, changes Uses) *Table {
	next := t.edit(len(changes))
	for id, change := range changes {
		if change != 0 {
			next.use(id, change)
		}
	}
	if !delta.Everything {
		next.refreshSome(v, delta, changes)
		return next.orBefore(t)
	}
	for id, e := range next.table.entries {
		next.refresh(v, id, e)
	}
	return next.orBefore(t)
}

// Endpoints returns the Table with the Backends of these Services made anew from their EndpointSlices, and false if one
// of the Services themselves has changed, so that an Update is due. Its cost does not depend on the number of Backends
// but for the copy of one map.
func (t *Table) Endpoints(v *view.View, services []types.NamespacedName) (*Table, bool) {
	next := t.edit(0)
	for _, key := range services {
		service := v.Services[key]
		if service == nil {
			continue // its Backends, if any, stay empty
		}
		for _, id := range backendsOf(key, service) {
			e, used := t.entries[id]
			if !used {
				continue
			}
			if e.service != service {
				return nil, false
			}
			next.replace(id, service, v.EndpointSlices[key])
		}
	}
	return next.orBefore(t), true
}

// backendsOf returns every Backend that EndpointSlices of a Service can belong to.
func backendsOf(key types.NamespacedName, service *corev1.Service) []proxy.BackendID {
	ids := make([]proxy.BackendID, 0, 2*len(service.Spec.Ports))
	for i := range service.Spec.Ports {
		id := proxy.BackendID{Kind: Kind, Namespace: key.Namespace, Name: key.Name, Port: service.Spec.Ports[i].Port}
		switch service.Spec.Ports[i].Protocol {
		case corev1.ProtocolTCP, "":
			ids = append(ids, id)
			id.Stream = proxy.TCP
			ids = append(ids, id)
		case corev1.ProtocolUDP:
			id.Stream = proxy.UDP
			ids = append(ids, id)
		}
	}
	return ids
}

// edition is a Table in the making: its maps are those of the Table before until the first change.
type edition struct {
	table        *Table
	ownsEntries  bool
	ownsBackends bool
	ownsProblems bool
	grow         int
}

func (t *Table) edit(grow int) *edition {
	return &edition{table: &Table{Backends: t.Backends, Reports: t.Reports, entries: t.entries, problems: t.problems}, grow: grow}
}

// orBefore returns the new Table, or before if nothing has changed.
func (n *edition) orBefore(before *Table) *Table {
	if n.ownsProblems {
		n.table.Reports = reports(n.table.problems)
	}
	if !n.ownsEntries && !n.ownsBackends && !n.ownsProblems {
		return before
	}
	return n.table
}

func (n *edition) use(id proxy.BackendID, change int) {
	n.ownEntries()
	e := n.table.entries[id]
	e.uses += change
	if e.uses > 0 {
		n.table.entries[id] = e
		return
	}
	delete(n.table.entries, id)
	n.note(id, problem{})
	if _, ok := n.table.Backends[id]; ok {
		n.ownBackends()
		delete(n.table.Backends, id)
	}
}

// refreshSome refreshes the Backends that are new or whose Service or EndpointSlices have changed.
func (n *edition) refreshSome(v *view.View, delta *view.Delta, changes Uses) {
	for id := range changes {
		if e, ok := n.table.entries[id]; ok {
			n.refresh(v, id, e)
		}
	}
	if len(delta.Services)+len(delta.EndpointSlices) == 0 {
		return
	}
	for id, e := range n.table.entries {
		key := types.NamespacedName{Namespace: id.Namespace, Name: id.Name}
		if delta.Services[key] || delta.EndpointSlices[key] {
			n.refresh(v, id, e)
		}
	}
}

// refresh makes a Backend anew from its Service and EndpointSlices as they are now.
func (n *edition) refresh(v *view.View, id proxy.BackendID, e entry) {
	key := types.NamespacedName{Namespace: id.Namespace, Name: id.Name}
	service := v.Services[key]
	if service != e.service {
		n.ownEntries()
		n.table.entries[id] = entry{service, e.uses}
	}
	n.note(id, problemOf(service, id))
	n.replace(id, service, v.EndpointSlices[key])
}

// replace puts the Backend in place, and keeps the one that is there if it is equal.
func (n *edition) replace(id proxy.BackendID, service *corev1.Service, list []*discoveryv1.EndpointSlice) {
	backend := &proxy.Backend{ID: id, Protocol: cmp.Or(id.Stream, proxy.HTTP1), Endpoints: endpoints(service, id, list)}
	if id.Stream == proxy.TCP {
		backend.ProxyProtocol, _ = proxyProtocol(service)
	}
	if old, ok := n.table.Backends[id]; ok && old.ProxyProtocol == backend.ProxyProtocol && slices.Equal(old.Endpoints, backend.Endpoints) {
		return
	}
	n.ownBackends()
	n.table.Backends[id] = backend
}

// note remembers what is wrong with a Service for one of its Backends; the zero problem is nothing.
func (n *edition) note(id proxy.BackendID, p problem) {
	if n.table.problems[id] == p {
		return
	}
	if !n.ownsProblems {
		n.table.problems, n.ownsProblems = copyOf(n.table.problems, 1), true
	}
	if p == (problem{}) {
		delete(n.table.problems, id)
		return
	}
	n.table.problems[id] = p
}

func (n *edition) ownEntries() {
	if !n.ownsEntries {
		n.table.entries, n.ownsEntries = copyOf(n.table.entries, n.grow), true
	}
}

func (n *edition) ownBackends() {
	if !n.ownsBackends {
		n.table.Backends, n.ownsBackends = copyOf(n.table.Backends, n.grow), true
	}
}

func copyOf[K comparable, V any](m map[K]V, grow int) map[K]V {
	if len(m) == 0 {
		return make(map[K]V, grow)
	}
	return maps.Clone(m)
}
