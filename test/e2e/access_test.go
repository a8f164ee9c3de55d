package e2e

import (
	"errors"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/breakwater-gateway/breakwater/controllers/access"
)

// The API for Toxiproxy's clients lets those in who have the role that config/toxiproxy brings, and nobody else.
func TestTokensAreReviewed(t *testing.T) {
	if err := api.apply(t.Context(), []string{"../../config/toxiproxy/rbac.yaml"}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	token := func(name string) string {
		account := &corev1.ServiceAccount{ObjectMeta: w.meta(name)}
		if err := api.Create(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		request := &authenticationv1.TokenRequest{}
		if err := api.SubResource("token").Create(t.Context(), account, request); err != nil {
			t.Fatal(err)
		}
		return request.Status.Token
	}
	tester, stranger := token("tester"), token("stranger")
	binding := &rbacv1.RoleBinding{
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "breakwater-toxiproxy"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: w.ns, Name: "tester"}},
	}
	binding.Namespace, binding.Name = systemNamespace, "tester-"+w.ns
	if err := api.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	config := api.serviceAccount(t)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	reviewer := access.NewReviewer(client, authorizationv1.ResourceAttributes{
		Namespace: systemNamespace, Group: "breakwater-gateway.io", Resource: "toxiproxies",
	})
	eventually(t, "the role is in force", func() error {
		_, err := access.NewReviewer(client, authorizationv1.ResourceAttributes{
			Namespace: systemNamespace, Group: "breakwater-gateway.io", Resource: "toxiproxies",
		}).Review(t.Context(), tester, "get")
		return err
	})
	for _, verb := range []string{"get", "update", "get"} { // the third answer is remembered
		if user, err := reviewer.Review(t.Context(), tester, verb); err != nil || user != "system:serviceaccount:"+w.ns+":tester" {
			t.Errorf("%s: %q, %v", verb, user, err)
		}
	}
	if _, err := reviewer.Review(t.Context(), stranger, "get"); !errors.Is(err, access.ErrForbidden) ||
		!strings.Contains(err.Error(), "stranger may not get toxiproxies.breakwater-gateway.io in namespace") {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := reviewer.Review(t.Context(), "nonsense", "get"); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("an invalid token: %v", err)
	}
	if _, err := reviewer.Review(t.Context(), tester, "delete"); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("a verb that is not granted: %v", err)
	}
}
