package translate

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// Text returns a Snapshot as text: stable, one line for each Listener, Host, Route and Endpoint. It is meant for readers
// and for golden files and is never parsed.
func Text(s *proxy.Snapshot) string {
	var b strings.Builder
	for _, l := range s.Listeners {
		writeListener(&b, l)
	}
	ids := slices.SortedFunc(maps.Keys(s.Backends), func(a, b proxy.BackendID) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Stream, b.Stream))
	})
	for _, id := range ids {
		writeBackend(&b, s.Backends[id])
	}
	if s.ChaosOff {
		fmt.Fprintf(&b, "chaos off by %s\n", s.ChaosSwitch)
	}
	if len(s.ChaosNamespaces) > 0 {
		fmt.Fprintf(&b, "TCPRoutes that may be broken by hand: namespaces %s\n", strings.Join(s.ChaosNamespaces, ", "))
	}
	for _, x := range s.Experiments {
		writeExperiment(&b, x)
	}
	return b.String()
}

func writeListener(w io.Writer, l *proxy.Listener) {
	fmt.Fprintf(w, "listener %s port=%d %s", l.ID, l.Port, l.Protocol)
	if l.Hostname != "" {
		fmt.Fprintf(w, " hostname=%s", l.Hostname)
	}
	if l.Fallthrough {
		fmt.Fprint(w, " fallthrough")
	}
	if l.ProxyProtocol {
		fmt.Fprint(w, " proxy-protocol")
	}
	fmt.Fprintln(w)
	if l.Protocol.Stream() {
		fmt.Fprintf(w, "  stream%s\n", streamText(l))
	}
	for _, h := range l.Hosts {
		writeHost(w, h)
	}
	if l.Default != nil {
		fmt.Fprintf(w, "  default%s\n", outcome(l.Default))
	}
}

func writeHost(w io.Writer, h *proxy.Host) {
	fmt.Fprintf(w, "  host %s", cmp.Or(h.Name, "(any)"))
	if h.SingleLabel && strings.HasPrefix(h.Name, "*.") {
		fmt.Fprint(w, " single-label")
	}
	fmt.Fprintln(w)
	for _, r := range h.Routes {
		fmt.Fprintf(w, "    %s%s\n", matchText(&r.Match), outcome(r))
	}
}

// matchText returns the conditions in the order of their weight.
func matchText(m *proxy.Match) string {
	var b strings.Builder
	b.WriteString([...]string{"prefix ", "exact ", "regex "}[m.Path.Type])
	b.WriteString(text(cmp.Or(m.Path.Value, "/")))
	if m.Method != "" {
		b.WriteString(" " + text(m.Method))
	}
	for _, v := range m.Headers {
		b.WriteString(" header " + valueText(v))
	}
	for _, v := range m.Query {
		b.WriteString(" query " + valueText(v))
	}
	return b.String()
}

func valueText(v proxy.ValueMatch) string {
	return text(v.Name) + [...]string{"=", "~"}[v.Type] + text(v.Value)
}

// outcome returns what happens to the requests of a Route, with the Route's identity in front.
func outcome(r *proxy.Route) string {
	var b strings.Builder
	fmt.Fprintf(&b, " [%s.%d]", r.ID, r.ID.Match)
	if r.Timeouts.Request != 0 {
		fmt.Fprintf(&b, " timeout=%s", r.Timeouts.Request)
	}
	if r.Timeouts.Backend != 0 {
		fmt.Fprintf(&b, " backend-timeout=%s", r.Timeouts.Backend)
	}
	if r.Timeouts.Unlimited {
		b.WriteString(" unlimited")
	}
	for _, f := range r.Filters {
		fmt.Fprintf(&b, " %s", filterText(f))
	}
	if r.Invalid != "" {
		fmt.Fprintf(&b, " -> 500 (%s)", r.Invalid)
		return b.String()
	}
	writeShares(&b, r.Backends, "500")
	return b.String()
}

// streamText returns what happens to the connections or sessions that arrive at a Listener.
func streamText(l *proxy.Listener) string {
	r, refused := l.Stream, "reset"
	if l.Protocol == proxy.UDP {
		refused = "drop"
	}
	if r == nil {
		return " " + refused + " (no route)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, " [%s.%d]", r.ID, r.Rule)
	if r.Invalid != "" {
		fmt.Fprintf(&b, " -> %s (%s)", refused, r.Invalid)
		return b.String()
	}
	if len(r.Backends) == 0 {
		fmt.Fprintf(&b, " -> %s (no backends)", refused)
	}
	writeShares(&b, r.Backends, refused)
	return b.String()
}

// writeShares writes the shares of a Route; refused is what happens to those that are Invalid.
func writeShares(b *strings.Builder, shares []proxy.WeightedBackend, refused string) {
	for i, share := range shares {
		b.WriteString([...]string{" -> ", ", "}[min(i, 1)])
		if share.Invalid != "" {
			fmt.Fprintf(b, "%s (%s)", refused, share.Invalid)
		} else {
			b.WriteString(share.Backend.String())
		}
		if share.Weight != 1 {
			fmt.Fprintf(b, " weight=%d", share.Weight)
		}
		for _, f := range share.Filters {
			fmt.Fprintf(b, " %s", filterText(f))
		}
	}
}

// filterText returns a Filter as a literal: its package, type and fields.
func filterText(f proxy.Filter) string { return fmt.Sprintf("%T%+v", f, f) }

func writeBackend(w io.Writer, b *proxy.Backend) {
	fmt.Fprintf(w, "backend %s %s", b.ID, b.Protocol)
	if b.ProxyProtocol != 0 {
		fmt.Fprintf(w, " proxy-protocol=v%d", b.ProxyProtocol)
	}
	fmt.Fprintln(w)
	for _, e := range b.Endpoints {
		fmt.Fprintf(w, "  %s", e)
		if e.Terminating {
			fmt.Fprint(w, " terminating")
		}
		for _, note := range [...]struct{ name, value string }{{"zone", e.Zone}, {"node", e.Node}, {"pod", e.Pod}} {
			if note.value != "" {
				fmt.Fprintf(w, " %s=%s", note.name, text(note.value))
			}
		}
		fmt.Fprintln(w)
	}
}

// text returns a value as it is, or quoted if it could be misread.
func text(s string) string {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' || s[i] == '=' {
			return fmt.Sprintf("%q", s)
		}
	}
	return cmp.Or(s, `""`)
}
