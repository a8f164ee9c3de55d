package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/breakwater-gateway/breakwater/controllers"
)

const checkLong = `Check reads a folder of manifests as "serve --manifests" would, serves nothing, and prints a line for each thing that is
wrong or doubtful:

  FILE:LINE: error: OBJECT: FIELD: REASON
  FILE:LINE: warning: OBJECT: FIELD: REASON

An error is a manifest that would hold back the whole folder, or an object that would not be served as it says. What a
warning is about would be served, but perhaps not as it is meant, or is of a kind that is not served yet. Exit code: 0
without errors, 1 with errors (with --strict also with warnings), 2 for a wrong command line, 130 if a signal ended it
before it was done.`

const checkExample = `  breakwater check ./manifests
  breakwater check ./manifests --strict`

// checkOptions are the flags of check.
type checkOptions struct {
	strict     bool
	objects    objectOptions
	standalone standaloneOptions
}

func newCheck() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:     "check DIR",
		Short:   "Say what is wrong with a folder of manifests",
		Long:    checkLong,
		Example: checkExample,
		Args:    exactly(1, "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			o.standalone.dir = args[0]
			return o.run(c.OutOrStdout())
		},
	}
	addGroups(c,
		newGroup("Flags", func(f *pflag.FlagSet) { f.BoolVar(&o.strict, "strict", false, "take warnings for errors") }),
		newGroup("As the flags of serve", func(f *pflag.FlagSet) {
			f.Uint16Var(&o.standalone.portOffset, "port-offset", 10_000, "added to the port of a Gateway's listener")
			o.objects.add(f)
		}),
	)
	return c
}

func (o *checkOptions) run(stdout io.Writer) error {
	if err := o.objects.validate(); err != nil {
		return err
	}
	if err := unreadable(o.standalone.dir); err != nil {
		return err
	}
	remarks, objects := controllers.Check(o.standalone.dir, o.standalone.translate(&o.objects))
	errs, warnings := 0, 0
	for _, r := range remarks {
		kind := "error"
		if r.Warning {
			kind = "warning"
			warnings++
		} else {
			errs++
		}
		if err := printRemark(stdout, r, kind); err != nil {
			return err
		}
	}
	if errs > 0 || o.strict && warnings > 0 {
		return fmt.Errorf("%s: %s, %s", o.standalone.dir, number(errs, "error"), number(warnings, "warning"))
	}
	_, err := fmt.Fprintf(stdout, "%s: %s, no error, %s\n", o.standalone.dir, number(objects, "object"), number(warnings, "warning"))
	return err
}

func printRemark(w io.Writer, r controllers.Remark, kind string) error {
	place := r.Place.File
	if r.Place.Line > 0 {
		place = fmt.Sprintf("%s:%d", place, r.Place.Line)
	}
	for _, part := range []string{kind, r.Object, r.Reason} {
		if part != "" {
			if place != "" {
				place += ": "
			}
			place += part
		}
	}
	_, err := fmt.Fprintln(w, clean(place))
	return err
}

func number(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// unreadable returns why a folder, or a file, of manifests cannot be read at all.
func unreadable(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		_, err = os.ReadDir(path)
	} else if err == nil {
		var f *os.File
		if f, err = os.Open(path); err == nil {
			err = f.Close()
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no such folder", path)
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", path, e.Err)
	}
	return err
}
