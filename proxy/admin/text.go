package admin

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// WriteText writes the Snapshot for people, one fact per line. If host is not empty only Hosts of that name are
// written, no streams, and only the Backends they use.
func WriteText(w io.Writer, s *proxy.Snapshot, host string) error {
	b := bufio.NewWriter(w)
	v := viewOf(s, host)
	for i := range v.Listeners {
		writeListener(b, &v.Listeners[i])
	}
	for i := range v.Backends {
		writeBackend(b, &v.Backends[i])
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

func writeListener(b *bufio.Writer, l *listenerView) {
	fmt.Fprintf(b, "listener %s  port %d  %s", l.ID, l.Port, l.Protocol)
	if !l.Protocol.Stream() {
		fmt.Fprintf(b, "  hostname %s", orAny(l.Hostname))
	}
	if l.ProxyProtocol {
		fmt.Fprint(b, "  proxy protocol")
	}
	fmt.Fprintln(b)
	if l.Stream != nil {
		writeStream(b, l.Stream)
	}
	for i := range l.Hosts {
		fmt.Fprintf(b, "  host %s\n", orAny(l.Hosts[i].Name))
		for j := range l.Hosts[i].Routes {
			writeRoute(b, &l.Hosts[i].Routes[j])
		}
	}
	if l.Default != nil {
		fmt.Fprint(b, "  default\n")
		writeRoute(b, l.Default)
	}
	fmt.Fprintln(b)
}

func writeRoute(b *bufio.Writer, r *routeView) {
	fmt.Fprintf(b, "    %s  %s  match %d\n", r.If, r.ID, r.Match)
	if r.Invalid != "" {
		fmt.Fprintf(b, "      invalid: %s\n", r.Invalid)
	}
	for _, f := range r.Filters {
		fmt.Fprintf(b, "      filter %s\n", f)
	}
	if r.Timeouts != "" {
		fmt.Fprintf(b, "      timeouts %s\n", r.Timeouts)
	}
	writeShares(b, r.Backends)
}

func writeStream(b *bufio.Writer, s *streamView) {
	if s.ID == "" {
		fmt.Fprint(b, "  no route: connections are closed, datagrams dropped\n")
		return
	}
	fmt.Fprintf(b, "  stream  %s  rule %d\n", s.ID, s.Rule)
	if s.Invalid != "" {
		fmt.Fprintf(b, "      invalid: %s\n", s.Invalid)
	}
	writeShares(b, s.Backends)
}

func writeShares(b *bufio.Writer, shares []shareView) {
	for i := range shares {
		s := &shares[i]
		fmt.Fprintf(b, "      -> %s  weight %d\n", s.Backend, s.Weight)
		if s.Invalid != "" {
			fmt.Fprintf(b, "        invalid: %s\n", s.Invalid)
		}
		for _, f := range s.Filters {
			fmt.Fprintf(b, "        filter %s\n", f)
		}
	}
}

func writeBackend(b *bufio.Writer, v *backendView) {
	fmt.Fprintf(b, "backend %s  %s  balancer %s", v.ID, v.Protocol, v.Balancer)
	if v.ProxyProtocol > 0 {
		fmt.Fprintf(b, "  proxy protocol v%d", v.ProxyProtocol)
	}
	fmt.Fprintln(b)
	if len(v.Endpoints) == 0 {
		fmt.Fprint(b, "  no endpoints\n")
	}
	for _, e := range v.Endpoints {
		fmt.Fprintf(b, "  %s", e.Address)
		for _, note := range []struct{ name, value string }{{"pod", e.Pod}, {"zone", e.Zone}, {"node", e.Node}} {
			if note.value != "" {
				fmt.Fprintf(b, "  %s %s", note.name, note.value)
			}
		}
		if e.Terminating {
			fmt.Fprint(b, "  terminating")
		}
		fmt.Fprintln(b)
	}
}

func orAny(name string) string {
	if name == "" {
		return "*"
	}
	return name
}

// condition prints a Match.
func condition(m *proxy.Match) string {
	var parts []string
	if m.Method != "" {
		parts = append(parts, clean(m.Method))
	}
	value := m.Path.Value
	if value == "" {
		value = "/"
	}
	parts = append(parts, [...]string{"prefix", "exact", "regex"}[m.Path.Type]+" "+clean(value))
	for _, v := range m.Headers {
		parts = append(parts, "header "+comparison(v))
	}
	for _, v := range m.Query {
		parts = append(parts, "query "+comparison(v))
	}
	return strings.Join(parts, ", ")
}

func comparison(v proxy.ValueMatch) string {
	return clean(v.Name + [...]string{"=", "=~"}[v.Type] + v.Value)
}

func timeouts(t proxy.Timeouts) string {
	var parts []string
	if t.Request > 0 {
		parts = append(parts, "request "+t.Request.String())
	}
	if t.Backend > 0 {
		parts = append(parts, "backend "+t.Backend.String())
	}
	return strings.Join(parts, ", ")
}
