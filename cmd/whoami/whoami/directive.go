package whoami

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxDelayMillis keeps a delay within the range of time.Duration and of reason: one day.
const maxDelayMillis = 24 * 60 * 60 * 1000

// directives are what a request asks of its own response. The zero value asks nothing.
type directives struct {
	status      int // 0: as the path says
	delay       time.Duration
	contentType string
}

// parseDirectives reads the x-set-response-* request fields and query parameters. The field wins; what is unusable is
// ignored.
func parseDirectives(r *http.Request) directives {
	var query url.Values
	if strings.Contains(strings.ToLower(r.URL.RawQuery), "x-set-response-") {
		query = r.URL.Query()
	}
	value := func(name string) string {
		if v := r.Header.Get(name); v != "" {
			return v
		}
		return query.Get(name)
	}
	var d directives
	if n, err := strconv.Atoi(value("x-set-response-status-code")); err == nil && isFinal(n) {
		d.status = n
	}
	if n, err := strconv.Atoi(value("x-set-response-delay-ms")); err == nil && n > 0 {
		d.delay = time.Duration(min(n, maxDelayMillis)) * time.Millisecond
	}
	d.contentType = value("x-set-response-content-type")
	return d
}

// apply returns a writer that obeys d, or w itself if there is nothing to obey. A delay is the caller's affair.
func (d directives) apply(w http.ResponseWriter) http.ResponseWriter {
	if d.status == 0 && d.contentType == "" {
		return w
	}
	return &directed{ResponseWriter: w, directives: d}
}

// directed replaces the status and the content type of the final response.
type directed struct {
	http.ResponseWriter
	directives directives
	done       bool // the final head has been written
}

// Unwrap lets http.ResponseController reach the connection.
func (w *directed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes interim and switching responses on as they are.
func (w *directed) WriteHeader(status int) {
	if status < 200 || w.done {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.done = true
	if w.directives.status != 0 {
		status = w.directives.status
	}
	if w.directives.contentType != "" {
		w.Header().Set("Content-Type", w.directives.contentType)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes the head first if that has not been done.
func (w *directed) Write(p []byte) (int, error) {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// FlushError writes the head first if that has not been done.
func (w *directed) FlushError() error {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// isFinal reports whether status may end an exchange.
func isFinal(status int) bool { return status >= 200 && status <= 599 }
