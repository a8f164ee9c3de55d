package toxiproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// populated is the answer to /populate: what was done, and what stopped it.
type populated struct {
	*Error
	Proxies []proxyJSON `json:"proxies"`
}

func (s *Server) populate(w http.ResponseWriter, r *http.Request) {
	proxies, err := s.populateFrom(r, r.Body)
	status := http.StatusCreated
	if err != nil {
		status = err.Status
	}
	reply(w, status, populated{err, proxies})
}

// Populate makes the proxies of a file in Toxiproxy's format, a JSON list of objects with name, listen, upstream and enabled. It
// checks all before it makes one. A proxy that exists with the same listen and upstream is left as it is; one that differs is
// replaced and loses its toxics. Other fields are ignored, with a warning in the log.
func (s *Server) Populate(data io.Reader) error {
	file, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	if _, err := s.populateFrom(nil, bytes.NewReader(file)); err != nil {
		return err
	}
	s.warnIgnored(file)
	return nil
}

// populateFrom is Populate for a client's request, or for none if r is nil.
func (s *Server) populateFrom(r *http.Request, data io.Reader) ([]proxyJSON, *Error) {
	var input []struct {
		proxyInput
		Enabled *bool `json:"enabled"`
	}
	if err := json.NewDecoder(data).Decode(&input); err != nil {
		return nil, badBody(err)
	}
	for i := range input {
		in := &input[i]
		in.proxyInput.Enabled = in.Enabled == nil || *in.Enabled
		if err := in.check(); err != nil {
			return nil, &Error{fmt.Sprintf("%s at proxy %d", err.Message, i+1), err.Status}
		}
	}
	for i := range input {
		if _, err := s.resolve(input[i].Listen); err != nil {
			return nil, err
		}
		if s.isRoute(input[i].Name) {
			return nil, errProxyExists
		}
	}
	var done []proxyJSON
	for i := range input {
		p, err := s.addOrReplace(input[i].proxyInput)
		if err != nil {
			return done, err
		}
		view := p.json()
		s.logProxy(r, "a proxy is populated", view)
		done = append(done, view)
	}
	return done, nil
}

// addOrReplace makes a proxy, unless it is there as it is asked for. What stands in its place stays if it cannot be made.
func (s *Server) addOrReplace(in proxyInput) (*proxyServer, *Error) {
	s.mu.Lock()
	old := s.proxies[in.Name]
	s.mu.Unlock()
	if old == nil {
		return s.add(in)
	}
	address, err := s.resolve(in.Listen)
	if err != nil {
		return nil, err
	}
	if now := old.json(); now.Listen == address.String() && now.Upstream == in.Upstream {
		return old, nil
	}
	return s.replace(old, in)
}

// replace makes a proxy in the place of another, which somebody may delete meanwhile.
func (s *Server) replace(old *proxyServer, in proxyInput) (*proxyServer, *Error) {
	if err := old.replace(in); err != errProxyNotFound {
		return old, err
	}
	return s.add(in)
}
