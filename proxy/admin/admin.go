package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/authority"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/toxiproxy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what the endpoint shows.
type Config struct {
	// Ready returns nil when the process can serve, otherwise what it waits for.
	Ready func() error
	// Metrics is what /metrics gathers.
	Metrics prometheus.Gatherer
	// Snapshot returns what is served now, nil before the first.
	Snapshot func() *proxy.Snapshot
	// Explain says what would happen to a request, for people and for JSON.
	Explain func(Query) (fmt.Stringer, error)
	// Chaos is what is live of experiments; nil: nothing is shown of them.
	Chaos *chaos.Engine
	// Replica is the name of this replica, where there may be others that nobody asks here, and Switch is what switches chaos off in all of
	// them, if anything does. Both are empty for a process that stands alone.
	Replica, Switch string
	// Toxics are those made through the API for Toxiproxy's clients, which are shown beside experiments; nil: there is no such API.
	Toxics func() []toxiproxy.Toxic
	// Hosts are names, besides addresses and localhost, by which clients may call the endpoint, without port.
	Hosts []string
	// Pprof offers /debug/pprof.
	Pprof bool
}

// heavy is how many requests for the snapshot, explanations and profiles are served at once; others get 503.
const heavy = 4

// New returns the handler of the endpoint.
func New(c Config) http.Handler {
	e := &endpoint{Config: c, slots: make(chan struct{}, heavy)}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", e.index)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("/readyz", e.ready)
	mux.Handle("/metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{
		MaxRequestsInFlight: heavy,
		ErrorHandling:       promhttp.ContinueOnError,
	}))
	mux.Handle("/snapshot", e.local(e.snapshot))
	mux.Handle("/explain", e.local(e.explain))
	e.handleChaos(mux)
	if c.Pprof {
		mux.Handle("/debug/pprof/", e.local(pprof.Index))
		mux.Handle("/debug/pprof/cmdline", e.local(pprof.Cmdline))
		mux.Handle("/debug/pprof/profile", e.local(pprof.Profile))
		mux.Handle("/debug/pprof/symbol", e.local(pprof.Symbol))
		mux.Handle("/debug/pprof/trace", e.local(pprof.Trace))
	}
	return guard{next: mux, hosts: authority.NewNames(c.Hosts...), controls: controls()}
}

// NewServer returns a server for the handler with limits fit for it. Errors of connections go to log.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a profile takes 30 seconds by default
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

type endpoint struct {
	Config
	slots chan struct{}
}

const indexText = `/healthz   200 while the process lives
/readyz    200 once configuration is served
/metrics   Prometheus metrics
/snapshot  what is served now (?format=json, ?host=NAME)
/explain   ?method=GET&url=http://HOST/PATH[&header=NAME:VALUE]... says which route wins and why the others do not
`

func (e *endpoint) index(w http.ResponseWriter, _ *http.Request) {
	s := indexText
	if e.Chaos != nil {
		s += chaosIndex
	}
	if e.Pprof {
		s += "/debug/pprof/\n"
	}
	text(w, http.StatusOK, s)
}

func (e *endpoint) ready(w http.ResponseWriter, _ *http.Request) {
	if err := e.Ready(); err != nil {
		text(w, http.StatusServiceUnavailable, err.Error()+"\n")
		return
	}
	text(w, http.StatusOK, "ok\n")
}

func (e *endpoint) snapshot(w http.ResponseWriter, r *http.Request) {
	s := e.Snapshot()
	if s == nil {
		text(w, http.StatusServiceUnavailable, "no snapshot yet\n")
		return
	}
	host := r.URL.Query().Get("host")
	switch format := r.URL.Query().Get("format"); format {
	case "", "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = WriteText(w, s, host) // the client has gone: nobody is left to tell
	case "json":
		w.Header().Set("Content-Type", "application/json")
		_ = WriteJSON(w, s, host) // the same
	default:
		text(w, http.StatusBadRequest, unknownFormat(format))
	}
}

func (e *endpoint) explain(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	q, err := NewQuery(v.Get("method"), v.Get("url"), v["header"])
	if err != nil {
		text(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	answer, err := e.Explain(q)
	if err != nil {
		text(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	switch format := v.Get("format"); format {
	case "", "text":
		text(w, http.StatusOK, answer.String())
	case "json":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // the client has gone: nobody is left to tell
	default:
		text(w, http.StatusBadRequest, unknownFormat(format))
	}
}

func unknownFormat(format string) string {
	return fmt.Sprintf("unknown format %q: want text or json\n", format)
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client has gone: nobody is left to tell
}
