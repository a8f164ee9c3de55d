package chaos

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
)

// A token is "v1.EXPIRY.MAC": the Unix time in seconds from which it is void, and the HMAC-SHA256 (RFC 2104) of the version, the
// expiry and the Experiment's namespace and name under the Token's Secret, in base64url without padding. Its characters are
// allowed in a header field, a cookie (RFC 6265 section 4.1.1) and a member of W3C baggage.
const tokenVersion = "v1"

// MintToken returns a token for the Experiment of this namespace and name that is good until expiry, to the second.
func MintToken(secret, namespace, name string, expiry time.Time) (string, error) {
	if secret == "" {
		return "", errors.New("mint token: the secret is empty")
	}
	if namespace == "" || name == "" {
		return "", errors.New("mint token: the experiment needs a namespace and a name")
	}
	if expiry.Unix() <= 0 {
		return "", fmt.Errorf("mint token: expiry %v is out of range", expiry)
	}
	at := strconv.FormatInt(expiry.Unix(), 10)
	return tokenVersion + "." + at + "." + base64.RawURLEncoding.EncodeToString(tokenMAC(secret, namespace, name, at)), nil
}

func tokenMAC(secret, namespace, name, expiry string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	for _, part := range []string{tokenVersion, expiry, namespace, name} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash takes everything
	}
	return h.Sum(nil)
}

// validToken reports whether token is one for the Experiment and has not expired.
func validToken(token []byte, secret string, id proxy.ObjectID, now time.Time) bool {
	const longest = 128
	if len(token) > longest || secret == "" {
		return false
	}
	version, rest, ok := strings.Cut(string(token), ".")
	if !ok || version != tokenVersion {
		return false
	}
	expiry, mac, ok := strings.Cut(rest, ".")
	if !ok {
		return false
	}
	at, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil || now.Unix() >= at {
		return false
	}
	got, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	return err == nil && hmac.Equal(got, tokenMAC(secret, id.Namespace, id.Name, expiry))
}

// bears reports whether a request bears a valid token, in any of the places that t names.
func bears(r *proxy.Request, t *proxy.Token, id proxy.ObjectID, now time.Time) bool {
	found := false
	check := func(value []byte) { found = found || validToken(bytes.TrimSpace(value), t.Secret, id, now) }
	for i := range r.Header.Fields {
		f := &r.Header.Fields[i]
		if t.Header != "" && proxy.EqualFold(f.Name, t.Header) {
			check(f.Value)
		}
		if t.Cookie != "" && proxy.EqualFold(f.Name, "Cookie") {
			eachPart(f.Value, ';', func(part []byte) {
				if name, value, ok := bytes.Cut(part, []byte{'='}); ok && string(bytes.TrimSpace(name)) == t.Cookie {
					check(value)
				}
			})
		}
		if t.Baggage != "" && proxy.EqualFold(f.Name, "Baggage") {
			eachPart(f.Value, ',', func(part []byte) {
				if name, value, ok := baggageMember(part); ok && string(name) == t.Baggage {
					check(value)
				}
			})
		}
	}
	return found
}

// strip removes everything that may bear a token from a request, whether it is valid or not. Other cookies and other members stay
// as they are.
func strip(r *proxy.Request, t *proxy.Token) {
	if t.Header != "" && r.Header.Has(t.Header) {
		r.Header.Del(t.Header)
	}
	if t.Cookie != "" {
		stripParts(&r.Header, "Cookie", ';', func(part []byte) bool {
			name, _, _ := bytes.Cut(part, []byte{'='})
			return string(bytes.TrimSpace(name)) == t.Cookie
		})
	}
	if t.Baggage != "" {
		stripParts(&r.Header, "Baggage", ',', func(part []byte) bool {
			name, _, ok := baggageMember(part)
			return ok && string(name) == t.Baggage
		})
	}
}

// baggageMember splits a list member of W3C baggage, section 3.3.1, and leaves its properties out.
func baggageMember(part []byte) (name, value []byte, ok bool) {
	member, _, _ := bytes.Cut(part, []byte{';'})
	name, value, ok = bytes.Cut(member, []byte{'='})
	return bytes.TrimSpace(name), bytes.TrimSpace(value), ok
}

func eachPart(value []byte, sep byte, f func(part []byte)) {
	for more := true; more; {
		var part []byte
		part, value, more = bytes.Cut(value, []byte{sep})
		f(part)
	}
}

// stripParts removes the parts that match from every line called name, and lines of which nothing is left.
func stripParts(h *proxy.Header, name string, sep byte, match func(part []byte) bool) {
	kept := h.Fields[:0]
	for _, f := range h.Fields {
		if proxy.EqualFold(f.Name, name) {
			rest, changed := without(f.Value, sep, match)
			if changed && len(bytes.TrimSpace(rest)) == 0 {
				continue
			}
			f.Value = rest
		}
		kept = append(kept, f)
	}
	h.Fields = kept
}

func without(value []byte, sep byte, match func(part []byte) bool) (rest []byte, changed bool) {
	eachPart(value, sep, func(part []byte) { changed = changed || match(part) })
	if !changed {
		return value, false
	}
	first := true
	eachPart(value, sep, func(part []byte) {
		if match(part) {
			return
		}
		if !first {
			rest = append(rest, sep)
		} else {
			part = bytes.TrimLeft(part, " \t")
		}
		first = false
		rest = append(rest, part...)
	})
	return rest, true
}
