package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/breakwater-gateway/breakwater/controllers"
	"github.com/spf13/cobra"
)

const serveLong = `Serve routes traffic as Ingress, Gateway, HTTPRoute and Service objects say.

Without --manifests the objects are those of a cluster: the one this pod runs in, or the one of the kubeconfig. With
--manifests they are read from the .yaml, .yml and .json files of a folder and its sub-folders, but for those whose names
begin with a dot. The folder is watched: what is saved is live at once. While any file is wrong, the last good state of
all stays in service; only experiments end, and the kill switch acts. A file that some program still has open for writing is
waited for, up to five seconds after its last change, where that can be known: on Linux, if the file belongs to the user of this
process. Elsewhere replace a file by renaming another one. "breakwater check DIR" says what is wrong without serving.

A first SIGTERM or Ctrl-C stops gracefully. A second one cuts off what is in flight; reports and logs are still written. The
same signal again within a second is the first one sent twice (timeout does that) and counts for nothing. Exit code: 0, also
if TCP connections and UDP sessions were cut off at the end of the grace period; 1 if requests were; 2 for a wrong command
line; 130 after a second signal.`

const serveExample = `  breakwater serve --manifests ./manifests --access-log json
  breakwater serve --kubeconfig ~/.kube/config`

// serveOptions are the flags of serve.
type serveOptions struct {
	process    processOptions
	standalone standaloneOptions
	cluster    clusterOptions
}

func newServe() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:     "serve",
		Short:   "Serve the objects of a cluster, or of a folder of manifests",
		Long:    serveLong,
		Example: serveExample,
		Args:    noArgs,
	}
	files, cluster := newGroup("Without a cluster", o.standalone.add), newGroup("In a cluster", o.cluster.add)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.mode(c.Flags().Changed("manifests"), files, cluster); err != nil {
			return err
		}
		if o.standalone.dir == "" && !c.Flags().Changed("drain-delay") {
			o.process.stop.drainDelay = clusterDrainDelay
		}
		return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
	}
	addGroups(c, append([]group{files, cluster}, o.process.groups()...)...)
	return c
}

// mode refuses the flags of the mode that is not chosen. standalone tells whether --manifests is given.
func (o *serveOptions) mode(standalone bool, files, cluster group) error {
	switch {
	case !standalone:
		return files.refuse("without --manifests")
	case o.standalone.dir == "": // a variable of a script that is not set must not lead to some cluster
		return wrong("--manifests \"\": want a folder or a file")
	default:
		return cluster.refuse("with --manifests")
	}
}

func (o *serveOptions) run(ctx context.Context, stdout, stderr io.Writer) error {
	log, err := o.process.log.logger(stderr)
	if err != nil {
		return err
	}
	newSource := o.files
	if o.standalone.dir == "" {
		newSource = o.controllers
		o.process.toxiproxy.cluster = &o.cluster
	}
	p, err := o.process.newProcess(stdout, log, newSource)
	if err != nil {
		return err
	}
	p.serving = func() {
		log.Info("serving", "ports", append([]uint16{}, portsOf(p.server.Snapshot())...)) // [] in JSON, not null, if there is none
	}
	log.Info("breakwater starts", "version", readVersion().module, "admin", o.process.admin.address)
	return p.run(ctx)
}

// files returns the source of the mode without a cluster.
func (o *serveOptions) files(p *process) (source, error) {
	return o.standalone.source(p, &o.process.objects)
}

// controllers returns the source that reads a cluster.
func (o *serveOptions) controllers(p *process) (source, error) {
	config, err := o.cluster.config(&o.process.objects)
	if err != nil {
		return nil, err
	}
	config.DataPlane, config.Log, config.Applied, config.Problems = p.dataPlane, p.log, p.applied, p.metrics.SetProblems
	config.Chaos, config.ChaosNews = p.chaos, p.chaos.Changed()
	p.replica, p.chaosSwitch = config.Leader.Identity, config.Translate.Chaos.SwitchName()
	shareLog(p.log)
	return controllers.New(config)
}

// source returns the source that reads files.
func (o *standaloneOptions) source(p *process, objects *objectOptions) (source, error) {
	if err := unreadable(o.dir); err != nil {
		return nil, fmt.Errorf("--manifests %w", err)
	}
	p.dataPlane.strict, p.appliedLevel = true, slog.LevelInfo
	return controllers.NewFiles(controllers.FilesConfig{
		Dir:       o.dir,
		DataPlane: p.dataPlane,
		Log:       p.log,
		Translate: o.translate(objects),
		Applied:   p.applied,
		Problems:  p.metrics.SetProblems,
	})
}
