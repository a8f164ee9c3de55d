package whoami

import (
	"context"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Response fields that name who answered.
const (
	InstanceHeader = "X-Whoami-Instance"
	ZoneHeader     = "X-Whoami-Zone"
)

// Options configure a Handler. The zero value is usable.
type Options struct {
	Name     string // shown first in the text; omitted if empty
	Hostname string // the host's own name if empty
	Instance string // value of X-Whoami-Instance; Hostname if empty
	Zone     string // value of X-Whoami-Zone; no such field if empty

	Pod, Namespace, Service, Node string // shown by /api/v2 only

	// Addresses are the IP addresses to show; those of every interface of this host if nil.
	Addresses []string

	// AllowEnv lets ?env=true show the environment of the process, which may hold secrets.
	AllowEnv bool

	// Messages receives the bytes of each WebSocket message and each change of health, one line each. Nil discards
	// them. It is written to by many goroutines, one Write for each line.
	Messages io.Writer

	// AccessLog receives one line per request, after it. Nil means no log.
	AccessLog *log.Logger

	// Random returns numbers in [0,1) for /unstable; the default source if nil.
	Random func() float64
}

// Handler answers all paths. Create it with New.
type Handler struct {
	options   Options
	exact     map[string]http.HandlerFunc
	prefixes  []prefix
	health    health
	readiness readiness
	attempts  attempts
}

type prefix struct {
	path  string
	serve http.HandlerFunc
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler that is healthy and ready. It reads the host's name and addresses once.
func New(options Options) *Handler {
	if options.Hostname == "" {
		options.Hostname, _ = os.Hostname() // an unknown name is shown empty, as nothing better is known
	}
	if options.Instance == "" {
		options.Instance = options.Hostname
	}
	if options.Addresses == nil {
		options.Addresses = hostAddresses()
	}
	if options.Messages == nil {
		options.Messages = io.Discard
	}
	if options.Random == nil {
		options.Random = rand.Float64
	}
	h := &Handler{options: options}
	h.health.status.Store(http.StatusOK)
	h.exact = map[string]http.HandlerFunc{
		"/api":            h.serveAPI,
		"/api/v2":         h.serveAPIv2,
		"/bench":          serveBench,
		"/data":           serveData,
		"/drip":           serveDrip,
		"/early-hints":    serveEarlyHints,
		"/echo":           h.serveEcho,
		"/health":         h.serveHealth,
		"/openapi.yaml":   serveOpenAPI,
		"/readyz":         h.readiness.serve,
		"/readyz/enable":  h.readiness.enable,
		"/readyz/disable": h.readiness.disable,
		"/retry":          h.serveRetry,
		"/sse":            h.serveSSE,
		"/trailers":       serveTrailers,
		"/unstable":       h.serveUnstable,
	}
	h.prefixes = []prefix{
		{"/delay/", h.serveDelay},
		{"/informational/", serveInformational},
		{"/retry/", h.serveRetry},
		{"/status/", serveStatus},
	}
	return h
}

// Hostname returns the name shown for this host.
func (h *Handler) Hostname() string { return h.options.Hostname }

// Name returns the configured name, possibly empty.
func (h *Handler) Name() string { return h.options.Name }

// Addresses returns the IP addresses shown for this host. The caller must not change them.
func (h *Handler) Addresses() []string { return h.options.Addresses }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	w.Header().Set(InstanceHeader, h.options.Instance)
	if h.options.Zone != "" {
		w.Header().Set(ZoneHeader, h.options.Zone)
	}
	directives := parseDirectives(r)
	if wait(r.Context(), directives.delay) {
		h.route(r.URL.Path)(directives.apply(w), r)
	}
	if h.options.AccessLog != nil {
		h.options.AccessLog.Printf("%s - - [%s] %q - -", r.RemoteAddr, start.Format("02/Jan/2006:15:04:05 -0700"),
			r.Method+" "+r.URL.Path+" "+r.Proto)
	}
}

func (h *Handler) route(path string) http.HandlerFunc {
	if serve, ok := h.exact[path]; ok {
		return serve
	}
	for _, p := range h.prefixes {
		if strings.HasPrefix(path, p.path) {
			return p.serve
		}
	}
	return h.serveText
}

// wait pauses for d and reports whether ctx was still alive at the end.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// hostAddresses returns the IP address of every interface, in the system's order. What cannot be read is left out.
func hostAddresses() []string {
	addresses := []string{}
	interfaces, err := net.Interfaces()
	if err != nil {
		return addresses
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok {
				addresses = append(addresses, n.IP.String())
			}
		}
	}
	return addresses
}
