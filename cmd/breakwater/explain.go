package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/http1"
	"github.com/breakwater-gateway/breakwater/proxy/router"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const explainLong = `Explain says which rule a request selects, and why the others do not.

It asks a running instance at --admin-address, or, with --manifests, looks at the files in a folder without running
anything. The URL's host is the one the request is for; nothing is resolved and no request is sent to it. Without a port
in the URL every port that is served is looked at.`

const explainExample = `  breakwater explain GET http://shop.example.com/cart
  breakwater explain POST shop.example.com:10080/cart -H "x-canary: yes" \
    --manifests ./manifests`

// explainOptions are the flags of explain.
type explainOptions struct {
	header     []string
	output     string
	instance   instance
	objects    objectOptions
	standalone standaloneOptions
}

func newExplain() *cobra.Command {
	o := explainOptions{instance: instance{hint: "--admin-address and --manifests say what to ask"}}
	c := &cobra.Command{
		Use:     "explain METHOD URL",
		Short:   "Say which rule a request selects and why the others do not",
		Long:    explainLong,
		Example: explainExample,
		Args:    exactly(2, "METHOD and URL"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.run(c.Context(), args[0], args[1], c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	addGroups(c,
		newGroup("Request", func(f *pflag.FlagSet) {
			f.StringArrayVarP(&o.header, "header", "H", nil, "a header line \"name: value\" of the request; may be repeated")
			f.StringVarP(&o.output, "output", "o", "text", "text or json")
		}),
		newGroup(instanceTitle, o.instance.add),
		newGroup("Looking at files", func(f *pflag.FlagSet) {
			o.standalone.add(f)
			f.Lookup("manifests").Usage = "folder or file of Kubernetes YAML to look at instead of asking a running instance"
			o.objects.add(f)
		}),
	)
	return c
}

func (o *explainOptions) run(ctx context.Context, method, target string, stdout, stderr io.Writer) error {
	if o.output != "text" && o.output != "json" {
		return wrong("--output %q: want text or json", o.output)
	}
	q, err := admin.NewQuery(method, target, o.header)
	if err != nil {
		return usageError{err}
	}
	if o.standalone.dir == "" {
		query := url.Values{"method": {method}, "url": {target}, "header": o.header, "format": {o.output}}
		return o.instance.call(ctx, http.MethodGet, "/explain", query, stdout)
	}
	snapshot, err := o.standalone.snapshot(&o.objects, stderr)
	if err != nil {
		return err
	}
	tables, err := newTables(snapshot)
	if err != nil {
		return err
	}
	answer, err := explain(q, snapshot, tables.explain, nil)
	if err != nil {
		return err
	}
	if o.output == "json" {
		return json.NewEncoder(stdout).Encode(answer)
	}
	_, err = io.WriteString(stdout, answer.String())
	return err
}

// explanation is the answer for one port.
type explanation struct {
	Port uint16 `json:"port"`
	router.Explanation
	effects
}

// explanations are the answers for every port that was looked at.
type explanations []explanation

var _ fmt.Stringer = explanations(nil)

// String lays the explanations out for a terminal.
func (es explanations) String() string {
	var b strings.Builder
	for i, e := range es {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "port      %d\n%s", e.Port, e.Explanation)
		if text := e.effects.String(); text != "" {
			fmt.Fprintf(&b, "\n%s", text)
		}
	}
	return b.String()
}

// explain answers q for the port it names, or for every port of the Snapshot, which may be nil, that serves requests. live is what
// experiments do now; nil: nothing is running.
func explain(
	q admin.Query, s *proxy.Snapshot, one func(uint16, *proxy.Request) (router.Explanation, error), live *chaos.Engine,
) (explanations, error) {
	r, err := http1.ParseRequest(q.Head, http1.Limits{})
	if err != nil {
		refusal := &http1.Refusal{}
		if errors.As(err, &refusal) {
			return nil, fmt.Errorf("the request is refused with %d before it is routed: %w", refusal.Status, err)
		}
		return nil, fmt.Errorf("the request is not valid: %w", err)
	}
	ports := httpPorts(s)
	if stream := streamAt(s, q.Port); q.Port != 0 && stream != "" && !slices.Contains(ports, q.Port) {
		return nil, fmt.Errorf("port %d is not for requests: %s", q.Port, stream)
	}
	if len(ports) == 0 {
		return nil, errors.New("no port is served")
	}
	var all explanations
	for _, port := range ports {
		if q.Port == 0 || q.Port == port {
			e, err := one(port, r)
			if err != nil {
				return nil, fmt.Errorf("explain port %d: %w", port, err)
			}
			all = append(all, explanation{port, e, effectsOn(s, port, &e, r, live)})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("port %d is not served; these are: %v", q.Port, ports)
	}
	return all, nil
}
