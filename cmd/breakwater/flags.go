package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group is the flags of one owner, shown together.
type group struct {
	title string
	flags *pflag.FlagSet
}

// newGroup returns a group with the flags that add defines.
func newGroup(title string, add func(*pflag.FlagSet)) group {
	g := group{title, pflag.NewFlagSet(title, pflag.ContinueOnError)}
	g.flags.SortFlags = false
	add(g.flags)
	return g
}

// addGroups gives c the flags of the groups, and a usage text that keeps them together.
func addGroups(c *cobra.Command, groups ...group) {
	c.Flags().SortFlags = false
	for _, g := range groups {
		c.Flags().AddFlagSet(g.flags)
	}
	c.SetUsageFunc(func(c *cobra.Command) error {
		var b strings.Builder
		fmt.Fprintf(&b, "Usage:\n  %s\n", c.UseLine())
		if c.HasExample() {
			fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
		}
		for _, g := range groups {
			fmt.Fprintf(&b, "\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(usageWidth))
		}
		_, err := fmt.Fprint(c.OutOrStderr(), b.String())
		return err
	})
}

// usageWidth is the width of usage texts in columns.
const usageWidth = 110
