// Command agent is what runs in the pods that belong to the tests of a node.
//
//	agent                                  waits: the process that holds a pod's namespaces
//	agent call [-token FILE] METHOD URL [BODY]   prints the status and the body of an answer
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		<-ctx.Done()
		return
	}
	if err := call(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		stop()
		os.Exit(1)
	}
}

// call carries out the request that args describe.
func call(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	token := flags.String("token", "", "file of the bearer token to send")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] != "call" || flags.NArg() < 2 {
		return fmt.Errorf("want: call [-token FILE] METHOD URL [BODY], not %q", args)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, flags.Arg(0), flags.Arg(1), strings.NewReader(flags.Arg(2)))
	if err != nil {
		return err
	}
	if *token != "" {
		data, err := os.ReadFile(*token)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(data)))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	fmt.Fprintln(out, res.StatusCode)
	_, err = io.Copy(out, res.Body)
	return err
}
