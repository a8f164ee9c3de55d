package arch

// ImportRule forbids imports. Packages of this module are named relative to it ("proxy/http1"), others by their import
// path; a final "/..." stands for the package and everything below.
type ImportRule struct {
	From      []string // the importing packages
	Forbidden []string // what they must not import; "!std" is everything outside the standard library
	Allowed   []string // excepted from Forbidden
	Deep      bool     // also through other packages
	Tests     bool     // also in test files
	Reason    string
}

// Siblings are packages that never import each other.
type Siblings struct {
	Parent string
	Names  []string
	Reason string
}

// Exception allows one import that a rule forbids.
type Exception struct{ From, To, Reason string }

// clientPackages reach a cluster, a clock, a logger or the process; pure packages do without.
var clientPackages = []string{
	"context", "log", "log/slog", "log/syslog", "net/http/...", "os/...", "math/rand/...", "crypto/rand",
	"github.com/go-logr/...", "k8s.io/klog/...", "go.uber.org/zap/...",
	"k8s.io/client-go/...", "sigs.k8s.io/controller-runtime/...", "sigs.k8s.io/gateway-api/pkg/client/...",
}

// ImportRules are the forbidden imports.
var ImportRules = []ImportRule{
	{
		From: []string{"proxy"}, Forbidden: []string{"!std"}, Allowed: []string{"proxy/shape"},
		Reason: "the vocabulary of the data plane must be readable and usable without anything else but numbers over time",
	},
	{
		From: []string{"proxy/..."}, Forbidden: []string{"k8s.io/...", "sigs.k8s.io/...", "api/...", "controllers/..."},
		Deep: true, Tests: true,
		Reason: "the data plane does not know Kubernetes: it can be built, tested and reused without it",
	},
	{
		From:      []string{"proxy/...", "controllers/...", "api/..."},
		Forbidden: []string{"cmd/...", "test/..."},
		Reason:    "cmd and test stand above everything and nothing stands on them",
	},
	{
		From:      []string{"controllers/translate/..."},
		Forbidden: clientPackages,
		Reason:    "translation is a pure function of a View: no client, context, clock, logger, randomness or process state",
	},
	{
		From:      []string{"controllers/...", "api/..."},
		Forbidden: []string{"proxy/..."}, Allowed: []string{"proxy", "proxy/field", "proxy/filter", "proxy/balancer", "proxy/toxic", "proxy/fault", "proxy/shape"},
		Reason: "controllers see the data plane as one call that takes a proxy.Snapshot; only the plain values in it may be named",
	},
	{
		From:      []string{"controllers", "controllers/view/...", "controllers/status/...", "controllers/queue/...", "api/..."},
		Forbidden: []string{"proxy/filter/...", "proxy/balancer/...", "proxy/toxic/...", "proxy/fault/..."},
		Reason:    "only translation writes the values of a Snapshot",
	},
	{
		From: []string{"api/..."}, Forbidden: []string{"proxy/...", "controllers/..."},
		Reason: "API types carry no logic",
	},
	{
		From: []string{"proxy/...", "cmd/breakwater/..."}, Forbidden: []string{"reflect"},
		Reason: "what a value says and does is written beside its type, where the compiler asks for it",
	},
	{
		From:      []string{"cmd/whoami/whoami"},
		Forbidden: []string{"google.golang.org/...", "k8s.io/...", "sigs.k8s.io/...", "proxy/...", "controllers/...", "api/..."},
		Deep:      true,
		Reason:    "the backend is embedded in the demo: it must not bring gRPC, and must not share code with what it tests",
	},
}

// SiblingRules keep neighbours apart.
var SiblingRules = []Siblings{
	{
		Parent: "proxy", Names: []string{"router", "filter", "balancer", "toxic", "fault", "http1"},
		Reason: "parts of the data plane meet in proxy/server, through the vocabulary only",
	},
	{
		Parent: "controllers/translate", Names: []string{"ingress", "gateway", "chaos"},
		Reason: "each API is translated on its own; what they share is in translate/backend",
	},
}

// Exceptions to the rules above.
var Exceptions = []Exception{}

// BannedNames are package names that say nothing of what is inside.
var BannedNames = []string{"util", "utils", "common", "helper", "helpers", "types", "manager", "impl", "misc", "shared"}

// PurePackages may neither start goroutines nor ask the time.
var PurePackages = []string{"controllers/translate/..."}

// MaxFileLines is the length from which a file holds a second topic. It is above the 400 lines that the style names, so
// that a file may pass that now and then. Tests and generated files are exempt.
const MaxFileLines = 600
