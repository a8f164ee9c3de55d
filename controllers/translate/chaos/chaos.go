// Package chaos translates NetworkChaos into Experiments.
//
// It is pure, like everything under translate. What cannot be done is a condition: an object with anything wrong in it does
// nothing at all, and others do not notice.
package chaos

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// Options of the translation. They are comparable.
type Options struct {
	// Switch names the ConfigMap that is the kill switch; without a namespace any of that name is, without a name none. If there
	// is one, chaos is off unless it says on, enabled or true, in any case, under the key chaos, the key enabled, or both.
	Switch types.NamespacedName
	// WithoutOptIn: namespaces need not have opted in by their label to be targets; they can still opt out.
	WithoutOptIn bool
	// DefaultDuration is that of a NetworkChaos which gives none; 0: it must give one.
	DefaultDuration time.Duration
	// MaxDuration is the longest that is accepted; 0 is any.
	MaxDuration time.Duration
	// Files: the View holds all Secrets, ConfigMaps and pods that there are, so nothing is looked up.
	Files bool
}

// State is the outcome of a translation, and the memory for the next one. It is immutable.
type State struct {
	Experiments []*proxy.Experiment // those accepted, in the order in which they compose
	Refused     []proxy.RefusedExperiment
	Off         bool     // the kill switch
	Switch      string   // what Off comes from, for readers; empty if it is false
	Namespaces  []string // those whose TCPRoutes may be broken without a NetworkChaos, in order
	Reports     map[types.NamespacedName]*status.NetworkChaos
	Lookups     []view.Lookup // what has to be looked up, in order

	options  Options
	objects  map[types.NamespacedName]*object
	followed map[types.NamespacedName]struct{} // Services, see Follows
}

// object is a NetworkChaos and what was made of it.
type object struct {
	source  *v1alpha1.NetworkChaos
	content *proxy.Experiment // of the spec alone
	invalid *refusal          // why there is no content
	remark  string            // what is doubtful about the content; may be empty

	refused    *refusal
	experiment *proxy.Experiment // what acts; nil if refused
}

// refusal is why a NetworkChaos is not accepted.
type refusal struct{ reason, message string }

// asRefused is what the data plane is told of an object that is not accepted.
func (n *object) asRefused() proxy.RefusedExperiment {
	o := n.source
	return proxy.RefusedExperiment{
		ID:  proxy.ObjectID{Kind: v1alpha1.KindNetworkChaos, Namespace: o.Namespace, Name: o.Name},
		UID: string(o.UID), Revision: o.Generation, Created: o.CreationTimestamp.Time, Reason: n.refused.reason, Message: n.refused.message,
	}
}

// Build translates the objects of the View; served is the rest of the Snapshot. prev, which may be nil, makes no difference to the
// outcome; it is returned itself if nothing has changed.
func Build(v *view.View, served Served, o Options, prev *State) *State {
	if prev == nil || prev.options != o {
		prev = &State{}
	}
	next := &State{options: o, objects: make(map[types.NamespacedName]*object, len(v.NetworkChaos)), Reports: map[types.NamespacedName]*status.NetworkChaos{}}
	b := building{view: v, options: o, lookups: map[view.Lookup]struct{}{}}
	b.closed, b.carriedTo = sync.OnceValue(b.closedNamespaces), sync.OnceValue(b.carriedToServices)
	for key, source := range v.NetworkChaos {
		n := b.object(source, prev.objects[key])
		next.objects[key] = n
		if n.experiment != nil {
			next.Experiments = append(next.Experiments, n.experiment)
		} else if n.refused.reason != v1alpha1.ReasonBeingDeleted {
			next.Refused = append(next.Refused, n.asRefused())
		}
	}
	slices.SortFunc(next.Experiments, compare)
	slices.SortFunc(next.Refused, func(a, b proxy.RefusedExperiment) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	unread := false
	next.Off, unread = b.off()
	if next.Off {
		next.Switch = o.switchText(unread)
	}
	next.Namespaces = b.streamNamespaces()
	next.Lookups = slices.SortedFunc(maps.Keys(b.lookups), view.Lookup.Compare)
	canAct := slices.DeleteFunc(slices.Clone(next.Experiments), func(x *proxy.Experiment) bool { return x.Suspend })
	overlaps, reached := b.overlaps(canAct), served.reachOf(next.Experiments, b.closed())
	next.followed = followed(reached)
	for key, n := range next.objects {
		r := report(n, overlaps[key])
		r.Off, r.Unread = next.Switch, unread
		if n.experiment != nil {
			r.Idle = served.idle(n.experiment, reached)
		}
		if old := prev.Reports[key]; old != nil && reflect.DeepEqual(old, r) {
			r = old
		}
		next.Reports[key] = r
	}
	if next.same(prev) {
		return prev
	}
	return next
}

func (s *State) same(prev *State) bool {
	return prev.objects != nil && s.Off == prev.Off && s.Switch == prev.Switch && slices.Equal(s.Experiments, prev.Experiments) &&
		slices.Equal(s.Refused, prev.Refused) && slices.Equal(s.Namespaces, prev.Namespaces) &&
		slices.Equal(s.Lookups, prev.Lookups) && maps.Equal(s.Reports, prev.Reports) && maps.Equal(s.followed, prev.followed)
}

// compare orders Experiments as they compose.
func compare(a, b *proxy.Experiment) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID.Namespace, b.ID.Namespace), strings.Compare(a.ID.Name, b.ID.Name))
}

// building is one translation under way.
type building struct {
	view    *view.View
	options Options
	lookups map[view.Lookup]struct{}
	// Worked out once, when they are asked for.
	closed    func() []string                   // closedNamespaces
	carriedTo func() map[proxy.ObjectID]traffic // carriedToServices
}

// object translates an object, or takes what prev (which may be nil) has of it.
func (b *building) object(source *v1alpha1.NetworkChaos, prev *object) *object {
	n := &object{source: source}
	if prev != nil && prev.source == source {
		n.content, n.invalid, n.remark = prev.content, prev.invalid, prev.remark
	} else if n.content, n.invalid = b.content(source); n.content != nil {
		n.remark = remarkOn(&n.content.Window)
	}
	experiment, refused := b.complete(n)
	if n.refused = refused; refused != nil {
		return n
	}
	if prev != nil && prev.experiment != nil && reflect.DeepEqual(prev.experiment, experiment) {
		experiment = prev.experiment
	}
	n.experiment = experiment
	return n
}

// complete adds what the content takes from other objects, and checks the targets.
func (b *building) complete(n *object) (*proxy.Experiment, *refusal) {
	// What is looked up for the spec is wanted even while something else is wrong.
	secret, noSecret := b.secret(n.source)
	pods, noPods := b.pods(n.source)
	if n.source.DeletionTimestamp != nil {
		return nil, refuse(v1alpha1.ReasonBeingDeleted, "it has been deleted; a finalizer keeps the object")
	}
	if why := b.view.Withheld[types.NamespacedName{Namespace: n.source.Namespace, Name: n.source.Name}]; why != "" {
		return nil, refuse(v1alpha1.ReasonWithheld, "%s", why)
	}
	if n.invalid != nil {
		return nil, n.invalid
	}
	for _, refused := range []*refusal{b.targets(n.source, n.content), noSecret, noPods} {
		if refused != nil {
			return nil, refused
		}
	}
	x := *n.content
	x.Spared = b.spared(x.Targets)
	if x.Token != nil {
		token := *x.Token
		token.Secret = secret
		x.Token = &token
	}
	x.Endpoints.Pods = pods
	halt := n.source.Status.Halt
	x.Halted = halt != nil && halt.Rearm == n.source.Spec.Rearm
	x.Halts = uint64(max(n.source.Status.Halts, 0))
	return &x, nil
}

const (
	switchKey    = "chaos"
	enabledKey   = "enabled"
	lookupSecret = "Secret"
	lookupConfig = "ConfigMap"
)

// SwitchName returns what readers know the kill switch by; empty if there is none.
func (o *Options) SwitchName() string {
	switch {
	case o.Switch.Name == "":
		return ""
	case o.Switch.Namespace == "":
		return "the ConfigMap " + o.Switch.Name
	}
	return "the ConfigMap " + o.Switch.String()
}

// switchText says of the kill switch what it is that keeps chaos off.
func (o *Options) switchText(unread bool) string {
	if unread {
		return o.SwitchName() + ", which could not be read yet: a Role must let the controller watch it"
	}
	return o.SwitchName()
}

// off reports whether the kill switch is used. As long as nobody knows, since it has not been read, it is.
func (b *building) off() (off, unread bool) {
	name := b.options.Switch
	if name.Name == "" {
		return false, false
	}
	if !b.options.Files {
		lookup := view.Lookup{Kind: lookupConfig, Namespace: name.Namespace, Name: name.Name}
		b.lookups[lookup] = struct{}{}
		if !b.view.IsListed(lookup) {
			return true, true
		}
	}
	for key, m := range b.view.ConfigMaps {
		if key.Name != name.Name || name.Namespace != "" && key.Namespace != name.Namespace {
			continue
		}
		if !saysOn(m.Data) {
			return true, false
		}
	}
	return false, false
}

// saysOn reports whether a ConfigMap says that faults may act. Whoever is in a hurry may use any word for the opposite.
func saysOn(data map[string]string) bool {
	said := false
	for _, key := range [...]string{switchKey, enabledKey} {
		value, ok := data[key]
		if !ok {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "on", "enabled", "true":
			said = true
		default:
			return false
		}
	}
	return said
}

// secret returns the key of the object's tokens, "" if it has none.
func (b *building) secret(source *v1alpha1.NetworkChaos) (string, *refusal) {
	token := source.Spec.Token
	if token == nil {
		return "", nil
	}
	lookup := view.Lookup{Kind: lookupSecret, Namespace: source.Namespace, Name: token.SecretRef.Name}
	if !b.options.Files {
		b.lookups[lookup] = struct{}{}
	}
	secret := b.view.Secrets[types.NamespacedName{Namespace: lookup.Namespace, Name: lookup.Name}]
	key := cmp.Or(token.SecretRef.Key, "key")
	switch {
	case secret == nil && !b.options.Files && !b.view.IsListed(lookup):
		return "", refuse(v1alpha1.ReasonSecretNotFound,
			"spec.token.secretRef: Secret %s could not be read yet: a Role in this namespace must let the controller watch it", lookup.Name)
	case secret == nil:
		return "", refuse(v1alpha1.ReasonSecretNotFound, "spec.token.secretRef: Secret %s not found", lookup.Name)
	}
	value := strings.TrimSuffix(string(secret.Data[key]), "\n") // as the command that makes tokens reads it from a file
	if value == "" {
		return "", refuse(v1alpha1.ReasonSecretNotFound, "spec.token.secretRef: Secret %s has nothing under the key %q", lookup.Name, key)
	}
	return value, nil
}

// pods returns the pods that the object selects, nil if it does not select by pods.
func (b *building) pods(source *v1alpha1.NetworkChaos) (map[string]struct{}, *refusal) {
	e := source.Spec.Endpoints
	if e == nil || e.PodSelector == nil {
		return nil, nil
	}
	selector, err := labelsOf(e.PodSelector)
	if err != nil {
		return nil, refuse(v1alpha1.ReasonInvalid, "spec.endpoints.podSelector: %v", err)
	}
	pods := map[string]struct{}{}
	for _, namespace := range targetNamespaces(source) {
		lookup := view.PodLookup(namespace, selector)
		if !b.options.Files {
			b.lookups[lookup] = struct{}{}
			if !b.view.IsListed(lookup) {
				return nil, refuse(v1alpha1.ReasonPodsUnknown, "spec.endpoints.podSelector: the pods of namespace %s could not be listed yet", namespace)
			}
		}
		maps.Copy(pods, b.view.PodsOf(lookup))
	}
	return pods, nil
}
