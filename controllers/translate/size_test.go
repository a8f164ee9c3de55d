package translate_test

import (
	"fmt"
	"strings"
	"testing"
)

// manyFold returns a Gateway of listeners that cover every name, and an HTTPRoute of 16 hostnames and 128 matches: the most that
// the API allows.
func manyFold(listeners int) string {
	var b strings.Builder
	b.WriteString("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n  gatewayClassName: breakwater\n  listeners:\n")
	for i := range listeners {
		fmt.Fprintf(&b, "  - {name: l%d, port: %d, protocol: HTTP}\n", i, 1000+i)
	}
	b.WriteString("---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n  hostnames: [")
	for i := range 16 {
		fmt.Fprintf(&b, "h%d.example.com, ", i)
	}
	b.WriteString("]\n  rules:\n")
	for i := range 16 {
		b.WriteString("  - matches:\n")
		for j := range 8 {
			fmt.Fprintf(&b, "    - {path: {value: /a%d/b%d}}\n", i, j)
		}
	}
	return b.String()
}

// TestARouteCannotBecomeAnyNumberOfRoutes: matches, hostnames and listeners multiply.
func TestARouteCannotBecomeAnyNumberOfRoutes(t *testing.T) {
	const path = "    prefix /a0/b0 "
	legal := golden(t, []byte(manyFold(8)))
	if n := strings.Count(legal, path); n != 8*16 {
		t.Errorf("with 8 listeners a match is there %d times, want %d", n, 8*16)
	}
	refused := golden(t, []byte(manyFold(64)))
	if strings.Contains(refused, path) {
		t.Error("with 64 listeners it is served")
	}
	if want := `Accepted=False UnsupportedValue: "spec: 128 matches for 1024 hostnames of listeners are too many`; !strings.Contains(refused, want) {
		t.Errorf("no condition says so: %s", refused)
	}
}
