package e2e

import (
	"testing"
)

// This test is the first of the package, while the definitions are not installed yet.
func TestGatewayAPIIsPickedUpWhenItIsInstalledLater(t *testing.T) {
	if api.hasGatewayAPI(t) {
		t.Skip("Gateway API is installed already")
	}
	w := newWorld(t)
	b := start(t)
	w.service("web", w.backend("web"))
	w.create(w.ingress("web", "later.test", "web"))
	b.expect(t, b.ingressPort, "later.test", reply{200, "web"})

	api.installGatewayAPI(t)
	w.gatewayClass()
	w.create(w.gateway("gw"))
	w.create(w.route("web", "gw", "web"))
	b.expect(t, w.podPort("gw"), "any.test", reply{200, "web"})
}
