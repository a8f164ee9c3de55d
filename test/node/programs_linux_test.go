package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// program is one that is built.
type program struct {
	name   string
	module string // folder of the module that pins it or has it
	source string
}

// pinned are the programs of the node. containerd's module is apart, so that neither changes the other's dependencies.
var pinned = []program{
	{"containerd", "containerd", "github.com/containerd/containerd/v2/cmd/containerd"},
	{"containerd-shim-runc-v2", "containerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"},
	{"ctr", "containerd", "github.com/containerd/containerd/v2/cmd/ctr"},
	{"etcd", ".", "go.etcd.io/etcd/server/v3"},
	{"kube-apiserver", ".", "k8s.io/kubernetes/cmd/kube-apiserver"},
	{"kube-controller-manager", ".", "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{"kube-scheduler", ".", "k8s.io/kubernetes/cmd/kube-scheduler"},
	{"kube-proxy", ".", "k8s.io/kubernetes/cmd/kube-proxy"},
	{"kubelet", ".", "k8s.io/kubernetes/cmd/kubelet"},
	{"kubectl", ".", "k8s.io/kubernetes/cmd/kubectl"},
}

// own are the programs in the images. They are built in each run, for it alone.
var own = []program{
	{"breakwater", "../..", "./cmd/breakwater"},
	{"whoami", "../..", "./cmd/whoami"},
	{"agent", ".", "./agent"},
}

// packages are the Debian packages whose programs the node needs.
const packages = "runc containernetworking-plugins nftables iproute2"

// needs says what the machine lacks.
func needs() error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs the rights of root, for namespaces, mounts and control groups")
	}
	var missing error
	for _, name := range []string{"runc", "nft", "ip"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = errors.Join(missing, err)
		}
	}
	if cniDir() == "" {
		missing = errors.Join(missing, errors.New("no CNI plugins (ptp, host-local, loopback) in /usr/lib/cni or /opt/cni/bin"))
	}
	if missing != nil {
		return fmt.Errorf("programs are missing; on Debian: apt-get install -y --no-install-recommends %s\n%w", packages, missing)
	}
	return nil
}

// cniDir is the folder of the CNI plugins, or nothing.
func cniDir() string {
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir
		}
	}
	return ""
}

// folder has executables.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// programs is where the pinned programs are or will be: the name depends on all that a build depends on.
func programs() folder {
	h := sha256.New()
	for _, module := range []string{".", "containerd"} {
		for _, file := range []string{"go.mod", "go.sum"} {
			data, _ := os.ReadFile(filepath.Join(module, file)) // without it no build succeeds
			fmt.Fprintf(h, "%d\n%s", len(data), data)
		}
	}
	fmt.Fprint(h, runtime.Version(), runtime.GOARCH)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return folder(filepath.Join(cache, "breakwater", "node", hex.EncodeToString(h.Sum(nil))[:16]))
}

// buildPinned builds what is missing. Only one process builds at a time; others wait for it.
func buildPinned(ctx context.Context) error {
	if err := os.MkdirAll(string(programs()), 0o755); err != nil {
		return err
	}
	lock, err := os.Create(programs().path("lock"))
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the cache folder: %w", err)
	}
	for _, p := range pinned {
		if _, err := os.Stat(programs().path(p.name)); err == nil {
			continue
		}
		started := time.Now()
		fmt.Fprintf(os.Stderr, "node: build %s, once\n", p.name)
		if err := p.build(ctx, programs()); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "node: built in %s\n", time.Since(started).Round(time.Second))
	}
	return nil
}

// buildOwn builds the programs of the images.
func buildOwn(ctx context.Context, into folder) error {
	for _, p := range own {
		if err := p.build(ctx, into); err != nil {
			return err
		}
	}
	return nil
}

// build compiles a static program; it gets its name only once it is complete.
func (p program) build(ctx context.Context, into folder) error {
	partial := into.path(p.name + ".partial")
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w",
		"-tags=no_btrfs,no_devmapper,no_zfs", "-o", partial, p.source)
	cmd.Dir = p.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", p.source, err)
	}
	return os.Rename(partial, into.path(p.name))
}
