package whoami

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxDrip is the most bytes that /drip sends, each with a write of its own.
const maxDrip = 1 << 20

// serveDrip sends ?numbytes= bytes (10) evenly over ?duration= (2s), after ?delay= (0), with status ?code= (200).
func serveDrip(w http.ResponseWriter, r *http.Request) {
	plan, err := parseDrip(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !wait(r.Context(), plan.delay) {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(plan.bytes))
	w.WriteHeader(plan.status)
	controller := http.NewResponseController(w)
	for i := range plan.bytes {
		if i > 0 && !wait(r.Context(), plan.pause()) {
			return
		}
		if _, err := w.Write([]byte("*")); err != nil {
			return
		}
		if err := controller.Flush(); err != nil {
			return
		}
	}
}

type dripPlan struct {
	bytes, status   int
	duration, delay time.Duration
}

// pause is the time between two bytes.
func (p dripPlan) pause() time.Duration { return p.duration / time.Duration(max(p.bytes-1, 1)) }

func parseDrip(query url.Values) (plan dripPlan, err error) {
	if plan.bytes, err = intParam(query, "numbytes", 10); err != nil || plan.bytes < 0 || plan.bytes > maxDrip {
		return plan, fmt.Errorf("a numbytes from 0 to %d is wanted", maxDrip)
	}
	if plan.status, err = intParam(query, "code", http.StatusOK); err != nil || !isFinal(plan.status) {
		return plan, errors.New("a code from 200 to 599 is wanted")
	}
	if plan.duration, err = durationParam(query, "duration", 2*time.Second); err != nil {
		return plan, err
	}
	plan.delay, err = durationParam(query, "delay", 0)
	return plan, err
}

// serveSSE sends ?count= server-sent events (10; 0 for no end), one each ?interval= (1s).
func (h *Handler) serveSSE(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	count, err := intParam(query, "count", 10)
	if err != nil || count < 0 {
		http.Error(w, "a count of 0 or more is wanted", http.StatusBadRequest)
		return
	}
	interval, err := durationParam(query, "interval", time.Second)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	controller := http.NewResponseController(w)
	for i := 1; count == 0 || i <= count; i++ {
		if i > 1 && !wait(r.Context(), interval) {
			return
		}
		if _, err := fmt.Fprintf(w, "id: %d\nevent: whoami\ndata: %s\n\n", i, h.options.Instance); err != nil {
			return
		}
		if err := controller.Flush(); err != nil {
			return
		}
	}
}

// serveTrailers answers the trailers of the request as text, one a line, and sends each query parameter as a trailer
// of the response; without any, "X-Whoami-Trailer: end".
func serveTrailers(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "cannot read the request body", http.StatusBadRequest)
		return
	}
	trailers := r.URL.Query()
	if len(trailers) == 0 {
		trailers = url.Values{"X-Whoami-Trailer": {"end"}}
	}
	names := make([]string, 0, len(trailers))
	for name := range trailers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.Header().Add("Trailer", name)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_ = r.Trailer.Write(w) // a failed write means that the client has gone
	_ = http.NewResponseController(w).Flush()
	for _, name := range names {
		for _, value := range trailers[name] {
			w.Header().Add(name, value)
		}
	}
}

// serveEarlyHints sends 103 with the Link field ?link= before the answer (RFC 8297).
func serveEarlyHints(w http.ResponseWriter, r *http.Request) {
	link := r.URL.Query().Get("link")
	if link == "" {
		link = "</style.css>; rel=preload; as=style"
	}
	w.Header().Set("Link", link)
	w.WriteHeader(http.StatusEarlyHints)
	fmt.Fprintln(w, "early hints sent")
}

// serveInformational sends the interim status of /informational/{code}, 100 to 199 but 101, before the answer.
func serveInformational(w http.ResponseWriter, r *http.Request) {
	status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/informational/"))
	if err != nil || status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
		http.Error(w, "a status from 100 to 199 other than 101 is wanted", http.StatusBadRequest)
		return
	}
	w.WriteHeader(status)
	fmt.Fprintln(w, status, "sent")
}

func intParam(query url.Values, name string, otherwise int) (int, error) {
	if v := query.Get(name); v != "" {
		return strconv.Atoi(v)
	}
	return otherwise, nil
}

func durationParam(query url.Values, name string, otherwise time.Duration) (time.Duration, error) {
	if v := query.Get(name); v != "" {
		return parseDuration(v)
	}
	return otherwise, nil
}
