package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

const rootLong = `Breakwater routes traffic for Ingress, Gateway API and Services, and injects faults into it on purpose.

  breakwater demo                     everything embedded: backends, sample manifests, proxy; prints what to try
  breakwater serve --manifests DIR    standalone: Kubernetes YAML from files, reloaded on change, no API server
  breakwater serve                    in a cluster, or with a kubeconfig`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "breakwater",
		Short:         "A Kubernetes ingress controller that you can break on purpose",
		Long:          rootLong,
		SilenceUsage:  true, // run prints errors, once
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newDemo(),
		newServe(),
		newExplain(),
		newVersion(),
	)
	for _, c := range append(root.Commands(), root) {
		c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{err, c.CommandPath()} })
	}
	return root
}

// noArgs refuses arguments, with a usageError.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0]), c.CommandPath()}
	}
	return nil
}

// exactly wants n arguments, which names says.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("want %s, got %d arguments", names, len(args)), c.CommandPath()}
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
