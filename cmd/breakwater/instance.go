package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/breakwater-gateway/breakwater/proxy/admin"
)

// instance is a running breakwater, which is reached by its admin endpoint.
type instance struct {
	address string
	timeout time.Duration
	hint    string // what to do if it cannot be reached
}

const instanceTitle = "Asking a running instance"

func (i *instance) add(f *pflag.FlagSet) {
	f.StringVar(&i.address, "admin-address", defaultAdminAddress, "its admin endpoint")
	f.DurationVar(&i.timeout, "timeout", 10*time.Second, "how long to wait for it")
}

// target is the address to call. An instance that listens on every address of this machine is reached by the one of loopback.
func (i *instance) target() string {
	host, port, err := net.SplitHostPort(i.address)
	if err != nil {
		return i.address
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return i.address
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 20

// call sends a request and copies the answer to w. An answer but 200 is an error with its text.
func (i *instance) call(ctx context.Context, method, path string, query url.Values, w io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+i.target()+path+"?"+query.Encode(), nil)
	if err != nil {
		return wrong("--admin-address %q: %w", i.address, err)
	}
	r.Header.Set(admin.ControlHeader, "1")
	transport := &http.Transport{DisableKeepAlives: true} // no proxy of the environment: the endpoint is next door
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err // the rest is the query
		}
		return fmt.Errorf("ask the instance at %s (%s): %w", i.address, cmp.Or(i.hint, "--admin-address says which"), err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body := io.LimitReader(res.Body, maxAnswer)
	if res.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(body, 1<<10))
		return errors.Join(fmt.Errorf("the instance at %s says %s: %s", i.address, res.Status, strings.TrimSpace(string(text))), err)
	}
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("read the answer of %s: %w", i.address, err)
	}
	return nil
}
