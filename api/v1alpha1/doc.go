// Package v1alpha1 holds the names and types of the API group breakwater-gateway.io/v1alpha1: what users write in their
// objects. It carries no logic.
//
// +kubebuilder:object:generate=true
// +groupName=breakwater-gateway.io
package v1alpha1

const (
	// Group is the API group.
	Group = "breakwater-gateway.io"
	// ControllerName is what an IngressClass or GatewayClass names as its controller to be served by Breakwater.
	ControllerName = Group + "/controller"
	// AnnotationPrefix starts every annotation that Breakwater reads or writes.
	AnnotationPrefix = Group + "/"
	// ClassName is the name of the IngressClass and GatewayClass that the chart installs.
	ClassName = "breakwater"
)
