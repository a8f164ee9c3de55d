package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/translate/chaos"
	"github.com/breakwater-gateway/breakwater/controllers/translate/gateway"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// objectOptions are the flags that say which objects are served and how: package translate.
type objectOptions struct {
	controller        string
	class             string
	ingressPort       uint16
	addresses         []string
	allowExternalName bool
	shareHosts        bool
	trustsNobody      bool // not a flag of its own: there is no --trusted-proxies
	chaos             chaosOptions
}

// chaosOptions are the flags that say which NetworkChaos are accepted.
type chaosOptions struct {
	optIn           bool
	configMap       string
	defaultDuration time.Duration
	maxDuration     time.Duration
}

func (o *chaosOptions) add(f *pflag.FlagSet) {
	f.BoolVar(&o.optIn, "chaos-opt-in", true, "break only traffic of namespaces labelled breakwater-gateway.io/chaos=enabled; "+
		"with false, and without a cluster, of all but those where the label has another value")
	f.StringVar(&o.configMap, "chaos-configmap", "breakwater-chaos",
		"ConfigMap in the namespace of this installation that is the kill switch: with chaos: \"off\" in it nothing is broken")
	f.DurationVar(&o.defaultDuration, "chaos-default-duration", 0, "duration of a NetworkChaos that gives none; 0: it must give one")
	f.DurationVar(&o.maxDuration, "chaos-max-duration", 24*time.Hour, "longest duration of a NetworkChaos; 0 is any")
}

func (o *chaosOptions) validate() error {
	if o.maxDuration > 0 && o.defaultDuration > o.maxDuration {
		return wrong("--chaos-default-duration %v: want at most --chaos-max-duration, %v", o.defaultDuration, o.maxDuration)
	}
	return notNegative(
		flagValue[time.Duration]{"chaos-default-duration", o.defaultDuration}, flagValue[time.Duration]{"chaos-max-duration", o.maxDuration},
	)
}

// translate returns the options of the translation. namespace is that of the kill switch; "" is any.
func (o *chaosOptions) translate(namespace string) chaos.Options {
	return chaos.Options{
		Switch:          types.NamespacedName{Namespace: namespace, Name: o.configMap},
		WithoutOptIn:    !o.optIn,
		DefaultDuration: o.defaultDuration,
		MaxDuration:     o.maxDuration,
	}
}

func (o *objectOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.class, "class", "breakwater", "name of the IngressClass and GatewayClass that are served")
	f.StringVar(&o.controller, "controller-name", "breakwater-gateway.io/controller",
		"name in IngressClass.spec.controller and GatewayClass.spec.controllerName")
	f.Uint16Var(&o.ingressPort, "ingress-http-port", 8080, "port for Ingresses; 0 does not serve them")
	f.StringSliceVar(&o.addresses, "address", nil, "addresses or host names at which clients reach this installation, for statuses (default those of --service; without a cluster 127.0.0.1)")
	o.chaos.add(f)
	f.BoolVar(&o.shareHosts, "share-ingress-hosts", false,
		"let Ingresses of several namespaces serve one host together; otherwise it belongs to the namespace of the oldest")
	f.BoolVar(&o.allowExternalName, "allow-external-name", false, "let Services of type ExternalName be backends")
}

// validate reports flags that cannot be used.
func (o *objectOptions) validate() error {
	if len(validation.IsDNS1123Subdomain(o.class)) > 0 {
		return wrong("--class %q: want a name of lower-case letters, digits, \"-\" and \".\"", o.class)
	}
	domain, path, _ := strings.Cut(o.controller, "/")
	if len(validation.IsDNS1123Subdomain(domain)) > 0 || path == "" {
		return wrong("--controller-name %q: want a name like breakwater-gateway.io/controller", o.controller)
	}
	for _, a := range o.addresses {
		if _, err := netip.ParseAddr(a); err != nil && len(validation.IsDNS1123Subdomain(a)) > 0 {
			return wrong("--address %q: want an IP address or a host name", a)
		}
	}
	return o.chaos.validate()
}

func (o *objectOptions) translate() translate.Options {
	return translate.Options{
		Controller:        o.controller,
		Class:             o.class,
		AllowExternalName: o.allowExternalName,
		ShareIngressHosts: o.shareHosts,
		IngressPort:       o.ingressPort,
		Addresses:         o.addresses,
		NoTrustedProxies:  o.trustsNobody,
	}
}

// standaloneOptions are the flags of the mode without a cluster.
type standaloneOptions struct {
	dir        string
	portOffset uint16
}

func (o *standaloneOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "manifests", "", "folder or file of Kubernetes YAML to serve instead of a cluster")
	f.Uint16Var(&o.portOffset, "port-offset", 10_000, "added to the port of a Gateway's listener (with --manifests only)")
}

// translate completes the options of a build for the mode without a cluster.
func (o *standaloneOptions) translate(objects *objectOptions) translate.Options {
	t := objects.translate()
	if len(t.Addresses) == 0 {
		t.Addresses = []string{"127.0.0.1"} // from this machine it is true, and nobody else reads the statuses
	}
	t.ImplicitClasses = true
	t.Chaos = objects.chaos.translate("")
	t.Chaos.Files = true
	t.Placement = gateway.Offset{Offset: o.portOffset, Reachable: t.Addresses}
	return t
}

// snapshot translates the manifests without serving them. What is wrong with them is written to stderr, and is an error: they would
// not be served.
func (o *standaloneOptions) snapshot(objects *objectOptions, stderr io.Writer) (*proxy.Snapshot, error) {
	v, problems := view.FromFiles(o.dir)
	bad := 0
	for _, p := range problems {
		if p.Level == view.Skipped {
			continue
		}
		if p.Holds() {
			bad++
		}
		if _, err := fmt.Fprintln(stderr, p); err != nil {
			return nil, fmt.Errorf("report a problem: %w", err)
		}
	}
	if bad > 0 {
		return nil, fmt.Errorf("--manifests %s: nothing of it is served while it is not valid", o.dir)
	}
	return translate.Build(v, o.translate(objects), nil).Snapshot, nil
}
