// Package load puts load on a proxy: it runs wrk with a small script that reports exact counts (or the bench's own
// generator), opens idle connections, and defines the workloads of the bench. Nothing in it is safe for concurrent use on one value unless said so.
package load

import "time"

// Workload is one kind of request, sent again and again over keep-alive connections.
type Workload struct {
	Name        string
	Method      string
	Path        string
	Body        int // bytes of the request body
	Response    int // bytes of the response body
	Connections int
	Seconds     int  // length of one round
	ByBytes     bool // see Requests
}

// Run is a run of the workload with the given generator against the proxy at url (scheme and address).
func (w Workload) Run(g Generator, url, host string) Run {
	return Run{
		Generator: g, URL: url + w.Path, Host: host, Hosts: 1, Method: w.Method, Body: w.Body,
		Connections: w.Connections, Duration: time.Duration(w.Seconds) * time.Second,
	}
}

// Workloads are the bench's workloads in the order in which they run.
func Workloads() []Workload {
	return []Workload{
		{Name: "small", Method: "GET", Path: "/small", Response: 43, Connections: 64, Seconds: 3},
		{Name: "post1k", Method: "POST", Path: "/post", Body: 1024, Response: 2, Connections: 64, Seconds: 2},
		{Name: "get100k", Method: "GET", Path: "/100k", Response: 100 << 10, Connections: 64, Seconds: 2},
		// Few connections, because a round ends in the middle of a body on each of them.
		{Name: "get10m", Method: "GET", Path: "/10m", Response: 10 << 20, Connections: 8, Seconds: 2, ByBytes: true},
	}
}

// Requests is the number of requests that a result stands for. Where bodies are so long that many are cut off by the end
// of a round (ByBytes), it is the number of bytes received over the bytes of one body, a fraction included.
func (w Workload) Requests(r Result) float64 {
	if w.ByBytes {
		return float64(r.Bytes) / float64(w.Response)
	}
	return float64(r.Requests)
}

// Result is what one run of the load generator saw.
type Result struct {
	Requests int64
	Bytes    int64 // received, heads included
	Duration time.Duration
	P50, P99 time.Duration
	// Errors that the run met. Status counts responses with a code above 399.
	Connect, Read, Write, Timeout, Status int64
}

// Errors is the sum of all errors.
func (r Result) Errors() int64 { return r.Connect + r.Read + r.Write + r.Timeout + r.Status }
