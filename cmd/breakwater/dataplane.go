package main

import (
	"errors"
	"fmt"

	"github.com/breakwater-gateway/breakwater/controllers"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/server"
)

// dataPlane is the server as the controllers see it. Its errors name the flags that help.
type dataPlane struct {
	server      *server.Server
	ingressPort uint16
	// strict ends the process if a port of the first Snapshot cannot be bound: a person is there to read why. Later, and in
	// a cluster, the rest is served and binding is tried again.
	strict bool
	failed chan error // gets why the process cannot go on; one place
	// changed is called after each Snapshot; nil is nothing.
	changed func()

	served bool // used by Apply only
}

var _ controllers.DataPlane = (*dataPlane)(nil)

// Apply implements controllers.DataPlane.
func (d *dataPlane) Apply(s *proxy.Snapshot) error {
	err := d.server.Apply(s)
	if d.changed != nil {
		d.changed()
	}
	if err != nil {
		err = d.describe(err)
	}
	if err != nil && d.strict && !d.served {
		select {
		case d.failed <- err:
		default: // the first reason is enough
		}
		return nil // it is reported when the process ends
	}
	d.served = true
	return err
}

// describe names the flag that says which port is bound.
func (d *dataPlane) describe(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return d.describeOne(err)
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, d.describeOne(e))
	}
	return errors.Join(all...)
}

func (d *dataPlane) describeOne(err error) error {
	bind := &server.BindError{}
	if !errors.As(err, &bind) {
		return err
	}
	if bind.Port == d.ingressPort && !bind.UDP {
		return fmt.Errorf("port %d for Ingresses (--ingress-http-port): %w", bind.Port, bind.Err)
	}
	kind := "port"
	if bind.UDP {
		kind = "UDP port"
	}
	if d.strict {
		return fmt.Errorf("%s %d for %s (the listener's port plus --port-offset): %w", kind, bind.Port, bind.Listeners[0], bind.Err)
	}
	return fmt.Errorf("%s %d for %s: %w", kind, bind.Port, bind.Listeners[0], bind.Err)
}
