package gateway

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestIntersect(t *testing.T) {
	tests := []struct {
		listener  string
		hostnames []string
		want      []string
	}{
		{"", nil, []string{""}},
		{"*.a", nil, []string{"*.a"}},
		{"", []string{"x.a", "*.b"}, []string{"x.a", "*.b"}},
		{"x.a", []string{"x.a"}, []string{"x.a"}},
		{"x.a", []string{"y.a"}, nil},
		{"x.a", []string{"*.a"}, []string{"x.a"}},
		{"x.a", []string{"*.a", "x.a"}, []string{"x.a"}},
		{"*.a", []string{"x.a", "y.x.a", "a", "xa"}, []string{"x.a", "y.x.a"}},
		{"*.a", []string{"*.b.a", "*.a"}, []string{"*.b.a", "*.a"}},
		{"*.b.a", []string{"*.a"}, []string{"*.b.a"}},
		{"*.b.a", []string{"*.c.a", "b.a"}, nil},
		{"b.a", []string{"*.b.a"}, nil},
		{"", []string{}, nil},
	}
	for _, test := range tests {
		if got := intersect(test.listener, test.hostnames); !slices.Equal(got, test.want) {
			t.Errorf("listener %q, route %q: %q, want %q", test.listener, test.hostnames, got, test.want)
		}
	}
}

func TestOffset(t *testing.T) {
	for port, want := range map[int32]uint16{80: 10080, 1: 10001, 55535: 65535, 55536: 0, 0: 0, -1: 0} {
		got, ok := Offset{Offset: 10000}.Port(types.NamespacedName{}, port, corev1.ProtocolTCP)
		if got != want || ok != (want != 0) {
			t.Errorf("%d is bound at %d, %v, want %d", port, got, ok, want)
		}
	}
}
