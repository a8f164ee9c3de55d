package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/test/bench/apiserver"
	"github.com/breakwater-gateway/breakwater/test/bench/measure"
	"github.com/breakwater-gateway/breakwater/test/bench/peer"
	"github.com/breakwater-gateway/breakwater/test/bench/report"
	"github.com/breakwater-gateway/breakwater/test/bench/scale"
)

const (
	// clusterFolder holds the module whose program runs an API server.
	clusterFolder = "../cluster"
	// statusPause separates looks at how many statuses are written; a look lists all Ingresses.
	statusPause = time.Second
	statusLimit = 5 * time.Minute
)

// watched is one breakwater that reads an API server.
type watched struct {
	client  *apiserver.Client
	set     *apiserver.Set
	site    peer.Site
	process *peer.Process
	report.API
}

// measureAPI measures, with every number of routes in one API server, every breakwater: its start, its memory, and edits.
func (s *session) measureAPI(ctx context.Context) error {
	if !s.wantsPart(partAPI) || !s.anyBreakwater() {
		return nil
	}
	set, err := s.apiSet(ctx)
	if err != nil {
		return s.leaveOut(ctx, "api", err)
	}
	s.progress("starting an API server")
	server, err := apiserver.Start(ctx, clusterFolder)
	if err != nil {
		return s.leaveOut(ctx, "api", err)
	}
	defer server.Stop()
	client, err := apiserver.NewClient(server.Kubeconfig())
	if err != nil {
		return err
	}
	defer client.Close()
	for _, hosts := range s.apiScales {
		s.progress("api: creating objects for %d hosts", hosts)
		if err := set.Grow(ctx, client, hosts); err != nil {
			return err
		}
		for _, p := range s.peers {
			if p.CommandLine == "" {
				continue
			}
			one := &watched{client: client, set: set, API: report.API{Peer: p.Name, Hosts: set.Hosts(), Services: set.Services()}}
			if err := s.measureWatched(ctx, one, p.CommandLine, server.Kubeconfig()); err != nil {
				if err := s.leaveOut(ctx, "api, "+one.name(), err); err != nil {
					return err
				}
				continue
			}
			s.report.API = append(s.report.API, one.API)
		}
	}
	return nil
}

func (s *session) anyBreakwater() bool {
	for _, p := range s.peers {
		if p.CommandLine != "" {
			return true
		}
	}
	return false
}

// apiSet starts two backends at an address that an EndpointSlice may hold, and returns objects, not made yet, for them.
func (s *session) apiSet(ctx context.Context) (*apiserver.Set, error) {
	host, err := apiserver.HostAddress()
	if err != nil {
		return nil, err
	}
	set := &apiserver.Set{PerService: s.perService}
	for i, name := range []string{"a", "b"} {
		free, err := peer.FreeAddressAt(host)
		if err != nil {
			return nil, err
		}
		if set.Endpoints[i], err = s.startBackend(ctx, name, free); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (w *watched) name() string { return w.Peer + "-" + strconv.Itoa(w.Hosts) }

// measureWatched starts a breakwater, waits until it has nothing to do any more, and measures edits.
func (s *session) measureWatched(ctx context.Context, w *watched, commandLine, kubeconfig string) (err error) {
	if w.site, err = s.site("api-" + w.name()); err != nil {
		return err
	}
	command, err := peer.ServeCluster(commandLine, kubeconfig, "bench-"+w.name(), w.site)
	if err != nil {
		return err
	}
	begin := time.Now()
	if w.process, err = s.start("api-"+w.name(), command); err != nil {
		return err
	}
	defer s.stop(w.process)
	err = w.process.Ready(ctx, startLimit, func(ctx context.Context) error {
		_, err := peer.Get(ctx, w.site.Listen, scale.Host(w.Hosts-1), scale.Path)
		return err
	})
	if err != nil {
		return err
	}
	w.Live = millis(time.Since(begin))
	// It is ready when it has noted how long that took, which may be a moment later.
	err = w.process.Ready(ctx, startLimit, func(ctx context.Context) error {
		_, err := peer.Get(ctx, w.site.Admin, w.site.Admin, "/readyz")
		return err
	})
	if err != nil {
		return err
	}
	w.Start = inMillis(exported(ctx, w.site).Since(nil))
	if err := w.settle(ctx); err != nil {
		return err
	}
	w.Statuses = millis(time.Since(begin))
	if err := pause(ctx, settleBefore); err != nil {
		return err
	}
	memory, err := measure.PSS(w.process.PID())
	if err != nil {
		return err
	}
	w.Memory = kib(memory)
	s.progress("api %s: live after %.0f ms, all statuses after %.0f ms, %.0f KiB", w.name(), w.Live, w.Statuses, w.Memory)
	if err := s.measureWrites(ctx, w); err != nil {
		return err
	}
	if memory, err = measure.PSS(w.process.PID()); err != nil {
		return err
	}
	w.Edited = kib(memory)
	return nil
}

// settle waits until every Ingress has its status.
func (w *watched) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	for {
		n, err := w.client.WithStatus(ctx)
		if err == nil && n >= w.Hosts {
			return nil
		}
		if pause(ctx, statusPause) != nil {
			return fmt.Errorf("%d of %d Ingresses have a status after %v (%w)", n, w.Hosts, statusLimit, err)
		}
	}
}

// measureWrites times edits of one route and of one endpoint, spread over all objects.
func (s *session) measureWrites(ctx context.Context, w *watched) error {
	proxy := scale.NewClient(w.site.Listen)
	defer proxy.Close()
	for _, kind := range []struct {
		name string
		into *report.APIEdits
		make func(n int) (func(context.Context) error, scale.Question)
	}{
		{"route", &w.Route, w.routeWrite},
		{"endpoint", &w.Endpoint, w.endpointWrite},
	} {
		// Not after each edit: with this many series, reading them sets the garbage collector off, which the next edit meets.
		before := exported(ctx, w.site)
		if err := pause(ctx, settleBefore); err != nil {
			return err
		}
		begin := time.Now()
		for n := range s.edits {
			if time.Since(begin) > editBudget {
				s.report.Warn("api %s: %d %s edits instead of %d, as they took %v", w.name(), n, kind.name, s.edits, editBudget)
				break
			}
			if err := pause(ctx, editPause); err != nil {
				return err
			}
			write, question := kind.make(n)
			edit, err := apiserver.TimeEdit(ctx, proxy, write, question)
			if err != nil {
				return fmt.Errorf("%s edit %d: %w", kind.name, n, err)
			}
			add(kind.into, edit)
		}
		if err := pause(ctx, settleBefore); err != nil {
			return err
		}
		kind.into.Exported = inMillis(exported(ctx, w.site).Since(before))
		s.progress("api %s: %d %s edits, median %.2f ms, of which %.2f ms after the API server's answer", w.name(), len(kind.into.Live), kind.name,
			measure.Summarize(kind.into.Live).Median, measure.Summarize(kind.into.AfterWrite).Median)
	}
	return nil
}

func add(to *report.APIEdits, e apiserver.Edit) {
	to.Live = append(to.Live, millis(e.Live))
	to.AfterWrite = append(to.AfterWrite, millis(e.AfterWrite()))
	to.Write = append(to.Write, millis(e.Write))
	to.Unsure = append(to.Unsure, millis(e.Unsure))
}

func (w *watched) routeWrite(n int) (func(context.Context) error, scale.Question) {
	host := n * stride % w.Hosts
	path, object, change := w.set.AddPath(host)
	live := func(status int, _ string) bool { return status == http.StatusOK }
	return w.patch(object, change), scale.Question{Host: scale.Host(host), Path: path, Live: live}
}

func (w *watched) endpointWrite(n int) (func(context.Context) error, scale.Question) {
	service := n * stride % w.Services
	now, object, change := w.set.Swap(service)
	want := [2]string{"a", "b"}[now]
	live := func(status int, body string) bool { return status == http.StatusOK && strings.TrimSpace(body) == want }
	return w.patch(object, change), scale.Question{Host: scale.Host(service * w.set.PerService), Path: scale.Path + "/name", Live: live}
}

func (w *watched) patch(o apiserver.Object, change map[string]any) func(context.Context) error {
	return func(ctx context.Context) error { return w.client.Patch(ctx, o, change) }
}
