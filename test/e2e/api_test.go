package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/breakwater-gateway/breakwater/api/v1alpha1"
	"github.com/breakwater-gateway/breakwater/controllers/infrastructure"
)

// namespace that config/ puts Breakwater into.
const systemNamespace = "breakwater-system"

// apiServer is the process of test/cluster.
type apiServer struct {
	command *exec.Cmd
	control io.WriteCloser
	answers *bufio.Scanner

	config *rest.Config // of the administrator
	client.Client

	ports infrastructure.Range
}

// startAPIServer starts an API server and gives it what config/rbac holds.
func startAPIServer() (_ *apiServer, err error) {
	a := &apiServer{command: exec.Command("go", "run", "-C", "../cluster", ".")}
	a.command.Stderr = os.Stderr
	if a.control, err = a.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.answers = bufio.NewScanner(out)
	if err := a.command.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	kubeconfig, err := a.answer()
	if err != nil {
		return nil, err
	}
	if a.config, err = clientcmd.BuildConfigFromFlags("", kubeconfig); err != nil {
		return nil, err
	}
	// With the certificate in memory no goroutine of client-go's watches its files, which could not be ended.
	if err := rest.LoadTLSFiles(a.config); err != nil {
		return nil, err
	}
	a.config.CertFile, a.config.KeyFile = "", ""
	a.config.QPS = -1 // the tests are not what is to be slowed down
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), gatewayv1.Install(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if a.Client, err = client.New(a.config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	system := &corev1.Namespace{}
	system.Name = systemNamespace
	if err := a.Create(context.Background(), system); err != nil {
		return nil, err
	}
	files, err := filepath.Glob("../../config/rbac/*.yaml")
	if err != nil {
		return nil, err
	}
	return a, a.apply(context.Background(), files)
}

// answer reads one line of the process and returns the kubeconfig in it.
func (a *apiServer) answer() (kubeconfig string, err error) {
	if !a.answers.Scan() {
		return "", fmt.Errorf("test/cluster ended: %w", errors.Join(a.answers.Err(), io.ErrUnexpectedEOF))
	}
	var line struct{ Kubeconfig string }
	return line.Kubeconfig, json.Unmarshal(a.answers.Bytes(), &line)
}

// tell has the process carry out a command: "stop" or "start".
func (a *apiServer) tell(t *testing.T, command string) {
	t.Helper()
	if _, err := fmt.Fprintln(a.control, command); err != nil {
		t.Fatal(err)
	}
	if _, err := a.answer(); err != nil {
		t.Fatal(err)
	}
}

// close ends the process.
func (a *apiServer) close() error {
	if a.config != nil {
		if transport, err := rest.HTTPClientFor(a.config); err == nil {
			transport.CloseIdleConnections()
		}
	}
	return errors.Join(a.control.Close(), a.command.Wait())
}

// apply creates the objects in files, but for kustomizations.
func (a *apiServer) apply(ctx context.Context, files []string) error {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			var object unstructured.Unstructured
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if object.Object == nil || object.GetKind() == "Kustomization" {
				continue
			}
			err := a.Create(ctx, &object)
			if apierrors.IsAlreadyExists(err) { // of a run before, by -count
				err = a.Delete(ctx, &object)
				object.SetResourceVersion("")
				err = errors.Join(err, a.Create(ctx, &object))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// hasGatewayAPI reports whether the definitions of Gateway API are installed.
func (a *apiServer) hasGatewayAPI(t *testing.T) bool {
	t.Helper()
	err := a.List(t.Context(), &gatewayv1.HTTPRouteList{})
	if err != nil && !meta.IsNoMatchError(err) {
		t.Fatal(err)
	}
	return err == nil
}

// installGatewayAPI installs the standard channel of the release that go.mod names, unless it is there.
func (a *apiServer) installGatewayAPI(t *testing.T) {
	t.Helper()
	if a.hasGatewayAPI(t) {
		return
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in %s: %v", dir, err)
	}
	if err := a.apply(t.Context(), files); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Gateway API is served", func() error {
		for _, list := range []client.ObjectList{
			&gatewayv1.GatewayClassList{}, &gatewayv1.GatewayList{}, &gatewayv1.HTTPRouteList{}, &gatewayv1.ReferenceGrantList{},
			&gatewayv1.TCPRouteList{}, &gatewayv1.UDPRouteList{},
		} {
			if err := a.List(t.Context(), list); err != nil {
				return err
			}
		}
		return nil
	})
}

// installChaos installs our own definitions, unless they are there.
func (a *apiServer) installChaos(t *testing.T) {
	t.Helper()
	err := a.apply(t.Context(), []string{"../../config/crd/breakwater-gateway.io_networkchaos.yaml"})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	eventually(t, "NetworkChaos is served", func() error { return a.List(t.Context(), &v1alpha1.NetworkChaosList{}) })
}

// codecs read what the API server answers of its own kinds.
func codecs() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	_ = metav1.AddMetaToScheme(scheme)
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}

// serviceAccount returns a configuration with the rights of Breakwater's ServiceAccount and nothing more.
func (a *apiServer) serviceAccount(t *testing.T) *rest.Config {
	t.Helper()
	account := &corev1.ServiceAccount{}
	account.Namespace, account.Name = systemNamespace, "breakwater"
	request := &authenticationv1.TokenRequest{}
	if err := a.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(a.config)
	config.BearerToken = request.Status.Token
	return config
}
