package whoami

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

// bodyHead is how much of a request body is read before the response begins, so that a client which sends everything
// before it reads anything is not blocked.
const bodyHead = 1 << 20

// serveText answers with the request as text.
func (h *Handler) serveText(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if d, err := time.ParseDuration(query.Get("wait")); err == nil && !wait(r.Context(), d) {
		return
	}
	if !h.prepareEcho(w, r) {
		return
	}
	if h.options.Name != "" {
		fmt.Fprintln(w, "Name:", h.options.Name)
	}
	fmt.Fprintln(w, "Hostname:", h.options.Hostname)
	for _, a := range h.options.Addresses {
		fmt.Fprintln(w, "IP:", a)
	}
	fmt.Fprintln(w, "RemoteAddr:", r.RemoteAddr)
	if r.TLS != nil {
		for i, c := range r.TLS.PeerCertificates {
			fmt.Fprintf(w, "Certificate[%d] Subject: %v\n", i, c.Subject)
		}
	}
	if err := r.Write(w); err != nil {
		// Part of the response may have left already: end it visibly short instead of well-formed and wrong.
		panic(http.ErrAbortHandler)
	}
	if h.showsEnv(r) {
		for _, line := range os.Environ() {
			fmt.Fprintln(w, line)
		}
	}
}

// prepareEcho reads the head of the body and lets the rest be read while the response is written. It reports false,
// with an answer given, if the body is malformed.
func (h *Handler) prepareEcho(w http.ResponseWriter, r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return true
	}
	head, err := io.ReadAll(io.LimitReader(r.Body, bodyHead))
	if err != nil {
		http.Error(w, "cannot read the request body", http.StatusBadRequest)
		return false
	}
	if len(head) < bodyHead {
		// The rest must not be read, not even to its end: the server closes the body when the response begins.
		r.Body = io.NopCloser(bytes.NewReader(head))
		return true
	}
	err = http.NewResponseController(w).EnableFullDuplex()
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		http.Error(w, "cannot echo a body of this size", http.StatusInternalServerError)
		return false
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	return true
}

func (h *Handler) showsEnv(r *http.Request) bool {
	asked, err := strconv.ParseBool(r.URL.Query().Get("env"))
	return err == nil && asked && h.options.AllowEnv
}

// serveBench answers as little as possible.
func serveBench(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Connection", "keep-alive")
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, "1")
}
