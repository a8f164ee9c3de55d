package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// readyWithin bounds the start of one program; a loaded two-core machine needs some ten seconds.
	readyWithin = 2 * time.Minute
	// serviceRange is where the API server takes ClusterIPs from, and serviceIP is the one it takes for itself.
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1"
)

// cluster is an etcd and a kube-apiserver with their files in dir.
type cluster struct {
	assets assets
	dir    string
	etcd   *process
	// apiserver is replaced when it is started again.
	apiserver *process
	// died gets an error when a program ends that was not told to.
	died chan error

	etcdPort, peerPort, port string
}

// newCluster prepares certificates, ports and the kubeconfig; nothing runs yet.
func newCluster(a assets, dir string) (*cluster, error) {
	c := &cluster{assets: a, dir: dir, died: make(chan error, 2)}
	ports, err := freePorts(3)
	if err != nil {
		return nil, fmt.Errorf("find free ports: %w", err)
	}
	c.etcdPort, c.peerPort, c.port = ports[0], ports[1], ports[2]
	if err := c.writePKI(); err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	return c, os.WriteFile(c.kubeconfig(), []byte(c.kubeconfigYAML()), 0o600)
}

func (c *cluster) writePKI() error {
	ca, err := newAuthority(c.dir)
	if err != nil {
		return err
	}
	return errors.Join(
		ca.server("kube-apiserver", []string{"localhost", "kubernetes.default.svc"}, net.IPv4(127, 0, 0, 1), net.ParseIP(serviceIP)),
		ca.client("admin", "system:masters"),
		ca.serviceAccountKeys(),
	)
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }
func (c *cluster) kubeconfig() string      { return c.path("kubeconfig") }
func (c *cluster) url() string             { return "https://127.0.0.1:" + c.port }

func (c *cluster) kubeconfigYAML() string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: cluster
contexts: [{name: cluster, context: {cluster: cluster, user: admin}}]
clusters: [{name: cluster, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {client-certificate: %q, client-key: %q}}]
`, c.url(), c.path("ca.crt"), c.path("admin.crt"), c.path("admin.key"))
}

// start starts both programs and returns when the API server is ready.
func (c *cluster) start(ctx context.Context) (err error) {
	clients, peers := "http://127.0.0.1:"+c.etcdPort, "http://127.0.0.1:"+c.peerPort
	c.etcd, err = startProcess(c.path("etcd.log"), c.died, c.assets.etcd,
		"--data-dir", c.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", clients, "--advertise-client-urls", clients,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers)
	if err != nil {
		return err
	}
	if err := c.await(ctx, c.etcd, http.DefaultClient, clients+"/health"); err != nil {
		return err
	}
	return c.startAPIServer(ctx)
}

// startAPIServer starts the API server unless it runs, and returns when it is ready.
func (c *cluster) startAPIServer(ctx context.Context) (err error) {
	if c.apiserver == nil || c.apiserver.ended() {
		c.apiserver, err = startProcess(c.path("kube-apiserver.log"), c.died, c.assets.apiserver,
			"--bind-address", "127.0.0.1", "--secure-port", c.port, "--endpoint-reconciler-type", "none",
			"--etcd-servers", "http://127.0.0.1:"+c.etcdPort,
			"--tls-cert-file", c.path("kube-apiserver.crt"), "--tls-private-key-file", c.path("kube-apiserver.key"),
			"--client-ca-file", c.path("ca.crt"), "--cert-dir", c.dir,
			"--service-account-issuer", "https://kubernetes.default.svc",
			"--service-account-key-file", c.path("sa.pub"), "--service-account-signing-key-file", c.path("sa.key"),
			"--service-cluster-ip-range", serviceRange, "--authorization-mode", "RBAC",
			// No controller makes the ServiceAccounts that this plugin demands of every Pod.
			"--disable-admission-plugins", "ServiceAccount",
		)
		if err != nil {
			return err
		}
	}
	client, err := c.adminClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return c.await(ctx, c.apiserver, client, c.url()+"/readyz")
}

func (c *cluster) adminClient() (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(c.path("admin.crt"), c.path("admin.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(c.path("ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}, nil
}

// await polls url until it answers 200, or p ends, or its time is over.
func (c *cluster) await(ctx context.Context, p *process, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if answersOK(ctx, client, url) {
			return nil
		}
		select {
		case <-p.done:
			return p.failure()
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s: %w", url, ctx.Err()), p.tail())
		case <-tick.C:
		}
	}
}

func answersOK(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// close ends the children at once: their data is thrown away with the folder.
func (c *cluster) close() {
	c.apiserver.kill()
	c.etcd.kill()
}

// freePorts returns n different TCP ports of loopback that were free a moment ago.
func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // at the end, so that all n differ
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
