package scale

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// pollPause is the time between two looks at whether an edit is live: the resolution of the figures.
const pollPause = 300 * time.Microsecond

// Received is the field in which the backend of the bench says when it got a request: nanoseconds of Unix time.
const Received = "X-Received"

// connections is how many questions of one Client may be under way before a connection is thrown away after its answer.
const connections = 16

// Client asks a proxy for what it serves, over keep-alive connections. It may be used by many at once.
type Client struct {
	address   string
	transport http.Transport
}

// NewClient makes a client for a proxy at address; Close it after use.
func NewClient(address string) *Client {
	return &Client{address: address, transport: http.Transport{DisableCompression: true, MaxIdleConnsPerHost: connections}}
}

// Close closes the connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Answer is a complete answer.
type Answer struct {
	Status int
	Body   string
	// Received is when the backend got the request; when the answer was here if the backend does not say, or there was none.
	Received time.Time
}

// Get asks for a path of a host; body is complete.
func (c *Client) Get(ctx context.Context, host, path string) (status int, body string, err error) {
	answer, err := c.Ask(ctx, host, path)
	return answer.Status, answer.Body, err
}

// Ask is Get for those who want to know when the backend got the request.
func (c *Client) Ask(ctx context.Context, host, path string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+path, nil)
	if err != nil {
		return Answer{}, err
	}
	request.Host = host
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	answer := Answer{response.StatusCode, string(all), time.Now()}
	if nanos, err := strconv.ParseInt(response.Header.Get(Received), 10, 64); err == nil {
		answer.Received = time.Unix(0, nanos)
	}
	return answer, err
}

// Question is a request whose answer shows whether an edit is live.
type Question struct {
	Host, Path string
	Live       func(status int, body string) bool
}

// TimeEdit makes an edit and returns the time from its beginning until the question is answered as an edit that is live
// answers it. An answer that is right before the edit is an error, since it would prove nothing.
func (c *Client) TimeEdit(ctx context.Context, edit func() error, q Question) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	status, body, err := c.Get(ctx, q.Host, q.Path)
	if err != nil {
		return 0, err
	}
	if q.Live(status, body) {
		return 0, fmt.Errorf("%s%s answers %d %.40q before the edit", q.Host, q.Path, status, body)
	}
	begin := time.Now()
	if err := edit(); err != nil {
		return 0, err
	}
	for {
		status, body, err := c.Get(ctx, q.Host, q.Path)
		now := time.Now()
		if ctx.Err() != nil {
			return 0, fmt.Errorf("%s%s still answers %d %.40q: %w", q.Host, q.Path, status, body, ctx.Err())
		}
		if err == nil && q.Live(status, body) {
			return now.Sub(begin), nil
		}
		time.Sleep(pollPause)
	}
}
