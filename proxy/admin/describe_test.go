package admin_test

import (
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/breakwater-gateway/breakwater/proxy/balancer"
	"github.com/breakwater-gateway/breakwater/proxy/filter"
)

// hash stands for a Balancer that has fields.
type hash struct{ Header string }

func (hash) New([]proxy.Target, func() uint64) proxy.Picker { return nil }

func TestFiltersAreDescribed(t *testing.T) {
	for want, f := range map[string]proxy.Filter{
		"redirect scheme=https hostname=cart.example.com listenerPort=80 status=302": filter.Redirect{
			Scheme: "https", Hostname: "cart.example.com", ListenerPort: 80, Status: 302},
		"redirect":                          filter.Redirect{},
		"rewrite path={mode=ReplacePrefix}": filter.Rewrite{Path: filter.Path{Mode: filter.ReplacePrefix}},
		"rewrite hostname=a.b path={mode=ReplaceFullPath value=/v2}": &filter.Rewrite{
			Hostname: "a.b", Path: filter.Path{Mode: filter.ReplaceFullPath, Value: "/v2"}},
		`requestHeaders set=[{name=A value="b c"} {name=D}] remove=[E F]`: filter.RequestHeaders{
			Set: []filter.Field{{Name: "A", Value: "b c"}, {Name: "D"}}, Add: []filter.Field{}, Remove: []string{"E", "F"}},
		`responseHeaders remove=["" "a]" "b}" "\"c" "d=e" "\n  filter forged" "\x1b[2J" é]`: filter.ResponseHeaders{
			Remove: []string{"", "a]", "b}", `"c`, "d=e", "\n  filter forged", "\x1b[2J", "é"}},
	} {
		s := snapshot()
		s.Listeners[0].Hosts[0].Routes[0].Filters = []proxy.Filter{f}
		var got strings.Builder
		if err := admin.WriteText(&got, s, ""); err != nil || !strings.Contains(got.String(), "\n      filter "+want+"\n") {
			t.Errorf("%v: no %q in\n%s", err, want, got.String())
		}
	}
}

// A Balancer goes by the name that the list gives it; another one is not passed over in silence.
func TestBalancersAreDescribed(t *testing.T) {
	for want, b := range map[string]proxy.Balancer{
		"RoundRobin": nil, "LeastRequest": balancer.LeastRequest{}, "Random": balancer.Random{}, "admin_test.hash{Header:X-User}": hash{"X-User"},
	} {
		s := snapshot()
		for _, one := range s.Backends {
			one.Balancer = b
		}
		var got strings.Builder
		if err := admin.WriteText(&got, s, ""); err != nil || !strings.Contains(got.String(), "  balancer "+want+"\n") {
			t.Errorf("%v: no %q in\n%s", err, want, got.String())
		}
	}
}
