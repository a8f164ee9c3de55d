package admin

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Query is a request to explain.
type Query struct {
	// Port is the port the URL names, 0 if it names none.
	Port uint16
	// Head is the head of the request as a client would send it, from request line to empty line.
	Head []byte
}

// maxQuery bounds the head of a Query in bytes.
const maxQuery = 32 << 10

// NewQuery returns the Query for a method ("" is GET), a URL (without scheme it is http) and header lines of the form
// "name: value". Whether the request is a valid one is for the proxy's own parser to say; only what could not be
// written as one head is refused here.
func NewQuery(method, target string, header []string) (Query, error) {
	if method == "" {
		method = "GET"
	}
	if target == "" {
		return Query{}, errors.New("explain needs a url, for instance http://shop.example.com/cart")
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok {
		scheme, rest = "http", target
	}
	if scheme != "http" && scheme != "https" {
		return Query{}, fmt.Errorf("cannot explain a %s URL: want http or https", scheme)
	}
	authority, path := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if path[0] == '?' {
		path = "/" + path
	}
	q := Query{}
	if port := (&url.URL{Host: authority}).Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return Query{}, fmt.Errorf("port %q of the url is not between 0 and 65535", port)
		}
		q.Port = uint16(n)
	}
	for _, line := range header {
		if i := strings.IndexByte(line, ':'); i <= 0 {
			return Query{}, fmt.Errorf("header %q is not of the form name: value", line)
		}
	}
	lines := append([]string{method + " " + path + " HTTP/1.1"}, header...)
	if !hasHost(header) {
		lines = append(lines, "Host: "+authority)
	}
	size := 2
	for _, line := range lines {
		if strings.ContainsAny(line, "\r\n\x00") {
			return Query{}, errors.New("method, url and header must not contain line ends")
		}
		size += len(line) + 2
	}
	if size > maxQuery {
		return Query{}, fmt.Errorf("a request of more than %d bytes is not explained", maxQuery)
	}
	q.Head = []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
	return q, nil
}

// hasHost reports whether one of the header lines is Host, which then stands for the URL's own.
func hasHost(header []string) bool {
	for _, line := range header {
		name, _, _ := strings.Cut(line, ":")
		if strings.EqualFold(strings.TrimSpace(name), "Host") {
			return true
		}
	}
	return false
}
