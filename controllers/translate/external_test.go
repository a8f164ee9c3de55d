package translate_test

import (
	"fmt"
	"testing"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// TestExternalAddressIsCheckedLikeAName: a name is checked when it is dialled, so that nothing leads to this host itself. That an
// address stands in the place of the name must not be a way around it.
func TestExternalAddressIsCheckedLikeAName(t *testing.T) {
	for _, name := range []string{"example.org", "127.0.0.1", "169.254.169.254"} {
		v := view.New()
		for _, d := range view.Parse("", []byte(sharingObjects)) {
			v.Set(d.Object)
		}
		service := fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: ExternalName, externalName: %s}}", name)
		for _, d := range view.Parse("", []byte(service)) {
			v.Set(d.Object)
		}
		o := testOptions()
		o.AllowExternalName = true
		found := 0
		for id, b := range translate.Build(v, o, nil).Snapshot.Backends {
			for _, e := range b.Endpoints {
				if found++; e.Hostname != name {
					t.Errorf("%s of %s would be dialled unchecked: %+v", id, name, e)
				}
			}
		}
		if found == 0 {
			t.Errorf("%s: no endpoint", name)
		}
	}
}
