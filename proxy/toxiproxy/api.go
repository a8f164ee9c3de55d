package toxiproxy

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Version is the version of Toxiproxy whose API is served.
const Version = "2.12.0"

// maxBody bounds the content of a request, in bytes.
const maxBody = 1 << 20

// NewHTTPServer returns a server for the API with Toxiproxy's time limits.
func (s *Server) NewHTTPServer() *http.Server {
	return &http.Server{
		Handler: s, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

var _ http.Handler = (*Server)(nil)

// ServeHTTP implements http.Handler: the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Toxiproxy-Request-Id", strings.ToLower(rand.Text()))
	if strings.HasPrefix(r.UserAgent(), "Mozilla/") {
		http.Error(w, "User agent not allowed", http.StatusForbidden) // Toxiproxy's words, which are not JSON
		return
	}
	if err := s.admit(r); err != nil {
		s.fail(w, err)
		return
	}
	methods := s.resource(strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/"))
	if methods == nil {
		http.NotFound(w, r)
		return
	}
	handle := methods[r.Method]
	if handle == nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	handle(w, r)
}

// admit says why a request is not served, nil if it is.
func (s *Server) admit(r *http.Request) *Error {
	for _, field := range []string{"Origin", "Sec-Fetch-Site"} { // which only browsers send
		if r.Header.Get(field) != "" {
			return &Error{"pages may not use this API: header " + field, http.StatusForbidden}
		}
	}
	if s.cfg.Authorize != nil {
		return s.cfg.Authorize(r)
	}
	if strings.Contains(r.Host, ".") && !s.hosts.Known(r.Host) {
		return misdirected(r.Host)
	}
	return nil
}

// methods are the handlers of a resource by method.
type methods map[string]http.HandlerFunc

// resource finds a path's resource, nil if there is none. This is the list of all.
func (s *Server) resource(path []string) methods {
	switch {
	case len(path) == 1 && path[0] == "proxies":
		return methods{"GET": s.listProxies, "POST": s.createProxy}
	case len(path) == 1 && path[0] == "populate":
		return methods{"POST": s.populate}
	case len(path) == 1 && path[0] == "reset":
		return methods{"POST": s.reset}
	case len(path) == 1 && path[0] == "version":
		return methods{"GET": s.version}
	case len(path) == 1 && path[0] == "metrics" && s.cfg.Metrics != nil:
		return methods{"GET": s.cfg.Metrics.ServeHTTP}
	case len(path) < 2 || path[0] != "proxies" || path[1] == "":
		return nil
	case len(path) == 2:
		update := s.onTarget(path[1], s.updateProxy)
		return methods{"GET": s.onTarget(path[1], s.showProxy), "POST": update, "PATCH": update, "DELETE": s.onTarget(path[1], s.deleteProxy)}
	case path[2] != "toxics":
		return nil
	case len(path) == 3:
		return methods{"GET": s.onTarget(path[1], s.listToxics), "POST": s.onTarget(path[1], s.unlessRefused(s.createToxic))}
	case len(path) == 4 && path[3] != "":
		update := s.onTarget(path[1], s.unlessRefused(func(t target, w http.ResponseWriter, r *http.Request) {
			s.updateToxic(t, path[3], w, r)
		}))
		return methods{"GET": s.onToxic(path, s.showToxic), "POST": update, "PATCH": update, "DELETE": s.onToxic(path, s.deleteToxic)}
	default:
		return nil
	}
}

// onTarget finds the proxy that a path names.
func (s *Server) onTarget(name string, handle func(target, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := s.find(name)
		if err != nil {
			s.fail(w, err)
			return
		}
		handle(t, w, r)
	}
}

func (s *Server) onToxic(path []string, handle func(t target, name string, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return s.onTarget(path[1], func(t target, w http.ResponseWriter, r *http.Request) { handle(t, path[3], w, r) })
}

// unlessRefused handles what could break a target, if that may be broken.
func (s *Server) unlessRefused(handle func(target, http.ResponseWriter, *http.Request)) func(target, http.ResponseWriter, *http.Request) {
	return func(t target, w http.ResponseWriter, r *http.Request) {
		if t.refused != "" {
			s.fail(w, &Error{"this proxy is a route of the configuration that must not be broken: " + t.refused, http.StatusForbidden})
			return
		}
		handle(t, w, r)
	}
}

func (s *Server) listProxies(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.all())
}

func (s *Server) createProxy(w http.ResponseWriter, r *http.Request) {
	in := proxyInput{Enabled: true}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		s.fail(w, badBody(err))
		return
	}
	if err := in.check(); err != nil {
		s.fail(w, err)
		return
	}
	p, err := s.add(in)
	if err != nil {
		s.fail(w, err)
		return
	}
	view := p.json()
	s.logProxy(r, "a proxy is made", view)
	reply(w, http.StatusCreated, view)
}

// check reports what no proxy can be made of.
func (in proxyInput) check() *Error {
	switch {
	case in.Name == "":
		return missing("name")
	case in.Upstream == "":
		return missing("upstream")
	case strings.Contains(in.Name, "/"):
		return badBody(errors.New("name: contains a slash, so the proxy could never be addressed"))
	case max(len(in.Name), len(in.Listen), len(in.Upstream)) > maxText:
		return badBody(fmt.Errorf("name, listen or upstream is longer than %d bytes", maxText))
	}
	return nil
}

func (s *Server) showProxy(t target, w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, t.view())
}

func (s *Server) updateProxy(t target, w http.ResponseWriter, r *http.Request) {
	var change proxyChange
	if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
		s.fail(w, badBody(err))
		return
	}
	now := t.view()
	if t.server == nil {
		if in := change.of(now); in.Listen != now.Listen || in.Upstream != now.Upstream || !in.Enabled {
			s.fail(w, errRoute)
			return
		}
	} else if err := t.server.update(change); err != nil {
		s.fail(w, err)
		return
	}
	view := t.view()
	if view.Listen != now.Listen || view.Upstream != now.Upstream || view.Enabled != now.Enabled {
		s.logProxy(r, "a proxy is changed", view)
	}
	reply(w, http.StatusOK, view)
}

func (s *Server) deleteProxy(t target, w http.ResponseWriter, r *http.Request) {
	if t.server == nil {
		s.fail(w, errRoute)
		return
	}
	s.delete(t.server)
	s.log(r, "a proxy is deleted", "proxy", t.server.name)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) listToxics(t target, w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, t.chain.json())
}

func (s *Server) createToxic(t target, w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	if s.cfg.Strict {
		status = http.StatusCreated
	}
	s.withBody(w, r, status, func(body []byte) (toxicJSON, *Error) {
		made, err := t.chain.add(body)
		if err == nil {
			s.logToxic(r, "a toxic is added", t.view().Name, made)
		}
		return made, err
	})
}

func (s *Server) showToxic(t target, name string, w http.ResponseWriter, _ *http.Request) {
	found, err := t.chain.get(name)
	if err != nil {
		s.fail(w, err)
		return
	}
	reply(w, http.StatusOK, found)
}

func (s *Server) updateToxic(t target, name string, w http.ResponseWriter, r *http.Request) {
	s.withBody(w, r, http.StatusOK, func(body []byte) (toxicJSON, *Error) {
		made, err := t.chain.update(name, body)
		if err == nil {
			s.logToxic(r, "a toxic is changed", t.view().Name, made)
		}
		return made, err
	})
}

// withBody reads the content before anything is locked: a client that sends slowly waits alone.
func (s *Server) withBody(w http.ResponseWriter, r *http.Request, status int, do func([]byte) (toxicJSON, *Error)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.fail(w, badBody(err))
		return
	}
	t, failure := do(body)
	if failure != nil {
		s.fail(w, failure)
		return
	}
	reply(w, status, t)
}

func (s *Server) deleteToxic(t target, name string, w http.ResponseWriter, r *http.Request) {
	if err := t.chain.remove(name); err != nil {
		s.fail(w, err)
		return
	}
	s.log(r, "a toxic is removed", "proxy", t.view().Name, "toxic", name)
	w.WriteHeader(http.StatusNoContent)
}

// reset starts every proxy and removes every toxic. Unlike Toxiproxy it goes on after a proxy that cannot be started, and then
// reports the first.
func (s *Server) reset(w http.ResponseWriter, r *http.Request) {
	var first *Error
	toxics := 0
	for _, p := range s.list() {
		if err := p.start(); err != nil && err != errProxyNotFound && first == nil { // who deletes it meanwhile does no harm
			first = err
		}
		toxics += p.chain.clear()
	}
	for _, c := range s.routeChains() {
		toxics += c.clear()
	}
	s.log(r, "reset: all proxies are enabled and all toxics removed", "toxics", toxics)
	s.forgetRoutes(s.routeList())
	if first != nil {
		s.fail(w, first)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_, _ = io.WriteString(w, `{"version": "`+Version+`"}`+"\n") // the client has gone: nobody is left to tell
}

// reply sends v.
func reply(w http.ResponseWriter, status int, v any) {
	data, err := marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client has gone: nobody is left to tell
}

// marshal returns v as JSON without a final newline.
func marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	return bytes.TrimSpace(data), err
}

// fail sends an error.
func (s *Server) fail(w http.ResponseWriter, e *Error) {
	data, _ := json.Marshal(e) // two plain fields
	contentType := "text/plain; charset=utf-8"
	if s.cfg.Strict {
		contentType = "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(e.Status)
	_, _ = w.Write(append(data, '\n')) // the client has gone: nobody is left to tell
}
