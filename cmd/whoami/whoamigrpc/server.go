// Package whoamigrpc adds the gRPC service whoami.Whoami to the whoami backend, on the port that serves everything else.
// It is apart from package whoami so that programs which embed the backend do not link gRPC.
//
// whoami.pb.go and whoami_grpc.pb.go are generated from whoami.proto by "make generate".
package whoamigrpc

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
)

// Handler answers gRPC requests itself and hands all others to a whoami.Handler. It may be used by any number of
// goroutines at once.
type Handler struct {
	next *whoami.Handler
	grpc *grpc.Server
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler before next.
func New(next *whoami.Handler) *Handler {
	h := &Handler{next: next, grpc: grpc.NewServer()}
	RegisterWhoamiServer(h.grpc, service{whoami: next})
	return h
}

// ServeHTTP serves gRPC over HTTP/2, which has "application/grpc" as its content type or the beginning of it. Other
// requests go on, and so does gRPC over HTTP/1, which does not exist.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		h.grpc.ServeHTTP(w, r)
		return
	}
	h.next.ServeHTTP(w, r)
}

// Close ends all calls. No request may be served after it.
func (h *Handler) Close() { h.grpc.Stop() }

type service struct {
	UnimplementedWhoamiServer
	whoami *whoami.Handler
}

// Bench answers 1.
func (service) Bench(context.Context, *BenchRequest) (*BenchReply, error) {
	return &BenchReply{Data: 1}, nil
}

// Whoami answers what the text form begins with.
func (s service) Whoami(context.Context, *WhoamiRequest) (*WhoamiReply, error) {
	return &WhoamiReply{Name: s.whoami.Name(), Hostname: s.whoami.Hostname(), Iface: s.whoami.Addresses()}, nil
}
