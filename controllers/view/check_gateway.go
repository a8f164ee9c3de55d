package view

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func checkGateway(g *gatewayv1.Gateway, f fault)      {}
func checkHTTPRoute(r *gatewayv1.HTTPRoute, f fault)  {}
func checkGrant(g *gatewayv1.ReferenceGrant, f fault) {}
