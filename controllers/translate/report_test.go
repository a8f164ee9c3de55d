package translate_test

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/controllers/translate"
	"github.com/breakwater-gateway/breakwater/controllers/view"
)

// TestTheReportNamesTheAddresses: a new leader looks for them in the statuses of Ingresses that are not ours.
func TestTheReportNamesTheAddresses(t *testing.T) {
	v, o := view.New(), testOptions()
	first := translate.Build(v, o, nil)
	o.Addresses = []string{"203.0.113.9", "lb.example.com"}
	second := translate.Build(v, o, first)
	if a := first.Report.LoadBalancer; len(a) != 1 || a[0].IP != "203.0.113.1" {
		t.Errorf("addresses %v", a)
	}
	if a := second.Report.LoadBalancer; len(a) != 2 || a[0].IP != "203.0.113.9" || a[1].Hostname != "lb.example.com" {
		t.Errorf("addresses %v", a)
	}
}
