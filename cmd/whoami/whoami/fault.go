package whoami

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxAttempts bounds the memory of /retry: the oldest uuid is forgotten when one more arrives.
const maxAttempts = 10_000

// serveStatus answers /status/{code} with that status, 200 to 599.
func serveStatus(w http.ResponseWriter, r *http.Request) {
	status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/"))
	if err != nil || !isFinal(status) {
		http.Error(w, "a status from 200 to 599 is wanted", http.StatusBadRequest)
		return
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent && status != http.StatusNotModified {
		fmt.Fprintln(w, status, http.StatusText(status))
	}
}

// serveDelay answers /delay/{duration} as /api/v2, but late.
func (h *Handler) serveDelay(w http.ResponseWriter, r *http.Request) {
	d, err := parseDuration(strings.TrimPrefix(r.URL.Path, "/delay/"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if wait(r.Context(), d) {
		h.serveAPIv2(w, r)
	}
}

// parseDuration accepts Go's form ("250ms") and plain seconds ("1.5"), from 0 to one day.
func parseDuration(s string) (time.Duration, error) {
	const most = maxDelayMillis * time.Millisecond
	d, err := time.ParseDuration(s)
	if err != nil {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > most.Seconds() {
			return 0, errors.New(`a duration such as "250ms" or a number of seconds is wanted, at most one day`)
		}
		return time.Duration(seconds * float64(time.Second)), nil
	}
	if d < 0 || d > most {
		return 0, errors.New("a duration from 0 to one day is wanted")
	}
	return d, nil
}

// serveUnstable answers 500 with the probability ?failure_rate=, 0 to 1 and 0.5 unless given, otherwise 200.
func (h *Handler) serveUnstable(w http.ResponseWriter, r *http.Request) {
	rate := 0.5
	if v := r.URL.Query().Get("failure_rate"); v != "" {
		var err error
		rate, err = strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(rate) || rate < 0 || rate > 1 {
			http.Error(w, "a failure_rate from 0 to 1 is wanted", http.StatusBadRequest)
			return
		}
	}
	if h.options.Random() < rate {
		http.Error(w, "unstable: failed", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "unstable: succeeded")
}

// attempts counts requests by uuid.
type attempts struct {
	mu    sync.Mutex     // guards both
	count map[string]int // requests seen
	order []string       // uuids, oldest first
}

// next returns how many requests have named uuid, this one included.
func (a *attempts) next(uuid string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count == nil {
		a.count = map[string]int{}
	}
	if _, known := a.count[uuid]; !known {
		if len(a.order) == maxAttempts {
			delete(a.count, a.order[0])
			a.order = a.order[1:]
		}
		a.order = append(a.order, uuid)
	}
	a.count[uuid]++
	return a.count[uuid]
}

// serveRetry fails the first ?succeedAfter= requests of each ?uuid=, after ?delayRetry=, with the status ?responseCode=
// or else by resetting the connection (the stream for HTTP/2). Later requests are answered as /api/v2, with the number
// of the attempt in X-Whoami-Attempt.
func (h *Handler) serveRetry(w http.ResponseWriter, r *http.Request) {
	plan, err := parseRetry(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	attempt := h.attempts.next(plan.uuid)
	w.Header().Set("X-Whoami-Attempt", strconv.Itoa(attempt))
	if attempt > plan.succeedAfter {
		h.serveAPIv2(w, r)
		return
	}
	if !wait(r.Context(), plan.delay) {
		return
	}
	if plan.status == 0 {
		reset(w)
		return
	}
	http.Error(w, fmt.Sprintf("retry: attempt %d of %d fails", attempt, plan.succeedAfter), plan.status)
}

type retryPlan struct {
	uuid         string
	succeedAfter int
	status       int // 0: reset
	delay        time.Duration
}

func parseRetry(r *http.Request) (plan retryPlan, err error) {
	query := r.URL.Query()
	if plan.uuid = query.Get("uuid"); plan.uuid == "" || len(plan.uuid) > 128 {
		return plan, errors.New("a uuid of 1 to 128 bytes is wanted, as in /retry/?uuid=a&succeedAfter=2")
	}
	if plan.succeedAfter, err = strconv.Atoi(query.Get("succeedAfter")); err != nil || plan.succeedAfter < 0 {
		return plan, errors.New("a succeedAfter of 0 or more is wanted")
	}
	if v := query.Get("responseCode"); v != "" {
		if plan.status, err = strconv.Atoi(v); err != nil || !isFinal(plan.status) {
			return plan, errors.New("a responseCode from 200 to 599 is wanted")
		}
	}
	if v := query.Get("delayRetry"); v != "" {
		plan.delay, err = parseDuration(v)
	}
	return plan, err
}

// reset ends the exchange without an answer: a TCP RST for HTTP/1, RST_STREAM for HTTP/2.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if t, ok := conn.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // if it fails, the peer sees FIN instead of RST
	}
	_ = raw.Close()
}
