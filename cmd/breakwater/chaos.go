package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/breakwater-gateway/breakwater/proxy/chaos"
)

const chaosTokenLong = `Token prints a token for an experiment that only acts on requests which bear one: in the header field, cookie or member
of W3C baggage that the NetworkChaos names. It needs no running instance, but the experiment's secret, which it reads from
standard input if no file is given.`

const chaosTokenExample = `  kubectl get secret -n shop chaos-token -o jsonpath='{.data.key}' | base64 -d |
    breakwater chaos token shop/slow-cart
  curl -H "X-Chaos-Token: $(breakwater chaos token shop/slow-cart \
    --secret-file ./secret)" http://shop.example.com/`

func newChaos() *cobra.Command {
	c := &cobra.Command{
		Use:   "chaos",
		Short: "Look at experiments, stop and re-arm them, mint tokens",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrong("there is no command %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(append(newChaosControls(), newChaosToken())...)
	return c
}

func newChaosToken() *cobra.Command {
	var file string
	var good time.Duration
	c := &cobra.Command{
		Use:     "token NAMESPACE/NAME",
		Short:   "Print a token for requests that an experiment is to act on",
		Long:    chaosTokenLong,
		Example: chaosTokenExample,
		Args:    exactly(1, "NAMESPACE/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			namespace, name, err := experimentName(args[0])
			if err != nil {
				return err
			}
			if good < time.Second {
				return wrong("--valid-for %v: want at least a second", good)
			}
			secret, err := readSecret(file, c.InOrStdin())
			if err != nil {
				return err
			}
			token, err := chaos.MintToken(secret, namespace, name, time.Now().Add(good))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), token)
			return err
		},
	}
	addGroups(c, newGroup("Flags", func(f *pflag.FlagSet) {
		f.StringVar(&file, "secret-file", "-", "file that holds the secret; - waits for it on standard input")
		f.DurationVar(&good, "valid-for", time.Hour, "how long the token is good")
	}))
	return c
}

// maxSecret bounds what is read.
const maxSecret = 64 << 10

// readSecret reads a secret, as it is but for one line feed at its end.
func readSecret(file string, stdin io.Reader) (string, error) {
	r := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read the secret: %w", err)
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the secret: %w", err)
	case len(text) > maxSecret:
		return "", fmt.Errorf("read the secret: it is longer than %d bytes", maxSecret)
	}
	secret := strings.TrimSuffix(string(text), "\n")
	if secret == "" {
		return "", fmt.Errorf("read the secret: it is empty")
	}
	return secret, nil
}
