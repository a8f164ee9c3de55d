package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
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

// The versions to build. They are part of the command so that it can be started from any folder.
var (
	//go:embed go.mod
	goMod []byte
	//go:embed go.sum
	goSum []byte
)

// assets are the programs a cluster consists of: paths of executables.
type assets struct {
	etcd, apiserver string
}

func assetsIn(dir string) assets {
	return assets{etcd: filepath.Join(dir, "etcd"), apiserver: filepath.Join(dir, "kube-apiserver")}
}

// check reports what is missing.
func (a assets) check() error {
	return errors.Join(executable(a.etcd), executable(a.apiserver))
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0) {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return err
}

// findAssets returns the programs of KUBEBUILDER_ASSETS or else of the cache, which it fills first if necessary.
func findAssets(ctx context.Context) (assets, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		a := assetsIn(dir)
		if err := a.check(); err != nil {
			return assets{}, fmt.Errorf("KUBEBUILDER_ASSETS: %w", err)
		}
		return a, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return assets{}, fmt.Errorf("find the cache folder: %w", err)
	}
	return buildInto(ctx, filepath.Join(cache, "breakwater", "cluster", buildKey()))
}

// buildKey names what a build depends on: the module versions, the compiler and the platform.
func buildKey() string {
	h := sha256.New()
	for _, part := range [][]byte{goMod, goSum, []byte(runtime.Version()), []byte(runtime.GOOS), []byte(runtime.GOARCH)} {
		fmt.Fprintf(h, "%d\n%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// buildInto makes sure that dir has the programs. Only one process builds at a time; the others wait for it.
func buildInto(ctx context.Context, dir string) (assets, error) {
	a := assetsIn(dir)
	if a.check() == nil {
		return a, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return assets{}, err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return assets{}, fmt.Errorf("lock the cache folder: %w", err)
	}
	defer unlock()
	if a.check() == nil { // another process built them while this one waited
		return a, nil
	}
	started := time.Now()
	fmt.Fprintf(os.Stderr, "cluster: building etcd and kube-apiserver into %s: once, it takes some minutes\n", dir)
	if err := build(ctx, a); err != nil {
		return assets{}, err
	}
	fmt.Fprintf(os.Stderr, "cluster: built in %s\n", time.Since(started).Round(time.Second))
	return a, nil
}

// build compiles one program after the other, each in a module that holds nothing but this one's go.mod and go.sum.
// A program gets its name only once it is complete.
func build(ctx context.Context, a assets) error {
	module, err := os.MkdirTemp("", "breakwater-cluster-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(module)
	if err := errors.Join(
		os.WriteFile(filepath.Join(module, "go.mod"), goMod, 0o644),
		os.WriteFile(filepath.Join(module, "go.sum"), goSum, 0o644),
	); err != nil {
		return err
	}
	for _, program := range []struct{ path, source string }{
		{a.etcd, "go.etcd.io/etcd/server/v3"},
		{a.apiserver, "k8s.io/kubernetes/cmd/kube-apiserver"},
	} {
		fmt.Fprintln(os.Stderr, "cluster: go build", program.source)
		partial := program.path + ".partial"
		cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", partial, program.source)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "PWD="+module)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build %s: %w", program.source, err)
		}
		if err := os.Rename(partial, program.path); err != nil {
			return err
		}
	}
	return nil
}

// lock waits until no other process holds the file at path. The operating system frees it when its holder dies.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
