package gateway

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/breakwater-gateway/breakwater/controllers/status"
	"github.com/breakwater-gateway/breakwater/controllers/translate/backend"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
)

// Options of the translation. A State made with some Options must not be continued with others, but for Placement.
type Options struct {
	Controller        string // spec.controllerName of the GatewayClasses that are ours
	Class             string
	ImplicitClass     bool // a GatewayClass called Class exists even if there is no such object (standalone)
	AllowExternalName bool
	Placement         Placement // nil: Gateways are not served
	TakenPorts        []uint16  // bound by others
}

// State is the outcome of a Build.
type State struct {
	Listeners []*proxy.Listener
	Reports   Reports
}

// Reports are the desired statuses.
type Reports struct {
	Classes    map[string]*status.GatewayClass
	Gateways   map[types.NamespacedName]*status.Gateway
	HTTPRoutes map[types.NamespacedName]*status.HTTPRoute
}

// Build translates.
func Build(v *view.View, o Options, prev *State, uses backend.Uses) *State {
	if prev != nil {
		return prev
	}
	return &State{}
}
