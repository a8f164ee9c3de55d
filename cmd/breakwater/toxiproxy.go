package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/access"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
)

// toxiproxyOptions are the flags of the API for Toxiproxy's clients.
type toxiproxyOptions struct {
	address        string
	config         string
	ports          string
	seed           uint64
	strict         bool
	metrics        bool
	runtimeMetrics bool

	hosts   []string        // names by which clients may call it
	cluster *clusterOptions // nil without a cluster
}

func (o *toxiproxyOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.address, "toxiproxy-address", "",
		"address of the API for Toxiproxy's clients, e.g. 127.0.0.1:8474 (default off); in a cluster it wants a bearer token")
	f.StringVar(&o.config, "toxiproxy-config", "", "file of proxies in Toxiproxy's format, made at the start")
	f.StringVar(&o.ports, "toxiproxy-ports", "", "ports that proxies made through the API may listen on (default any; in a cluster 30000-30099)")
	f.Uint64Var(&o.seed, "toxiproxy-seed", 0, "makes toxicity and jitter repeatable (default drawn at each start)")
	f.BoolVar(&o.metrics, "toxiproxy-metrics", false, "offer /metrics with Toxiproxy's own counters on this API")
	f.BoolVar(&o.runtimeMetrics, "toxiproxy-runtime-metrics", false, "offer /metrics with those of the Go runtime and the process on this API")
	f.BoolVar(&o.strict, "toxiproxy-strict", false,
		"on proxies made through the API, reset connections whose upstream cannot be reached and keep those of a removed timeout, as TCP "+
			"routes always do, and reset those of a proxy that is disabled, deleted or moved; answer 201 to a new toxic, send errors as JSON")
}

// clusterToxiproxyPorts is where proxies may listen in a cluster if nothing is said.
const clusterToxiproxyPorts = "30000-30099"

// validate reports flags that cannot be used, or not together. ingress is the port for Ingresses.
func (o *toxiproxyOptions) validate(ingress uint16) error {
	if o.address == "" {
		for _, f := range []struct {
			name  string
			given bool
		}{
			{"config", o.config != ""}, {"ports", o.ports != ""}, {"seed", o.seed != 0}, {"metrics", o.metrics},
			{"runtime-metrics", o.runtimeMetrics}, {"strict", o.strict},
		} {
			if f.given {
				return wrong("--toxiproxy-%s needs --toxiproxy-address", f.name)
			}
		}
		return nil
	}
	r, err := o.portRange()
	if err != nil || o.cluster == nil {
		return err
	}
	gateways, err := o.cluster.ports()
	switch {
	case err != nil:
		return err
	case r.First < 1024:
		return wrong("--toxiproxy-ports %s: a pod may only bind 1024 and more", o.ports)
	case r.First <= ingress && ingress <= r.Last:
		return wrong("--ingress-http-port %d lies in --toxiproxy-ports %d-%d: a proxy could take the port", ingress, r.First, r.Last)
	case r.First <= gateways.Last && gateways.First <= r.Last:
		return wrong("--toxiproxy-ports %d-%d and --gateway-ports %s overlap: a proxy could take the port of a Gateway",
			r.First, r.Last, o.cluster.gatewayPorts)
	}
	return nil
}

// portRange is where proxies may listen; the zero value is everywhere.
func (o *toxiproxyOptions) portRange() (toxiproxy.PortRange, error) {
	ports := o.ports
	if o.cluster != nil {
		ports = cmp.Or(ports, clusterToxiproxyPorts)
	}
	if ports == "" {
		return toxiproxy.PortRange{}, nil
	}
	first, last, err := parsePorts("--toxiproxy-ports", ports)
	if err == nil && (first == 0 || last < first) {
		err = wrong("--toxiproxy-ports %s: want two ports in ascending order, 1 or more", ports)
	}
	return toxiproxy.PortRange{First: first, Last: last}, err
}

// toxiproxyAPI is the running API.
type toxiproxyAPI struct {
	*operator
	proxies *toxiproxy.Server
}

// toxiproxyTitle is what messages call the API.
const toxiproxyTitle = "API for Toxiproxy's clients"

// start binds the API, makes the proxies of the configuration file and serves; nil without an address. shared is what of a Config
// other parts of the process have too.
func (o *toxiproxyOptions) start(shared toxiproxy.Config) (_ *toxiproxyAPI, err error) {
	if o.address == "" {
		return nil, nil
	}
	c, err := o.serverConfig(shared)
	if err != nil {
		return nil, err
	}
	ln, err := bindOperator(toxiproxyTitle, "--toxiproxy-address", o.address) // before a proxy can take the port
	if err != nil {
		return nil, err
	}
	api := &toxiproxyAPI{proxies: toxiproxy.New(c)}
	c.Chaos.FollowSwitches(api.proxies.SetEnabled)
	if err := o.populate(api.proxies); err != nil {
		api.proxies.Close()
		return nil, errors.Join(err, ln.Close())
	}
	api.operator = serveOperator(toxiproxyTitle, ln, api.proxies.NewHTTPServer())
	c.Log.Info(toxiproxyTitle, "address", api.Address.String())
	if c.Authorize == nil && !ln.Addr().(*net.TCPAddr).IP.IsLoopback() {
		c.Log.Warn("the API for Toxiproxy's clients is open to everybody who can reach it", "address", api.Address.String())
	}
	return api, nil
}

// serverConfig adds to a Config what the flags say of the API.
func (o *toxiproxyOptions) serverConfig(c toxiproxy.Config) (_ toxiproxy.Config, err error) {
	c.Seed, c.Strict, c.Hosts = o.seed, o.strict, o.hosts
	if host, _, err := net.SplitHostPort(o.address); err == nil {
		c.Hosts = append(slices.Clone(c.Hosts), host)
	}
	if o.metrics || o.runtimeMetrics {
		m := toxiproxy.NewMetrics()
		c.Metrics = m.Handler()
		if o.metrics {
			c.Traffic = m.Count
		}
		if o.runtimeMetrics {
			m.AddRuntime()
		}
	}
	if c.Ports, err = o.portRange(); err != nil {
		return c, err
	}
	if o.cluster == nil {
		return c, nil
	}
	hosts, err := o.cluster.hostAddresses()
	if err != nil {
		return c, err
	}
	c.Refuse = toxiproxy.RefuseLocal(hosts...)
	c.Authorize, err = o.cluster.authorizeToxiproxy()
	return c, err
}

// populate makes the proxies of the configuration file.
func (o *toxiproxyOptions) populate(proxies *toxiproxy.Server) error {
	if o.config == "" {
		return nil
	}
	file, err := os.Open(o.config)
	if err != nil {
		return fmt.Errorf("read the proxies (--toxiproxy-config): %w", err)
	}
	defer file.Close()
	if err := proxies.Populate(file); err != nil {
		return fmt.Errorf("make the proxies of --toxiproxy-config %s: %w", o.config, err)
	}
	return nil
}

// close ends the API, its proxies and their connections. A nil API has ended.
func (a *toxiproxyAPI) close() error {
	if a == nil {
		return nil
	}
	err := a.operator.close()
	a.proxies.Close()
	return err
}

// list returns what lists the toxics; nil for a nil API.
func (a *toxiproxyAPI) list() func() []toxiproxy.Toxic {
	if a == nil {
		return nil
	}
	return a.proxies.Toxics
}

// failed never delivers for a nil API.
func (a *toxiproxyAPI) failed() <-chan error {
	if a == nil {
		return nil
	}
	return a.operator.failed()
}

// The reviews of tokens per second, and at once: with the library's 5 a second a test that calls the API often would be slow.
const (
	reviewQPS   = 200
	reviewBurst = 400
)

// authorizeToxiproxy returns what asks the API server about every request: reading takes the verb get on
// toxiproxies.breakwater-gateway.io in this installation's namespace, everything else the verb update. No such objects exist; the
// name is for roles.
func (o *clusterOptions) authorizeToxiproxy() (func(*http.Request) *toxiproxy.Error, error) {
	config, err := o.rest()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = reviewQPS, reviewBurst
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("set up the reviews of tokens: %w", err)
	}
	reviewer := access.NewReviewer(client, authorizationv1.ResourceAttributes{
		Namespace: o.installation(), Group: v1alpha1.Group, Resource: "toxiproxies",
	})
	return func(r *http.Request) *toxiproxy.Error { return authorize(reviewer, r) }, nil
}

// authorize decides about one request.
func authorize(reviewer *access.Reviewer, r *http.Request) *toxiproxy.Error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return &toxiproxy.Error{Message: "a bearer token is required", Status: http.StatusUnauthorized}
	}
	verb := "update"
	if r.Method == http.MethodGet {
		verb = "get"
	}
	switch _, err := reviewer.Review(r.Context(), token, verb); {
	case err == nil:
		return nil
	case errors.Is(err, access.ErrUnknown):
		return &toxiproxy.Error{Message: err.Error(), Status: http.StatusUnauthorized}
	case errors.Is(err, access.ErrForbidden):
		return &toxiproxy.Error{Message: err.Error(), Status: http.StatusForbidden}
	default:
		return &toxiproxy.Error{Message: err.Error(), Status: http.StatusServiceUnavailable}
	}
}
