package main

import (
	"maps"
	"slices"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/router"
)

// tables are the routing tables of a Snapshot that is not being served, by port.
type tables map[uint16]*router.Table[struct{}]

func newTables(s *proxy.Snapshot) (tables, error) {
	listeners := map[uint16][]*proxy.Listener{}
	for _, l := range s.Listeners {
		listeners[l.Port] = append(listeners[l.Port], l)
	}
	ts := tables{}
	for port, ls := range listeners {
		t, err := router.Compile(nil, ls, func(*proxy.Route) struct{} { return struct{}{} })
		if err != nil {
			return nil, err
		}
		ts[port] = t
	}
	return ts, nil
}

func (ts tables) ports() []uint16 { return slices.Sorted(maps.Keys(ts)) }

func (ts tables) explain(port uint16, r *proxy.Request) (router.Explanation, error) {
	return ts[port].Explain(r), nil
}

// portsOf returns the ports that a Snapshot serves, in ascending order.
func portsOf(s *proxy.Snapshot) []uint16 {
	if s == nil {
		return nil
	}
	ports := map[uint16]bool{}
	for _, l := range s.Listeners {
		ports[l.Port] = true
	}
	return slices.Sorted(maps.Keys(ports))
}
