package main

import (
	"io"

	"github.com/spf13/cobra"
)

const rootLong = `Breakwater routes the traffic that Ingress and Gateway API objects describe, and breaks it on purpose where NetworkChaos
objects say so: latency, loss, resets, error responses and other faults, for as long as they say and no longer.

  breakwater demo                     everything embedded: backends, sample manifests, proxy; prints what to try
  breakwater serve --manifests DIR    standalone: Kubernetes YAML from files, reloaded on change, no API server
  breakwater serve                    in a cluster, or with a kubeconfig`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "breakwater",
		Short: "A Kubernetes ingress controller that you can break on purpose",
		Long:  rootLong,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrong("there is no command %q", args[0])
			}
			return nil
		},
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		Version:       readVersion().module,
		SilenceUsage:  true, // run prints errors, once
		SilenceErrors: true,
	}
	root.SetHelpFunc(help)
	root.SetHelpCommand(newHelp())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetVersionTemplate(readVersion().String()) // what the command version prints
	root.AddCommand(newDemo(), newServe())
	for _, c := range []*cobra.Command{newCheck(), newExplain(), newChaos(), newReport(), newVersion()} {
		// Only those above have something to stop gracefully.
		c.PersistentPreRun = func(c *cobra.Command, _ []string) { endAtOnce(c.Context()) }
		root.AddCommand(c)
	}
	for _, c := range append(root.Commands(), root) {
		c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{flagError(err)} })
	}
	return root
}

// noArgs refuses arguments, with a usageError.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrong("unexpected argument %q", args[0])
	}
	return nil
}

// exactly wants n arguments, which names says.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return wrong("want %s, got %s", names, number(len(args), "argument"))
		}
		return nil
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), readVersion().String())
			return err
		},
	}
}
