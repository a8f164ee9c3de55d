package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

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
		width := helpWidth(c.OutOrStderr())
		fmt.Fprintf(&b, "Usage:\n  %s\n", c.UseLine())
		if c.HasExample() {
			fmt.Fprintf(&b, "\nExamples:\n%s\n", c.Example)
		}
		for _, g := range groups {
			fmt.Fprintf(&b, "\n%s\n%s\n", fill(g.title+":", width), fillFlags(g.flags, width))
		}
		_, err := fmt.Fprint(c.OutOrStderr(), b.String())
		return err
	})
}

// refuse reports a flag of the group that is on the command line although it means nothing there, as why says.
func (g group) refuse(why string) (err error) {
	g.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed && err == nil {
			err = wrong("--%s has no meaning %s", f.Name, why)
		}
	})
	return err
}

// flagError says what a flag wants instead of what its parser could not do.
func flagError(err error) error {
	invalid := &pflag.InvalidValueError{}
	if !errors.As(err, &invalid) {
		return err
	}
	want, known := map[string]string{
		"bool":     "true or false",
		"duration": "a duration such as 1m30s",
		"int":      "a whole number",
		"int64":    "a whole number",
		"uint16":   "a number from 0 to 65535",
		"uint64":   "a whole number, 0 or more",
	}[invalid.GetFlag().Value.Type()]
	if !known {
		return err
	}
	return fmt.Errorf("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), want)
}

// flagValue is the value of a flag, with the flag's name.
type flagValue[T any] struct {
	flag  string
	value T
}

// notNegative reports the first duration that is below 0.
func notNegative(durations ...flagValue[time.Duration]) error {
	for _, d := range durations {
		if d.value < 0 {
			return wrong("--%s %v: want 0 or more", d.flag, d.value)
		}
	}
	return nil
}
