package whoami

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// answer is the body of /api. The order and the names of its fields are part of the compatible contract.
type answer struct {
	Hostname   string            `json:"hostname,omitempty"`
	IP         []string          `json:"ip,omitempty"`
	Headers    http.Header       `json:"headers,omitempty"`
	URL        string            `json:"url,omitempty"`
	Host       string            `json:"host,omitempty"`
	Method     string            `json:"method,omitempty"`
	Name       string            `json:"name,omitempty"`
	RemoteAddr string            `json:"remoteAddr,omitempty"`
	Environ    map[string]string `json:"environ,omitempty"`
}

// Answer is the body of /api/v2: everything known about the request and who answered it.
type Answer struct {
	Name      string   `json:"name,omitempty"`
	Instance  string   `json:"instance"`
	Zone      string   `json:"zone,omitempty"`
	Hostname  string   `json:"hostname"`
	Pod       string   `json:"pod,omitempty"`
	Namespace string   `json:"namespace,omitempty"`
	Service   string   `json:"service,omitempty"`
	Node      string   `json:"node,omitempty"`
	IP        []string `json:"ip,omitempty"`

	Protocol string      `json:"protocol"` // as received, for example "HTTP/2.0"
	Method   string      `json:"method"`
	Host     string      `json:"host"`
	URL      string      `json:"url"`  // the request target as received
	Path     string      `json:"path"` // decoded
	Headers  http.Header `json:"headers"`
	Trailers http.Header `json:"trailers,omitempty"`

	ContentLength    int64    `json:"contentLength"` // -1 if not declared
	TransferEncoding []string `json:"transferEncoding,omitempty"`
	BodyBytes        int64    `json:"bodyBytes"`
	BodySHA256       string   `json:"bodySHA256,omitempty"` // hexadecimal; omitted without a body

	RemoteAddr string            `json:"remoteAddr"`
	LocalAddr  string            `json:"localAddr,omitempty"`
	TLS        *TLS              `json:"tls,omitempty"`
	Environ    map[string]string `json:"environ,omitempty"`
}

// TLS describes the connection a request arrived on.
type TLS struct {
	Version          string        `json:"version"`
	CipherSuite      string        `json:"cipherSuite"`
	ALPN             string        `json:"alpn,omitempty"`
	SNI              string        `json:"sni,omitempty"`
	Resumed          bool          `json:"resumed"`
	PeerCertificates []Certificate `json:"peerCertificates,omitempty"`
}

// Certificate describes one certificate of the peer, leaf first.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	DNSNames  []string  `json:"dnsNames,omitempty"`
	URIs      []string  `json:"uris,omitempty"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	SHA256    string    `json:"sha256"` // of the DER form, hexadecimal
}

func (h *Handler) serveAPI(w http.ResponseWriter, r *http.Request) {
	body := answer{
		Hostname:   h.options.Hostname,
		IP:         h.options.Addresses,
		Headers:    r.Header,
		URL:        r.URL.RequestURI(),
		Host:       r.Host,
		Method:     r.Method,
		Name:       h.options.Name,
		RemoteAddr: r.RemoteAddr,
	}
	if h.showsEnv(r) {
		body.Environ = environ()
	}
	writeJSON(w, body)
}

// serveAPIv2 reads the whole body, because trailers are only known after it.
func (h *Handler) serveAPIv2(w http.ResponseWriter, r *http.Request) {
	digest := sha256.New()
	n, err := io.Copy(digest, r.Body)
	if err != nil {
		http.Error(w, "cannot read the request body", http.StatusBadRequest)
		return
	}
	o := h.options
	body := Answer{
		Name: o.Name, Instance: o.Instance, Zone: o.Zone, Hostname: o.Hostname,
		Pod: o.Pod, Namespace: o.Namespace, Service: o.Service, Node: o.Node, IP: o.Addresses,
		Protocol: r.Proto, Method: r.Method, Host: r.Host, URL: r.RequestURI, Path: r.URL.Path,
		Headers: r.Header, Trailers: r.Trailer,
		ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding, BodyBytes: n,
		RemoteAddr: r.RemoteAddr, TLS: describeTLS(r.TLS),
	}
	if n > 0 {
		body.BodySHA256 = hex.EncodeToString(digest.Sum(nil))
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		body.LocalAddr = local.String()
	}
	if h.showsEnv(r) {
		body.Environ = environ()
	}
	writeJSON(w, body)
}

func describeTLS(state *tls.ConnectionState) *TLS {
	if state == nil {
		return nil
	}
	t := &TLS{
		Version:     tls.VersionName(state.Version),
		CipherSuite: tls.CipherSuiteName(state.CipherSuite),
		ALPN:        state.NegotiatedProtocol,
		SNI:         state.ServerName,
		Resumed:     state.DidResume,
	}
	for _, c := range state.PeerCertificates {
		t.PeerCertificates = append(t.PeerCertificates, describeCertificate(c))
	}
	return t
}

func describeCertificate(c *x509.Certificate) Certificate {
	digest := sha256.Sum256(c.Raw)
	d := Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), DNSNames: c.DNSNames,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, SHA256: hex.EncodeToString(digest[:]),
	}
	for _, u := range c.URIs {
		d.URIs = append(d.URIs, u.String())
	}
	return d
}

func environ() map[string]string {
	env := map[string]string{}
	for _, line := range os.Environ() {
		key, value, _ := strings.Cut(line, "=")
		env[key] = value
	}
	return env
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the types always encode; a failed write means that the client has gone
}
