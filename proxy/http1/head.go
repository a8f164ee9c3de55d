package http1

import (
	"bytes"
	"errors"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// ParseRequest parses a whole request head just as a Server does, for tools that say what would happen to a request
// without sending one. head is not changed. What a Server would refuse is a *Refusal.
func ParseRequest(head []byte, lim Limits) (*proxy.Request, error) {
	head, lim = bytes.Clone(head), lim.withDefaults()
	r := &proxy.Request{Scheme: "http"}
	f, more, err := parseRequest(head, r, &lim)
	switch {
	case err != nil:
		return nil, err
	case more:
		return nil, errors.New("the request head is not complete")
	case f.size != len(head):
		return nil, errors.New("something follows the request head")
	}
	return r, nil
}
