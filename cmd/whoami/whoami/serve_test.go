package whoami_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

// h2c makes a transport speak HTTP/2 by prior knowledge.
func h2c(transport *http.Transport) {
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetUnencryptedHTTP2(true)
}

// authority issues certificates for one test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// issue returns the files of a certificate for name and of its key.
func (a *authority) issue(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return a.write(t, name+".pem", "CERTIFICATE", der), a.write(t, name+".key", "PRIVATE KEY", private)
}

// client returns the settings of a client that trusts a, with a certificate for name unless that is empty.
func (a *authority) client(t *testing.T, name string) func(*http.Transport) {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "whoami.example"}
	config.RootCAs.AddCert(a.cert)
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.issue(t, name))
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return func(transport *http.Transport) { transport.TLSClientConfig = config }
}

// startTLS serves with a certificate for whoami.example.
func (a *authority) startTLS(t *testing.T, caFile string) string {
	t.Helper()
	certFile, keyFile := a.issue(t, "whoami.example")
	config, err := whoami.TLSConfig(certFile, keyFile, caFile)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, whoami.ServeOptions{Handler: whoami.New(fixed), TLS: config, ErrorLog: log.New(io.Discard, "", 0)})
}

func answerOf(t *testing.T, got reply) whoami.Answer {
	t.Helper()
	var answer whoami.Answer
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil {
		t.Fatalf("%v in %q", err, got.body)
	}
	return answer
}

func TestPlainPortSpeaksBothVersions(t *testing.T) {
	url := "http://" + startPlain(t, fixed) + "/api/v2"
	if got := answerOf(t, do(t, newClient(t, nil), "GET", url, "")); got.Protocol != "HTTP/1.1" || got.TLS != nil {
		t.Errorf("HTTP/1.1: %+v", got)
	}
	if got := answerOf(t, do(t, newClient(t, h2c), "POST", url, "body")); got.Protocol != "HTTP/2.0" || got.BodyBytes != 4 {
		t.Errorf("h2c: %+v", got)
	}
}

func TestTLSPortSpeaksBothVersions(t *testing.T) {
	a := newAuthority(t)
	url := "https://" + a.startTLS(t, "") + "/api/v2"
	for alpn, protocol := range map[string]string{"h2": "HTTP/2.0", "http/1.1": "HTTP/1.1"} {
		client := newClient(t, func(transport *http.Transport) {
			a.client(t, "")(transport)
			transport.TLSClientConfig.NextProtos = []string{alpn}
			transport.Protocols = new(http.Protocols)
			transport.Protocols.SetHTTP1(alpn != "h2")
			transport.Protocols.SetHTTP2(alpn == "h2")
		})
		got := answerOf(t, do(t, client, "GET", url, ""))
		if got.Protocol != protocol || got.TLS == nil || got.TLS.ALPN != alpn || got.TLS.SNI != "whoami.example" || got.TLS.Version != "TLS 1.3" {
			t.Errorf("%s: %+v %+v", alpn, got, got.TLS)
		}
	}
}

func TestClientCertificateIsShown(t *testing.T) {
	a := newAuthority(t)
	address := a.startTLS(t, "")
	client := newClient(t, a.client(t, "alice"))
	text := do(t, client, "GET", "https://"+address, "")
	if !strings.Contains(text.body, "\nCertificate[0] Subject: CN=alice\nGET / HTTP/1.1\r\n") {
		t.Errorf("text: %q", text.body)
	}
	answer := answerOf(t, do(t, client, "GET", "https://"+address+"/api/v2", ""))
	if peers := answer.TLS.PeerCertificates; len(peers) != 1 || peers[0].Subject != "CN=alice" || peers[0].Issuer != "CN=test CA" || len(peers[0].SHA256) != 64 {
		t.Errorf("peers: %+v", peers)
	}
}

func TestCAMakesClientCertificatesMandatory(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	url := "https://" + a.startTLS(t, filepath.Join(a.dir, "ca.pem"))
	if got := do(t, newClient(t, a.client(t, "alice")), "GET", url, ""); got.status != 200 {
		t.Errorf("known client: %d", got.status)
	}
	if response, err := newClient(t, a.client(t, "")).Get(url); err == nil {
		t.Errorf("no certificate: %v", response.Status)
	}
	foreign := newClient(t, func(transport *http.Transport) {
		stranger.client(t, "mallory")(transport)
		transport.TLSClientConfig.RootCAs.AddCert(a.cert)
	})
	if response, err := foreign.Get(url); err == nil {
		t.Errorf("foreign certificate: %v", response.Status)
	}
	old := newClient(t, func(transport *http.Transport) {
		a.client(t, "bob")(transport)
		transport.TLSClientConfig.MaxVersion = tls.VersionTLS11
		transport.TLSClientConfig.MinVersion = tls.VersionTLS10
	})
	if response, err := old.Get(url); err == nil {
		t.Errorf("TLS 1.1: %v", response.Status)
	}
}

func TestTLSConfigNeedsCompleteFiles(t *testing.T) {
	a := newAuthority(t)
	certFile, keyFile := a.issue(t, "x")
	empty := a.write(t, "empty.pem", "NOTHING", nil)
	if config, err := whoami.TLSConfig("", "", ""); config != nil || err != nil {
		t.Errorf("no files: %v, %v", config, err)
	}
	for _, files := range [][3]string{
		{certFile, "", ""}, {"", keyFile, ""}, {"", "", certFile}, {certFile, certFile, ""},
		{certFile, keyFile, empty}, {certFile, keyFile, "missing"}, {"missing", keyFile, ""},
	} {
		if _, err := whoami.TLSConfig(files[0], files[1], files[2]); err == nil {
			t.Errorf("%q accepted", files)
		}
	}
}

// stoppable serves until stop is called, which returns Serve's error once it has returned.
func stoppable(t *testing.T, options whoami.ServeOptions) (address string, stop func(), stopped <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- whoami.Serve(ctx, listener, options) }()
	return listener.Addr().String(), cancel, done
}

func TestStopLetsRequestsFinish(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	address, stop, stopped := stoppable(t, whoami.ServeOptions{Grace: patience, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-release
			if r.Context().Err() != nil {
				t.Error("cut within the grace")
			}
			_, _ = io.WriteString(w, "finished")
		})})
	got := make(chan string, 1)
	go func() {
		response, err := newClient(t, nil).Get("http://" + address)
		if err != nil {
			got <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		got <- string(body)
	}()
	<-entered
	stop()
	waitRefused(t, address)
	close(release)
	if body := <-got; body != "finished" {
		t.Errorf("got %q", body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// waitRefused waits until nothing listens on address.
func waitRefused(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("still listening")
		}
	}
}

func TestStopCutsWhatExceedsTheGrace(t *testing.T) {
	address, stop, stopped := stoppable(t, whoami.ServeOptions{Handler: whoami.New(fixed)})
	conn, _, err := websocket.Dial(t.Context(), "ws://"+address+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	response, err := newClient(t, nil).Get("http://" + address + "/sse?count=0&interval=1h")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, _, err := conn.Read(t.Context()); err == nil {
		t.Error("the WebSocket outlived the server")
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := whoami.Serve(t.Context(), listener, whoami.ServeOptions{Handler: whoami.New(fixed)}); err == nil {
		t.Error("no error")
	}
	if err := whoami.EchoTCP(t.Context(), listener); err == nil {
		t.Error("EchoTCP: no error")
	}
}
