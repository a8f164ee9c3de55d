package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/breakwater-gateway/breakwater/controllers"
	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
)

// clusterOptions are the flags of the mode in a cluster.
type clusterOptions struct {
	kubeconfig string
	context    string

	namespace    string
	podName      string
	podAddress   string
	hosts        []string
	service      string
	lease        string
	gatewayPorts string
	serviceType  string
}

func (o *clusterOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file (default $KUBECONFIG, ~/.kube/config, or the pod's own account)")
	f.StringVar(&o.context, "context", "", "context of the kubeconfig")
	f.StringVar(&o.namespace, "namespace", "", "namespace of this installation (default $POD_NAMESPACE, else breakwater-system)")
	f.StringVar(&o.podName, "pod-name", "", "name of this replica (default $POD_NAME, else the host's name)")
	f.StringVar(&o.podAddress, "pod-ip", "", "address of this replica, used while there is no --service (default $POD_IP)")
	f.StringSliceVar(&o.hosts, "host-ip", nil,
		"addresses of the node, to which the API for Toxiproxy's clients leads nobody (default $HOST_IP)")
	f.StringVar(&o.service, "service", "breakwater", "Service of this installation that selects the pods of all replicas")
	f.StringVar(&o.lease, "lease", "breakwater", "Lease by which replicas elect the one that writes statuses")
	f.StringVar(&o.gatewayPorts, "gateway-ports", "20000-29999", "pod ports that Gateways' listeners get")
	f.StringVar(&o.serviceType, "gateway-service-type", "LoadBalancer", "type of Gateways' Services: LoadBalancer, NodePort or ClusterIP")
}

// config returns the configuration of the controllers, without what the process adds.
func (o *clusterOptions) config(objects *objectOptions) (controllers.Config, error) {
	ports, err := o.ports()
	if err != nil {
		return controllers.Config{}, err
	}
	if p := objects.ingressPort; p >= ports.First && p <= ports.Last {
		return controllers.Config{}, wrong("--ingress-http-port %d lies in --gateway-ports %s: a Gateway could be given the same port",
			p, o.gatewayPorts)
	}
	switch corev1.ServiceType(o.serviceType) {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort, corev1.ServiceTypeClusterIP:
	default:
		return controllers.Config{}, wrong("--gateway-service-type %q: want LoadBalancer, NodePort or ClusterIP", o.serviceType)
	}
	c, err := o.rest()
	if err != nil {
		return controllers.Config{}, err
	}
	name := firstOf(o.podName, os.Getenv("POD_NAME"))
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return controllers.Config{}, fmt.Errorf("no --pod-name, and the host has no name: %w", err)
		}
	}
	namespace := o.installation()
	translation := objects.translate()
	translation.Chaos = objects.chaos.translate(namespace)
	return controllers.Config{
		REST:      c,
		Translate: translation,
		Gateways:  controllers.Gateways{Ports: ports, ServiceType: corev1.ServiceType(o.serviceType)},
		Pods: controllers.Pods{
			Service: types.NamespacedName{Namespace: namespace, Name: o.service},
			Address: firstOf(o.podAddress, os.Getenv("POD_IP")),
		},
		Leader: controllers.Leader{Namespace: namespace, Name: o.lease, Identity: name},
	}, nil
}

// installation returns the namespace of this installation.
func (o *clusterOptions) installation() string {
	return firstOf(o.namespace, os.Getenv("POD_NAMESPACE"), "breakwater-system")
}

// hostAddresses returns the addresses of the node that this replica runs on, as far as they are known.
func (o *clusterOptions) hostAddresses() ([]netip.Addr, error) {
	given, from := o.hosts, "--host-ip"
	if env := os.Getenv("HOST_IP"); len(given) == 0 && env != "" {
		given, from = strings.Split(env, ","), "$HOST_IP"
	}
	var all []netip.Addr
	for _, s := range given {
		a, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			return nil, wrong("%s %q: want an IP address", from, s)
		}
		all = append(all, a)
	}
	return all, nil
}

// rest returns how to reach the API server.
func (o *clusterOptions) rest() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.context}
	c, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no cluster: this is no pod, and there is no kubeconfig (--kubeconfig). " +
			"Without a cluster, use \"breakwater serve --manifests DIR\" or \"breakwater demo\"")
	}
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	c.UserAgent = "breakwater/" + readVersion().module
	return c, nil
}

// ports are the pod ports that Gateways' listeners get.
func (o *clusterOptions) ports() (infrastructure.Range, error) {
	first, last, err := parsePorts("--gateway-ports", o.gatewayPorts)
	if err != nil {
		return infrastructure.Range{}, err
	}
	r := infrastructure.Range{First: first, Last: last}
	if err := r.Validate(); err != nil {
		return r, wrong("--gateway-ports: %w", err)
	}
	return r, nil
}

// parsePorts parses the value of a flag such as "20000-29999".
func parsePorts(flag, s string) (first, last uint16, err error) {
	from, to, ok := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if !ok || errA != nil || errB != nil {
		return 0, 0, wrong("%s %q: want two ports like 20000-29999", flag, s)
	}
	return uint16(a), uint16(b), nil
}

// firstOf returns the first value that is not empty.
func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// shareLog makes the Kubernetes libraries write to log.
func shareLog(log *slog.Logger) {
	crlog.SetLogger(logr.FromSlogHandler(log.Handler()))
	klog.SetSlogLogger(log)
}
