package whoamigrpc_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoami"
	"github.com/breakwater-gateway/breakwater/cmd/whoami/whoamigrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves gRPC and HTTP on one loopback port until the test ends.
func start(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := whoamigrpc.New(whoami.New(whoami.Options{Name: "foo", Hostname: "host-1", Addresses: []string{"192.0.2.7"}}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- whoami.Serve(ctx, listener, whoami.ServeOptions{Handler: handler}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		handler.Close()
	})
	return listener.Addr().String()
}

func TestServiceAnswersARealClient(t *testing.T) {
	conn, err := grpc.NewClient(start(t), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := whoamigrpc.NewWhoamiClient(conn)
	if reply, err := client.Bench(ctx, &whoamigrpc.BenchRequest{}); err != nil || reply.Data != 1 {
		t.Errorf("Bench: %v, %v", reply, err)
	}
	reply, err := client.Whoami(ctx, &whoamigrpc.WhoamiRequest{})
	if err != nil || reply.Name != "foo" || reply.Hostname != "host-1" || fmt.Sprint(reply.Iface) != "[192.0.2.7]" {
		t.Errorf("Whoami: %v, %v", reply, err)
	}
	err = conn.Invoke(ctx, "/whoami.Whoami/Nothing", &whoamigrpc.BenchRequest{}, &whoamigrpc.BenchReply{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("unknown method: %v", err)
	}
}

// The names and numbers on the wire are the contract; the Go names are not.
func TestWireForm(t *testing.T) {
	if whoamigrpc.Whoami_Whoami_FullMethodName != "/whoami.Whoami/Whoami" || whoamigrpc.Whoami_Bench_FullMethodName != "/whoami.Whoami/Bench" {
		t.Error("method names differ from the contract")
	}
	fields := (&whoamigrpc.WhoamiReply{}).ProtoReflect().Descriptor().Fields()
	for number, name := range map[int]string{1: "name", 2: "hostname", 3: "iface"} {
		if field := fields.ByName(protoreflect.Name(name)); field == nil || int(field.Number()) != number {
			t.Errorf("field %d is not %s", number, name)
		}
	}
}

func TestOtherRequestsGoOn(t *testing.T) {
	address := start(t)
	for _, test := range []struct {
		http2 bool
		kind  string
	}{{false, "application/grpc"}, {true, "application/json"}, {true, ""}} {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(!test.http2)
		transport.Protocols.SetUnencryptedHTTP2(test.http2)
		response, err := (&http.Client{Transport: transport}).Post("http://"+address+"/bench", test.kind, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		transport.CloseIdleConnections()
		if response.StatusCode != 200 || response.Header.Get(whoami.InstanceHeader) != "host-1" {
			t.Errorf("%+v: %d %v", test, response.StatusCode, response.Header)
		}
	}
}
