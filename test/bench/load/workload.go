// Package load puts load on a proxy: it runs wrk with a small script that reports exact counts, opens idle connections,
// and defines the workloads of the bench. Nothing in it is safe for concurrent use on one value unless said so.
package load

import (
	"fmt"
	"strings"
	"time"
)

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

// Script is the wrk script of the workload.
func (w Workload) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wrk.method = %q\n", w.Method)
	if w.Body > 0 {
		fmt.Fprintf(&b, "wrk.body = string.rep(\"x\", %d)\nwrk.headers[\"Content-Type\"] = \"application/octet-stream\"\n", w.Body)
	}
	return b.String() + reportScript
}

// RandomHosts is the script of GET requests for the path, each for one of the hosts pattern%0 .. pattern%(n-1), chosen at
// random. The requests are made before the load starts; pattern holds one %d.
func RandomHosts(pattern, path string, n int) string {
	return fmt.Sprintf(`local requests = {}
function init(args)
  for i = 0, %d do
    wrk.headers["Host"] = string.format(%q, i)
    requests[i + 1] = wrk.format("GET", %q)
  end
end
function request() return requests[math.random(#requests)] end
`, n-1, pattern, path) + reportScript
}

// reportScript makes wrk end its output with one line of exact figures; times are microseconds.
const reportScript = `function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures requests=%.0f bytes=%.0f duration=%.0f p50=%.0f p99=%.0f connect=%.0f read=%.0f write=%.0f timeout=%.0f status=%.0f\n",
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.timeout, e.status))
end
`

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
