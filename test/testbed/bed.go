package testbed

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/chaos"
	"github.com/breakwater-gateway/breakwater/proxy/server"
	"github.com/breakwater-gateway/breakwater/proxy/telemetry"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names of the classes that manifests may use without defining them.
const (
	Class      = "breakwater"
	Controller = "breakwater-gateway.io/controller"
)

// Bed is a running Breakwater.
type Bed struct {
	Server      *server.Server
	Chaos       *chaos.Engine
	Metrics     *telemetry.Metrics
	IngressPort uint16
	Dir         string // the folder of manifests
	// ExpectApplyError, if not nil, says which error of Apply is the one that a test wants.
	ExpectApplyError func(error) bool

	t         testing.TB
	placement *placement
	folder    *view.Folder
	faults    chaos.Config
	options   translate.Options
	result    *translate.Result
	client    *http.Client
	accessLog *telemetry.AccessLog
	lines     *lines
}

// Option changes a Bed before it starts.
type Option func(*Bed, *server.Config)

// WithServer changes the configuration of the server.
func WithServer(change func(*server.Config)) Option {
	return func(_ *Bed, c *server.Config) { change(c) }
}

// WithTranslate changes the options of the build.
func WithTranslate(change func(*translate.Options)) Option {
	return func(b *Bed, _ *server.Config) { change(&b.options) }
}

// WithChaos changes the configuration of what is live of experiments.
func WithChaos(change func(*chaos.Config)) Option {
	return func(b *Bed, _ *server.Config) { change(&b.faults) }
}

// New starts a Breakwater that serves the manifests. They are in the namespace "default" unless they say otherwise.
func New(t testing.TB, manifests string, options ...Option) *Bed {
	t.Helper()
	b := Unapplied(t, options...)
	b.Write("main.yaml", manifests)
	return b
}

// Unapplied starts a Breakwater that has not been given any configuration yet. The first Write applies one.
func Unapplied(t testing.TB, options ...Option) *Bed {
	t.Helper()
	b := &Bed{
		Metrics:     telemetry.New(),
		IngressPort: freePort(t),
		Dir:         t.TempDir(),
		t:           t,
		placement:   &placement{t: t, ports: map[string]uint16{}},
		faults:      chaos.Config{Log: slog.New(slog.DiscardHandler)},
		lines:       &lines{},
	}
	b.placement.ingress = b.IngressPort
	b.folder = view.NewFolder(b.Dir)
	b.options = translate.Options{
		Controller:      Controller,
		Class:           Class,
		ImplicitClasses: true,
		IngressPort:     b.IngressPort,
		Addresses:       []string{"127.0.0.1"},
		Placement:       b.placement,
	}
	b.options.Chaos.Switch.Name, b.options.Chaos.MaxDuration, b.options.Chaos.Files = "breakwater-chaos", 24*time.Hour, true
	b.accessLog = telemetry.NewAccessLog(b.lines, telemetry.LogOptions{}, b.Metrics)
	config := server.Config{
		BindAddress: netip.MustParseAddr("127.0.0.1"),
		Metrics:     b.Metrics,
		AccessLog:   b.accessLog,
		Log:         slog.New(slog.DiscardHandler),
	}
	config.Stream.DrainQuiet = 10 * time.Millisecond // sessions of UDP have no end
	for _, o := range options {
		o(b, &config)
	}
	b.Chaos = chaos.New(b.faults)
	config.Chaos = b.Chaos
	b.Server = server.New(config)
	b.client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, DialContext: (&net.Dialer{}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(b.close)
	return b
}

// stopTimeout is how long a Bed waits for requests that a test has left behind.
const stopTimeout = 10 * time.Second

func (b *Bed) close() {
	b.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := b.Server.Shutdown(ctx); err != nil {
		b.t.Errorf("shut down: %v", err)
	}
	b.Chaos.Close()
	if err := b.accessLog.Close(); err != nil {
		b.t.Errorf("close the access log: %v", err)
	}
}

// Write writes a file of manifests and applies the folder. What is wrong with it fails the test.
func (b *Bed) Write(name, manifests string) {
	b.t.Helper()
	for _, p := range b.TryWrite(name, manifests) {
		b.t.Errorf("%s", p)
	}
}

// TryWrite writes a file of manifests, applies the folder unless something is wrong with it, and returns what is.
func (b *Bed) TryWrite(name, manifests string) []view.Problem {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.Dir, name), []byte(manifests), 0o600); err != nil {
		b.t.Fatalf("write manifests: %v", err)
	}
	return b.apply()
}

// Delete removes a file of manifests and applies the folder.
func (b *Bed) Delete(name string) {
	b.t.Helper()
	if err := os.Remove(filepath.Join(b.Dir, name)); err != nil {
		b.t.Fatalf("delete manifests: %v", err)
	}
	for _, p := range b.apply() {
		b.t.Errorf("%s", p)
	}
}

// apply goes from the folder to the server. With a mistake in any file the server keeps what it has.
func (b *Bed) apply() []view.Problem {
	b.t.Helper()
	_, all, good := b.folder.Load(time.Now())
	if !good {
		return slices.DeleteFunc(all, func(p view.Problem) bool { return !p.Holds() })
	}
	b.result = translate.Build(b.folder.View, b.options, b.result)
	err := b.Server.Apply(b.result.Snapshot)
	switch {
	case b.ExpectApplyError != nil && !b.ExpectApplyError(err):
		b.t.Errorf("apply: %v is not the error expected", err)
	case b.ExpectApplyError == nil && err != nil:
		b.t.Errorf("apply: %v", err)
	}
	return nil
}

// GatewayPort returns the port that is bound for a port, TCP or UDP, of a Gateway in the namespace "default".
func (b *Bed) GatewayPort(name string, port int32) uint16 {
	bound, _ := b.placement.Port(types.NamespacedName{Namespace: "default", Name: name}, port, corev1.ProtocolTCP)
	return bound
}

// Snapshot returns what is served now.
func (b *Bed) Snapshot() *proxy.Snapshot { return b.Server.Snapshot() }

// Report returns the statuses and Events of the latest build, as text.
func (b *Bed) Report() string { return b.result.Report.String() }

// lines keeps what the access log writes.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.text.String(), "\n"), "\n")
}

// LogLine waits for a line of the access log that contains part, and returns it.
func (b *Bed) LogLine(part string) string {
	b.t.Helper()
	var found string
	b.Eventually("a line of the access log with "+part, func() bool {
		for _, line := range b.lines.all() {
			if strings.Contains(line, part) {
				found = line
				return true
			}
		}
		return false
	})
	return found
}

// patience bounds the wait for what must happen soon. Only a failing test waits that long.
const patience = time.Minute

// Eventually waits until ok returns true; what says what it waits for.
func (b *Bed) Eventually(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			b.t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}
