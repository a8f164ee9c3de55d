package toxiproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
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
	if json.NewDecoder(bytes.NewReader(file)).Decode(new(json.RawMessage)) != nil {
		return notJSON(file)
	}
	if _, err := s.populateFrom(nil, bytes.NewReader(file)); err != nil {
		return errors.New(strings.TrimPrefix(err.Message, badRequestBody))
	}
	s.warnIgnored(file)
	return nil
}

// notJSON says where a file is not JSON.
func notJSON(file []byte) error {
	err := json.Unmarshal(file, new(json.RawMessage))
	var broken *json.SyntaxError
	if !errors.As(err, &broken) {
		return err
	}
	before := file[:min(broken.Offset, int64(len(file)))]
	return fmt.Errorf("line %d: %w", 1+bytes.Count(before, []byte("\n")), broken)
}

// populateFrom is Populate for a client's request, or for none if r is nil.
func (s *Server) populateFrom(r *http.Request, data io.Reader) ([]proxyJSON, *Error) {
	var entries []json.RawMessage
	if err := json.NewDecoder(data).Decode(&entries); err != nil {
		return nil, badBody(err)
	}
	input := make([]proxyInput, len(entries))
	for i, entry := range entries {
		input[i].Enabled = true
		if err := json.Unmarshal(entry, &input[i]); err != nil {
			return nil, badBody(err).at(i, input[i].Name)
		}
	}
	for _, check := range []func(proxyInput) *Error{proxyInput.check, s.checkPlace} {
		for i, in := range input {
			if err := check(in); err != nil {
				return nil, err.at(i, in.Name)
			}
		}
	}
	var done []proxyJSON
	for i, in := range input {
		p, err := s.addOrReplace(in)
		if err != nil {
			return done, err.at(i, in.Name)
		}
		view := p.json()
		s.logProxy(r, "a proxy is populated", view)
		done = append(done, view)
	}
	return done, nil
}

// checkPlace reports an address or a name that no proxy can have now.
func (s *Server) checkPlace(in proxyInput) *Error {
	if _, err := s.resolve(in.Listen); err != nil {
		return err
	}
	if s.proxy(in.Name) != nil {
		return nil
	}
	return s.taken(in.Name)
}

// at says which entry of a list an error is about: its index, and its name if it has one.
func (e *Error) at(index int, name string) *Error {
	message := fmt.Sprintf("%s at proxy %d", e.Message, index+1) // Toxiproxy's words
	if name != "" {
		message += fmt.Sprintf(" (%q)", clip(name))
	}
	return &Error{message, e.Status}
}

// addOrReplace makes a proxy, unless it is there as it is asked for. What stands in its place stays if it cannot be made.
func (s *Server) addOrReplace(in proxyInput) (*proxyServer, *Error) {
	old := s.proxy(in.Name)
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
