package apiserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
)

// requestLimit bounds one request; a list of ten thousand objects takes a second on a loaded machine.
const requestLimit = time.Minute

// Client speaks with an API server.
type Client struct {
	url  string
	http http.Client
}

// access is what a kubeconfig says about its current context. Certificates are files.
type access struct{ server, authority, certificate, key string }

// NewClient makes a client that identifies itself with the client certificate of a kubeconfig's current context. Close it
// after use.
func NewClient(kubeconfig string) (*Client, error) {
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	a, err := parseKubeconfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kubeconfig, err)
	}
	authority, err := os.ReadFile(a.authority)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(a.certificate, a.key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", a.authority)
	}
	return &Client{url: a.server, http: http.Client{Timeout: requestLimit, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
		MaxIdleConnsPerHost: parallel,
	}}}, nil
}

// parseKubeconfig finds the server and the user of the current context.
func parseKubeconfig(text []byte) (access, error) {
	var config struct {
		Current  string `yaml:"current-context"`
		Contexts []struct {
			Name    string
			Context struct{ Cluster, User string }
		}
		Clusters []struct {
			Name    string
			Cluster struct {
				Server    string
				Authority string `yaml:"certificate-authority"`
			}
		}
		Users []struct {
			Name string
			User struct {
				Certificate string `yaml:"client-certificate"`
				Key         string `yaml:"client-key"`
			}
		}
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		return access{}, err
	}
	var a access
	for _, c := range config.Contexts {
		if c.Name != config.Current {
			continue
		}
		for _, one := range config.Clusters {
			if one.Name == c.Context.Cluster {
				a.server, a.authority = one.Cluster.Server, one.Cluster.Authority
			}
		}
		for _, one := range config.Users {
			if one.Name == c.Context.User {
				a.certificate, a.key = one.User.Certificate, one.User.Key
			}
		}
	}
	if a.server == "" || a.authority == "" || a.certificate == "" || a.key == "" {
		return access{}, errors.New("the current context does not name a server, its authority and a client certificate")
	}
	return a, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Create makes an object; that it is there already is no error.
func (c *Client) Create(ctx context.Context, o Object) error {
	body, err := json.Marshal(o.Content)
	if err != nil {
		return err
	}
	err = c.do(ctx, http.MethodPost, o.collection(), body, nil)
	if status := statusError(0); errors.As(err, &status) && status == http.StatusConflict {
		return nil
	}
	return err
}

// Patch changes fields of an object (RFC 7396).
func (c *Client) Patch(ctx context.Context, o Object, fields map[string]any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPatch, o.collection()+"/"+o.Name, body, nil)
}

// WithStatus counts the Ingresses of the namespace whose status names an address.
func (c *Client) WithStatus(ctx context.Context) (int, error) {
	var list struct {
		Items []struct {
			Status struct {
				LoadBalancer struct{ Ingress []any }
			}
		}
	}
	// Version 0 is answered from memory, which spares etcd.
	if err := c.do(ctx, http.MethodGet, Object{Kind: Ingress}.collection()+"?resourceVersion=0", nil, &list); err != nil {
		return 0, err
	}
	n := 0
	for _, item := range list.Items {
		if len(item.Status.LoadBalancer.Ingress) > 0 {
			n++
		}
	}
	return n, nil
}

// statusError is the code of an answer that is not a success.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("%d %s", int(s), http.StatusText(int(s))) }

// do sends a request and decodes the answer into result unless that is nil.
func (c *Client) do(ctx context.Context, method, path string, body []byte, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %w: %.300s", method, path, statusError(response.StatusCode), answer)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}
