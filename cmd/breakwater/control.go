package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/breakwater-gateway/breakwater/proxy/admin"
)

const chaosOffLong = `Off is the kill switch of one running instance: within milliseconds no experiment acts there any more, and no toxic that
was made through the API for Toxiproxy's clients. It holds until "breakwater chaos on" or a restart.

Other replicas go on. For all replicas of an installation there is a ConfigMap:

  kubectl create configmap -n breakwater-system breakwater-chaos \
    --from-literal=chaos=off`

// newChaosControls returns the commands that ask a running instance about its experiments.
func newChaosControls() []*cobra.Command {
	return []*cobra.Command{
		newChaosStatus(),
		newChaosSwitch("off", "Stop all experiments of a running instance at once", chaosOffLong, admin.OffPath),
		newChaosSwitch("on", "Lift what off has done", "", admin.OnPath),
		newChaosRearm(),
	}
}

func newChaosStatus() *cobra.Command {
	var at instance
	var output string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what every experiment does now",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return wrong("--output %q: want text or json", output)
			}
			return at.call(c.Context(), http.MethodGet, "/chaos", url.Values{"format": {output}}, c.OutOrStdout())
		},
	}
	addGroups(c,
		newGroup("Flags", func(f *pflag.FlagSet) { f.StringVarP(&output, "output", "o", "text", "text or json") }),
		newGroup(instanceTitle, at.add),
	)
	return c
}

func newChaosSwitch(name, short, long, path string) *cobra.Command {
	var at instance
	c := &cobra.Command{
		Use:   name,
		Short: short,
		Long:  long,
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return at.call(c.Context(), http.MethodPost, path, nil, c.OutOrStdout())
		},
	}
	addGroups(c, newGroup(instanceTitle, at.add))
	return c
}

func newChaosRearm() *cobra.Command {
	var at instance
	c := &cobra.Command{
		Use:   "rearm NAMESPACE/NAME",
		Short: "Let an experiment act again that was halted, in all replicas",
		Args:  exactly(1, "NAMESPACE/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			namespace, name, err := experimentName(args[0])
			if err != nil {
				return err
			}
			query := url.Values{"namespace": {namespace}, "name": {name}}
			return at.call(c.Context(), http.MethodPost, admin.RearmPath, query, c.OutOrStdout())
		},
	}
	addGroups(c, newGroup(instanceTitle, at.add))
	return c
}

// experimentName splits NAMESPACE/NAME.
func experimentName(s string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(s, "/")
	if !ok || namespace == "" || name == "" {
		return "", "", wrong("experiment %q: want NAMESPACE/NAME", s)
	}
	return namespace, name, nil
}
