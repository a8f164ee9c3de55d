package whoami

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
)

// health is the status that /health answers.
type health struct {
	status atomic.Int64
}

// serveHealth answers the stored status; a POST of an integer from 200 to 599 changes it.
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(int(h.health.status.Load()))
		return
	}
	var status int
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64)).Decode(&status); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, err)
		return
	}
	if !isFinal(status) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "status %d is not in the range 200 to 599", status)
		return
	}
	h.health.status.Store(int64(status))
	h.print(fmt.Appendf(nil, "Update health check status code [%d]\n", status))
}

// readiness is a switch; its zero value is ready.
type readiness struct {
	disabled atomic.Bool
}

// serve answers 200 when ready, otherwise 503.
func (s *readiness) serve(w http.ResponseWriter, _ *http.Request) {
	if s.disabled.Load() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

func (s *readiness) enable(w http.ResponseWriter, r *http.Request)  { s.set(w, r, false) }
func (s *readiness) disable(w http.ResponseWriter, r *http.Request) { s.set(w, r, true) }

// set takes POST only: a state must not change because somebody follows a link.
func (s *readiness) set(w http.ResponseWriter, r *http.Request, disabled bool) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "use POST", http.StatusMethodNotAllowed)
		return
	}
	s.disabled.Store(disabled)
	w.WriteHeader(http.StatusNoContent)
}
