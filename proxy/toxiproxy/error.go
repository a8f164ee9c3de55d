package toxiproxy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/breakwater-gateway/breakwater/proxy/authority"
)

// Error is an answer that says what is wrong, in Toxiproxy's form.
type Error struct {
	Message string `json:"error"`
	Status  int    `json:"status"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

var (
	errProxyNotFound = &Error{"proxy not found", http.StatusNotFound}
	errProxyExists   = &Error{"proxy already exists", http.StatusConflict}
	errToxicNotFound = &Error{"toxic not found", http.StatusNotFound}
	errToxicExists   = &Error{"toxic already exists", http.StatusConflict}
	errToxicType     = &Error{"invalid toxic type", http.StatusBadRequest}
	errStream        = &Error{"stream was invalid, can be either upstream or downstream", http.StatusBadRequest}
	errRouteAway     = &Error{fmt.Sprintf("proxy already exists: it is a route of the configuration that has just gone; its toxics wait %v for it",
		awayFor), http.StatusConflict}
	errRoute = &Error{"this proxy is a route of the configuration: only its toxics can be changed here", http.StatusConflict}
)

// errItself is why a proxy does not connect to an upstream.
var errItself = errors.New("the upstream is the proxy itself")

// badRequestBody is how Toxiproxy begins to say what is wrong with a request's content.
const badRequestBody = "bad request body: "

// badBody says what is wrong with a request's content.
func badBody(err error) *Error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &Error{badRequestBody + "larger than 1 MiB", http.StatusRequestEntityTooLarge}
	}
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		err = fmt.Errorf("%s: a JSON %s is not what is expected here", cmp.Or(mistyped.Field, "content"), mistyped.Value)
	}
	return &Error{badRequestBody + err.Error(), http.StatusBadRequest}
}

// misdirected says by which names the API can be called, and where another is to be added.
func misdirected(called string) *Error {
	message := "host " + clip(authority.Host(called)) + ": call this API by address, as localhost, by a name without a dot or by one in --admin-hosts"
	return &Error{message, http.StatusMisdirectedRequest}
}

func missing(field string) *Error {
	return &Error{"missing required field: " + field, http.StatusBadRequest}
}

func internal(err error) *Error { return &Error{err.Error(), http.StatusInternalServerError} }
