// Package demo is what "breakwater demo" serves: sample manifests in a folder, and the backends they lead to, in this
// process and on loopback.
package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// Replica is one running backend.
type Replica struct {
	Service string
	Name    string
	Address netip.AddrPort
}

// database is the Service that speaks no HTTP.
const database = "db"

// services says how many replicas each Service has.
func services() []struct {
	name     string
	replicas int
} {
	return []struct {
		name     string
		replicas int
	}{{"hello", 2}, {"shop-v1", 2}, {"shop-v2", 2}, {database, 1}}
}

// Demo is a folder of manifests and the backends they lead to.
type Demo struct {
	Dir      string
	Replicas []Replica

	temporary bool
	stop      context.CancelFunc
	running   sync.WaitGroup
}

// Start starts the backends on free ports of 127.0.0.1 and writes the manifests to dir, or to a new temporary folder
// if dir is empty. Files that exist in dir are kept as they are, but for the generated list of endpoints.
func Start(dir string) (*Demo, error) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &Demo{Dir: dir, stop: cancel}
	err := d.start(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the demo: %w", err), d.Close())
	}
	return d, nil
}

func (d *Demo) start(ctx context.Context) error {
	for _, s := range services() {
		for i := range s.replicas {
			name := fmt.Sprintf("%s-%c", s.name, 'a'+i)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("listen for backend %s: %w", name, err)
			}
			address, err := netip.ParseAddrPort(ln.Addr().String())
			if err != nil {
				return errors.Join(fmt.Errorf("address of backend %s: %w", name, err), ln.Close())
			}
			d.Replicas = append(d.Replicas, Replica{Service: s.name, Name: name, Address: address})
			if s.name == database {
				d.running.Go(func() { serveDatabase(ctx, ln, name) })
				continue
			}
			handler := whoami.New(whoami.Options{
				Name: name, Hostname: name, Service: s.name, Namespace: "demo", Addresses: []string{address.Addr().String()},
			})
			d.running.Go(func() {
				// A backend that stops by itself is seen as what it is: a backend that is down.
				_ = whoami.Serve(ctx, ln, whoami.ServeOptions{Handler: handler, Grace: time.Second, ErrorLog: quiet()})
			})
		}
	}
	return d.write()
}

// Close stops the backends, waits for them and removes the folder if it is a temporary one.
func (d *Demo) Close() error {
	d.stop()
	d.running.Wait()
	if !d.temporary {
		return nil
	}
	return os.RemoveAll(d.Dir)
}

func (d *Demo) write() error {
	if d.Dir == "" {
		dir, err := os.MkdirTemp("", "breakwater-demo-")
		if err != nil {
			return fmt.Errorf("make a folder for the manifests: %w", err)
		}
		d.Dir, d.temporary = dir, true
	} else if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the manifests: %w", err)
	}
	files, err := fs.Glob(manifests, "manifests/*.yaml")
	if err != nil {
		return fmt.Errorf("list the sample manifests: %w", err)
	}
	for _, file := range files {
		content, err := manifests.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read a sample manifest: %w", err)
		}
		path := filepath.Join(d.Dir, filepath.Base(file))
		if _, err := os.Stat(path); err == nil {
			continue // the user's own version of it
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("write a sample manifest: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(d.Dir, EndpointsFile), endpoints(d.Replicas), 0o644); err != nil {
		return fmt.Errorf("write the endpoints: %w", err)
	}
	return nil
}

// quiet is a logger for errors of single connections to the backends, which are the user's experiments.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
