package admin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"unicode"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// The types below are a Snapshot as JSON shows it. They are a contract with scripts: fields are added, not renamed.

type snapshotView struct {
	Listeners []listenerView `json:"listeners"`
	Backends  []backendView  `json:"backends"`
}

type listenerView struct {
	ID       string         `json:"id"`
	Port     uint16         `json:"port"`
	Protocol proxy.Protocol `json:"protocol"`
	Hostname string         `json:"hostname,omitempty"`
	Hosts    []hostView     `json:"hosts"`
	Default  *routeView     `json:"default,omitempty"`
	// Stream is what happens to connections or datagrams that are passed on as they are.
	Stream        *streamView `json:"stream,omitempty"`
	ProxyProtocol bool        `json:"proxyProtocol,omitempty"`
}

type streamView struct {
	ID       string      `json:"id"` // "" if no route has the Listener
	Rule     int         `json:"rule"`
	Backends []shareView `json:"backends,omitempty"`
	Invalid  string      `json:"invalid,omitempty"`
}

type hostView struct {
	Name   string      `json:"name"`
	Routes []routeView `json:"routes"`
}

type routeView struct {
	ID       string      `json:"id"`
	Match    int         `json:"match"`
	If       string      `json:"if"`
	Filters  []string    `json:"filters,omitempty"`
	Backends []shareView `json:"backends,omitempty"`
	Timeouts string      `json:"timeouts,omitempty"`
	Invalid  string      `json:"invalid,omitempty"`
}

type shareView struct {
	Backend string   `json:"backend"`
	Weight  int32    `json:"weight"`
	Filters []string `json:"filters,omitempty"`
	Invalid string   `json:"invalid,omitempty"`
}

type backendView struct {
	ID       string         `json:"id"`
	Protocol proxy.Protocol `json:"protocol"`
	Balancer string         `json:"balancer"`
	// ProxyProtocol is the version of the PROXY protocol that connections to the Endpoints begin with.
	ProxyProtocol uint8          `json:"proxyProtocol,omitempty"`
	Endpoints     []endpointView `json:"endpoints"`
}

type endpointView struct {
	Address     string `json:"address"`
	Terminating bool   `json:"terminating,omitempty"`
	Zone        string `json:"zone,omitempty"`
	Node        string `json:"node,omitempty"`
	Pod         string `json:"pod,omitempty"`
}

// WriteJSON writes the Snapshot as one indented JSON object. If host is not empty only Hosts of that name are written,
// no streams, and only the Backends they use.
func WriteJSON(w io.Writer, s *proxy.Snapshot, host string) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(viewOf(s, host)); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	return nil
}

func viewOf(s *proxy.Snapshot, host string) snapshotView {
	v := snapshotView{Listeners: []listenerView{}, Backends: []backendView{}}
	used := map[proxy.BackendID]bool{}
	note := func(r *proxy.Route) routeView {
		for i := range r.Backends {
			used[r.Backends[i].Backend] = true
		}
		return viewOfRoute(r)
	}
	for _, l := range s.Listeners {
		lv := listenerView{ID: clean(l.ID.String()), Port: l.Port, Protocol: l.Protocol, Hostname: clean(l.Hostname), Hosts: []hostView{}, ProxyProtocol: l.ProxyProtocol}
		if l.Protocol.Stream() && host == "" {
			lv.Stream = viewOfStream(l.Stream)
		}
		for _, h := range l.Hosts {
			if host != "" && h.Name != host {
				continue
			}
			hv := hostView{Name: clean(h.Name), Routes: []routeView{}}
			for _, r := range h.Routes {
				hv.Routes = append(hv.Routes, note(r))
			}
			lv.Hosts = append(lv.Hosts, hv)
		}
		if l.Default != nil {
			d := note(l.Default)
			lv.Default = &d
		}
		v.Listeners = append(v.Listeners, lv)
	}
	for id, b := range s.Backends {
		if host == "" || used[id] {
			v.Backends = append(v.Backends, viewOfBackend(b))
		}
	}
	slices.SortFunc(v.Backends, func(a, b backendView) int { return cmp.Compare(a.ID, b.ID) })
	return v
}

func viewOfRoute(r *proxy.Route) routeView {
	v := routeView{
		ID: clean(r.ID.String()), Match: r.ID.Match, If: condition(&r.Match), Filters: describeAll(r.Filters),
		Timeouts: timeouts(r.Timeouts), Invalid: clean(r.Invalid),
	}
	v.Backends = viewOfShares(r.Backends)
	return v
}

func viewOfShares(shares []proxy.WeightedBackend) (views []shareView) {
	for i := range shares {
		b := &shares[i]
		views = append(views, shareView{
			Backend: clean(b.Backend.String()), Weight: b.Weight, Filters: describeAll(b.Filters), Invalid: clean(b.Invalid),
		})
	}
	return views
}

func viewOfStream(r *proxy.StreamRoute) *streamView {
	if r == nil {
		return &streamView{}
	}
	return &streamView{ID: clean(r.ID.String()), Rule: r.Rule, Backends: viewOfShares(r.Backends), Invalid: clean(r.Invalid)}
}

func viewOfBackend(b *proxy.Backend) backendView {
	v := backendView{
		ID: clean(b.ID.String()), Protocol: b.Protocol, Balancer: describeBalancer(b.Balancer), Endpoints: []endpointView{}, ProxyProtocol: b.ProxyProtocol,
	}
	for _, e := range b.Endpoints {
		v.Endpoints = append(v.Endpoints, endpointView{
			Address: clean(e.String()), Terminating: e.Terminating, Zone: clean(e.Zone), Node: clean(e.Node), Pod: clean(e.Pod),
		})
	}
	return v
}

// clean quotes s if it holds anything that could forge a line or steer a terminal: objects are written by tenants, and
// operators read this.
func clean(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
