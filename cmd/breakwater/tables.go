package main

import (
	"fmt"
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
		if l.Protocol.Stream() {
			continue
		}
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

// httpPorts returns the ports at which a Snapshot, which may be nil, serves requests, in ascending order.
func httpPorts(s *proxy.Snapshot) []uint16 {
	if s == nil {
		return nil
	}
	requests := *s
	requests.Listeners = slices.DeleteFunc(slices.Clone(s.Listeners), func(l *proxy.Listener) bool { return l.Protocol.Stream() })
	return portsOf(&requests)
}

// streamAt says what happens at a port where a Snapshot, which may be nil, passes on what arrives as it is; "" if it does not.
func streamAt(s *proxy.Snapshot, port uint16) string {
	if s == nil {
		return ""
	}
	for _, l := range s.Listeners {
		if l.Port != port || !l.Protocol.Stream() {
			continue
		}
		if l.Stream == nil {
			return fmt.Sprintf("listener %s (%s) has no route: what arrives is refused", l.ID, l.Protocol)
		}
		return fmt.Sprintf("listener %s (%s) passes everything on as %s says, without a look at requests", l.ID, l.Protocol, l.Stream.ID)
	}
	return ""
}

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
