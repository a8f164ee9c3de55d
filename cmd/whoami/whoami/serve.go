package whoami

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Timeouts of the server side. There is none on bodies: slow ones are what this backend is for.
const (
	headTimeout = 10 * time.Second
	idleTimeout = 3 * time.Minute
)

// ServeOptions configure Serve.
type ServeOptions struct {
	Handler  http.Handler
	TLS      *tls.Config   // nil serves plain HTTP/1.1 and h2c; otherwise HTTP/1.1 and HTTP/2 by ALPN
	Grace    time.Duration // how long requests in flight may take after ctx ends; 0 cuts them at once
	ErrorLog *log.Logger   // errors of single connections; nil for the standard logger
}

// Serve answers on listener until ctx ends, then stops listening, gives requests in flight their grace and cuts the
// rest, WebSockets included. It returns once every handler has returned, with nil after a stop by ctx. It closes listener.
func Serve(ctx context.Context, listener net.Listener, options ServeOptions) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var handlers inFlight
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(options.TLS != nil)
	protocols.SetUnencryptedHTTP2(options.TLS == nil)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !handlers.enter() {
				panic(http.ErrAbortHandler) // the connection is being cut
			}
			defer handlers.leave()
			options.Handler.ServeHTTP(w, r)
		}),
		TLSConfig:         options.TLS,
		Protocols:         &protocols,
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          options.ErrorLog,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	served := make(chan error, 1)
	go func() {
		if options.TLS != nil {
			served <- server.ServeTLS(listener, "", "")
			return
		}
		served <- server.Serve(listener)
	}()

	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve on %v: %w", listener.Addr(), err)
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(base, options.Grace)
		defer cancel()
		_ = server.Shutdown(grace) // its only failure is that grace ran out
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = fmt.Errorf("serve on %v: %w", listener.Addr(), ended)
		}
	}
	cut()
	_ = server.Close()
	handlers.close()
	return err
}

// inFlight counts running handlers, so that Serve can outlast them. A WaitGroup would not do: a request may still begin
// while Serve waits.
type inFlight struct {
	mu     sync.Mutex // guards all
	count  int
	idle   chan struct{} // closed when count is 0 after close
	closed bool
}

// enter reports false if no more handlers may start.
func (f *inFlight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.count++
	}
	return !f.closed
}

func (f *inFlight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count--
	if f.closed && f.count == 0 {
		close(f.idle)
	}
}

// close admits no more handlers and waits until the last has left.
func (f *inFlight) close() {
	f.mu.Lock()
	f.closed = true
	f.idle = make(chan struct{})
	if f.count == 0 {
		close(f.idle)
	}
	f.mu.Unlock()
	<-f.idle
}

// TLSConfig loads a certificate with its key and, if caFile is given, requires client certificates that its CAs have
// issued. Without caFile a client certificate is asked for, not required and not verified. It returns nil if no file is
// given at all.
func TLSConfig(certFile, keyFile, caFile string) (*tls.Config, error) {
	if certFile == "" && keyFile == "" && caFile == "" {
		return nil, nil
	}
	if certFile == "" || keyFile == "" {
		return nil, errors.New("TLS needs both a certificate and its key")
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequestClientCert,
		MinVersion:   tls.VersionTLS12,
	}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("load CA: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load CA: no certificate in %s", caFile)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}
