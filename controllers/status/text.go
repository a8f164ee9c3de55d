package status

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// String returns the Report as text: stable, one line for each condition, address and Event. It is meant for readers and
// for golden files and is never parsed.
func (r *Report) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.GatewayClasses)) {
		r.GatewayClasses[name].write(&b, name)
	}
	for _, key := range sortedKeys(r.Gateways) {
		r.Gateways[key].write(&b, key)
	}
	for _, routes := range r.routes() {
		for _, key := range sortedKeys(routes) {
			routes[key].write(&b, key)
		}
	}
	for _, key := range sortedKeys(r.Ingresses) {
		r.Ingresses[key].write(&b, key)
	}
	for _, key := range sortedKeys(r.NetworkChaos) {
		r.NetworkChaos[key].write(&b, key)
	}
	for _, key := range sortedKeys(r.Services) {
		fmt.Fprintf(&b, "Service %s\n", key)
		writeEvents(&b, r.Services[key].Events)
	}
	return b.String()
}

func sortedKeys[V any](m map[types.NamespacedName]V) []types.NamespacedName {
	return slices.SortedFunc(maps.Keys(m), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func (g *GatewayClass) write(w io.Writer, name string) {
	fmt.Fprintf(w, "GatewayClass %s\n", name)
	writeConditions(w, "  ", g.Conditions)
	for _, f := range g.SupportedFeatures {
		fmt.Fprintf(w, "  feature %s\n", f.Name)
	}
	writeEvents(w, g.Events)
}

func (g *Gateway) write(w io.Writer, key types.NamespacedName) {
	fmt.Fprintf(w, "Gateway %s\n", key)
	for _, a := range g.Addresses {
		fmt.Fprintf(w, "  address %s\n", a.Value)
	}
	writeConditions(w, "  ", g.Conditions)
	for _, l := range g.Listeners {
		kinds := make([]string, len(l.SupportedKinds))
		for i, k := range l.SupportedKinds {
			kinds[i] = string(k.Kind)
		}
		fmt.Fprintf(w, "  listener %s kinds=[%s] attached=%d\n", l.Name, strings.Join(kinds, " "), l.AttachedRoutes)
		writeConditions(w, "    ", l.Conditions)
	}
	writeEvents(w, g.Events)
}

func (r *Route) write(w io.Writer, key types.NamespacedName) {
	fmt.Fprintf(w, "%s %s\n", r.Kind, key)
	for _, p := range r.Parents {
		fmt.Fprintf(w, "  parent %s\n", parentText(p.ParentRef))
		writeConditions(w, "    ", p.Conditions)
	}
	writeEvents(w, r.Events)
}

func (i *Ingress) write(w io.Writer, key types.NamespacedName) {
	fmt.Fprintf(w, "Ingress %s\n", key)
	for _, a := range i.LoadBalancer {
		fmt.Fprintf(w, "  address %s\n", cmp.Or(a.IP, a.Hostname))
	}
	writeEvents(w, i.Events)
}

func parentText(p gatewayv1.ParentReference) string {
	var b strings.Builder
	if p.Namespace != nil {
		b.WriteString(string(*p.Namespace) + "/")
	}
	b.WriteString(string(p.Name))
	if p.SectionName != nil {
		fmt.Fprintf(&b, " section=%s", *p.SectionName)
	}
	if p.Port != nil {
		fmt.Fprintf(&b, " port=%d", *p.Port)
	}
	return b.String()
}

// writeConditions writes the conditions that have nothing to say in one line, each of the others in a line of its own.
func writeConditions(w io.Writer, indent string, conditions []metav1.Condition) {
	var plain []string
	for _, c := range conditions {
		if c.Message == "" {
			plain = append(plain, conditionText(c))
		}
	}
	if len(plain) > 0 {
		fmt.Fprintf(w, "%s%s\n", indent, strings.Join(plain, ", "))
	}
	for _, c := range conditions {
		if c.Message != "" {
			fmt.Fprintf(w, "%s%s: %q\n", indent, conditionText(c), c.Message)
		}
	}
}

// conditionText returns type, status and reason; a reason that only repeats the type is left out.
func conditionText(c metav1.Condition) string {
	text := fmt.Sprintf("%s=%s", c.Type, c.Status)
	if c.Reason != c.Type {
		text += " " + c.Reason
	}
	if c.ObservedGeneration != 0 {
		text += fmt.Sprintf(" generation=%d", c.ObservedGeneration)
	}
	return text
}

func writeEvents(w io.Writer, events []Event) {
	for _, e := range events {
		fmt.Fprintf(w, "  event %s %s %q\n", e.Type, e.Reason, e.Message)
	}
}
