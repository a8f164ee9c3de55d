package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	nodeName  = "node"
	nodeIP    = "10.99.0.1"
	serviceIP = "10.96.0.1" // which the API server takes for itself
	socket    = "/run/containerd/containerd.sock"
	// patience bounds each step of the start on a loaded machine.
	patience = 3 * time.Minute
)

// node is a running node. The files of all its programs are in dir.
type node struct {
	dir string
	// died gets an error when a program ends; none is meant to.
	died chan error
}

func (n *node) path(elements ...string) string {
	return filepath.Join(append([]string{n.dir}, elements...)...)
}
func (n *node) kubeconfig(user string) string { return n.path(user + ".conf") }

// startNode starts everything and returns when the node is ready for pods.
func startNode(ctx context.Context, dir string) (*node, error) {
	n := &node{dir: dir, died: make(chan error, 16)}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"set the namespaces up", n.ownNamespaces},
		{"make certificates and configurations", n.writeFiles},
		{"start the control plane", n.startControlPlane},
		{"start containerd", n.startContainerd},
		{"start the kubelet", n.startKubelet},
	} {
		started := time.Now()
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Fprintf(os.Stderr, "node: %s: %s\n", step.what, time.Since(started).Round(time.Millisecond))
	}
	return n, nil
}

// ownNamespaces makes mounts and a network for this process and its children. The address of the node is that of a device which
// leads nowhere; the default route is there for programs that look for one.
func (n *node) ownNamespaces(ctx context.Context) error {
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE}, // nothing gets back to the machine
		{"none", "/", "", syscall.MS_REC | syscall.MS_SHARED},  // but volumes get into containers
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0},
		{"tmpfs", "/var/log", "tmpfs", 0},
	} {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	for _, command := range []string{
		"link set lo up",
		"link add node0 type veth peer name node1",
		"addr add " + nodeIP + "/24 dev node0",
		"link set node0 up",
		"link set node1 up",
		"route add default via 10.99.0.254 dev node0",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, out)
		}
	}
	return makeControlGroups(n.controlGroup())
}

// controlGroup is the name of the control group below which all pods are.
func (n *node) controlGroup() string { return filepath.Base(n.dir) }

// writeFiles makes the certificates, and what the programs read.
func (n *node) writeFiles(context.Context) error {
	ca, err := newAuthority(n.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(
		ca.issue("kube-apiserver", "kube-apiserver", nil,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", nodeIP, serviceIP),
		ca.issue("kubelet", "system:node:"+nodeName, []string{"system:nodes"}, nodeName, nodeIP),
		ca.issue("admin", "admin", []string{"system:masters"}),
		ca.issue("kube-controller-manager", "system:kube-controller-manager", nil),
		ca.issue("kube-scheduler", "system:kube-scheduler", nil),
		ca.issue("kube-proxy", "system:kube-proxy", nil),
		ca.serviceAccountKeys(),
	); err != nil {
		return err
	}
	for _, user := range []string{"admin", "kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		if err := n.write(user+".conf", kubeconfigYAML(n.dir, user)); err != nil {
			return err
		}
	}
	return errors.Join(
		os.Mkdir(n.path("cni"), 0o755),
		n.write("cni/10-ptp.conflist", fmt.Sprintf(cniJSON, n.path("addresses"))),
		n.write("containerd.toml", fmt.Sprintf(containerdTOML, n.path("containerd"), socket, pauseImage, cniDir(), n.path("cni"))),
		n.write("kubelet.yaml", fmt.Sprintf(kubeletYAML, n.path("ca.crt"), n.controlGroup(), socket, n.path("kubelet.crt"),
			n.path("kubelet.key"), n.path("pods"))),
	)
}

func (n *node) write(name, content string) error {
	return os.WriteFile(n.path(name), []byte(content), 0o600)
}

func kubeconfigYAML(dir, user string) string {
	in := func(name string) string { return filepath.Join(dir, name) }
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: node
contexts: [{name: node, context: {cluster: node, user: %[1]s}}]
clusters: [{name: node, cluster: {server: "https://%[2]s:6443", certificate-authority: %[3]q}}]
users: [{name: %[1]s, user: {client-certificate: %[4]q, client-key: %[5]q}}]
`, user, nodeIP, in("ca.crt"), in(user+".crt"), in(user+".key"))
}

const pauseImage = "localhost/agent:test"

// Pods have point-to-point links and no bridge: then replies of Services to pods pass the rules of kube-proxy without the module
// br_netfilter.
const cniJSON = `{"cniVersion": "1.0.0", "name": "pods", "plugins": [{
  "type": "ptp",
  "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
}]}
`

// restrict_oom_score_adj: where CAP_SYS_RESOURCE is missing, runc could not lower a score.
const containerdTOML = `version = 3
root = %q
state = "/run/containerd"
[grpc]
  address = %q
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %q
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [%q]
    conf_dir = %q
`

const kubeletYAML = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %q}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /%s
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://%s
resolvConf: ""
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
tlsCertFile: %q
tlsPrivateKeyFile: %q
podLogsDir: %q
evictionHard: {imagefs.available: "1%%", nodefs.available: "1%%", memory.available: 100Mi}
localStorageCapacityIsolation: false
`

func (n *node) startControlPlane(ctx context.Context) error {
	const etcd = "http://127.0.0.1:2379"
	pki := n.path
	if err := n.start("etcd", "--data-dir", n.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd, "--listen-peer-urls", "http://127.0.0.1:2380"); err != nil {
		return err
	}
	if err := n.start("kube-apiserver", "--etcd-servers", etcd,
		"--bind-address", nodeIP, "--advertise-address", nodeIP, "--secure-port", "6443", "--cert-dir", n.dir,
		"--tls-cert-file", pki("kube-apiserver.crt"), "--tls-private-key-file", pki("kube-apiserver.key"),
		"--client-ca-file", pki("ca.crt"),
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", pki("sa.pub"), "--service-account-signing-key-file", pki("sa.key"),
		"--kubelet-client-certificate", pki("admin.crt"), "--kubelet-client-key", pki("admin.key"),
		"--kubelet-preferred-address-types", "InternalIP",
		"--service-cluster-ip-range", "10.96.0.0/16", "--service-node-port-range", "32000-32767",
		"--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction",
	); err != nil {
		return err
	}
	if err := n.await(ctx, "the API server", func() error { return n.try("get", "--raw", "/readyz") }); err != nil {
		return err
	}
	if err := n.start("kube-controller-manager", "--kubeconfig", n.kubeconfig("kube-controller-manager"), "--leader-elect=false",
		"--service-account-private-key-file", pki("sa.key"), "--root-ca-file", pki("ca.crt"), "--use-service-account-credentials",
	); err != nil {
		return err
	}
	return n.start("kube-scheduler", "--kubeconfig", n.kubeconfig("kube-scheduler"), "--leader-elect=false")
}

func (n *node) startContainerd(ctx context.Context) error {
	if err := n.start("containerd", "--config", n.path("containerd.toml")); err != nil {
		return err
	}
	ctr := func(args ...string) error {
		out, err := exec.CommandContext(ctx, programs().path("ctr"),
			append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ctr %s: %w: %s", args, err, out)
		}
		return nil
	}
	if err := n.await(ctx, "containerd", func() error { return ctr("version") }); err != nil {
		return err
	}
	for _, p := range own {
		data, err := imageArchive("localhost/"+p.name+":test", n.path(p.name))
		if err != nil {
			return fmt.Errorf("make the image of %s: %w", p.name, err)
		}
		file := n.path(p.name + ".tar")
		if err := errors.Join(os.WriteFile(file, data, 0o600), ctr("images", "import", file)); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) startKubelet(ctx context.Context) error {
	if err := n.start("kubelet", "--config", n.path("kubelet.yaml"), "--kubeconfig", n.kubeconfig("kubelet"),
		"--hostname-override", nodeName, "--node-ip", nodeIP, "--root-dir", n.path("kubelet")); err != nil {
		return err
	}
	if err := n.start("kube-proxy", "--kubeconfig", n.kubeconfig("kube-proxy"), "--hostname-override", nodeName,
		"--proxy-mode", "nftables", "--cluster-cidr", "10.244.0.0/16", "--conntrack-max-per-core", "0"); err != nil {
		return err
	}
	return n.await(ctx, "a ready node", func() error {
		return n.try("wait", "--for=condition=Ready", "--timeout=1s", "node/"+nodeName)
	})
}

// start starts a program of the node. It lives until the namespace ends.
func (n *node) start(name string, args ...string) error {
	log, err := os.Create(n.path(name + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(programs().path(name), args...)
	cmd.Dir = n.dir
	cmd.Env = append(os.Environ(), "PATH="+string(programs())+":"+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		err := cmd.Wait()
		n.died <- fmt.Errorf("%s ended: %v\n%s", name, err, n.tail(name))
	}()
	return nil
}

// tail returns the last lines that a program of the node has written.
func (n *node) tail(name string) []byte {
	const most = 4096
	b, err := os.ReadFile(n.path(name + ".log"))
	if err != nil {
		return []byte(err.Error())
	}
	if len(b) > most {
		b = b[len(b)-most:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return b
}

// await calls done until it succeeds.
func (n *node) await(ctx context.Context, what string, done func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case died := <-n.died:
			return died
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		case <-tick.C:
		}
	}
}

// try runs kubectl as the administrator.
func (n *node) try(args ...string) error {
	_, err := n.run(context.Background(), "", args...)
	return err
}

// run runs kubectl as the administrator with an input and returns what it prints.
func (n *node) run(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, programs().path("kubectl"), append([]string{"--kubeconfig", n.kubeconfig("admin")}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+n.dir) // where it caches what the API server knows
	cmd.Stdin = strings.NewReader(input)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, problems.String())
	}
	return out.String(), nil
}

// dial tells whether something listens at address.
func dial(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
