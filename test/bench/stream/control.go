package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Control drives Toxiproxy's API, of whoever serves it.
type Control struct {
	API string // its address
}

// Toxic is one toxic as the API has it. It is called by its type and stream, as the API does with one that has no name.
type Toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Toxicity   float64        `json:"toxicity"`
	Attributes map[string]any `json:"attributes"`
}

// Downstream is a toxic on the way to the client, on every connection.
func Downstream(kind string, attributes map[string]any) Toxic {
	return Toxic{Type: kind, Stream: "downstream", Toxicity: 1, Attributes: attributes}
}

// Version asks for the version of the API, which says that it answers.
func (c Control) Version(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/version", nil)
}

// Make makes a proxy, and puts toxics on it before it has a connection.
func (c Control) Make(ctx context.Context, proxy, listen, upstream string, toxics ...Toxic) error {
	err := c.do(ctx, http.MethodPost, "/proxies", map[string]any{"name": proxy, "listen": listen, "upstream": upstream, "enabled": true})
	for _, t := range toxics {
		if err == nil {
			err = c.Add(ctx, proxy, t)
		}
	}
	return err
}

// Add puts a toxic on a proxy.
func (c Control) Add(ctx context.Context, proxy string, t Toxic) error {
	return c.do(ctx, http.MethodPost, "/proxies/"+proxy+"/toxics", t)
}

// Remove takes a toxic away.
func (c Control) Remove(ctx context.Context, proxy string, t Toxic) error {
	return c.do(ctx, http.MethodDelete, "/proxies/"+proxy+"/toxics/"+t.Type+"_"+t.Stream, nil)
}

func (c Control) do(ctx context.Context, method, path string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+c.API+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, said)
	}
	return err
}
