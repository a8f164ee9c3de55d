package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-gateway/breakwater/proxy"
	"github.com/breakwater-gateway/breakwater/proxy/admin"
	"github.com/breakwater-gateway/breakwater/proxy/balancer"
	"github.com/breakwater-gateway/breakwater/proxy/filter"
)

// limit stands for a Filter of all that fields may be.
type limit struct {
	URLPrefix string
	GRPC      bool
	After     time.Duration
	Below     *filter.Field
	Any       any
	secret    string
}

func (limit) New() proxy.Step { return nil }

// hash stands for a Balancer that has fields.
type hash struct{ Header string }

func (hash) New([]proxy.Target) proxy.Picker { return nil }

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
		"limit urlPrefix=/a grpc=true after=1.5s below={name=B} any=7": limit{"/a", true, 1500 * time.Millisecond, &filter.Field{Name: "B"}, 7, "hunter2"},
	} {
		s := snapshot()
		s.Listeners[0].Hosts[0].Routes[0].Filters = []proxy.Filter{f}
		var got strings.Builder
		if err := admin.WriteText(&got, s, ""); err != nil || !strings.Contains(got.String(), "\n      filter "+want+"\n") {
			t.Errorf("%v: no %q in\n%s", err, want, got.String())
		}
	}
}

// Balancers are called as the default one is.
func TestBalancersAreDescribed(t *testing.T) {
	for want, b := range map[string]proxy.Balancer{
		"RoundRobin": nil, "LeastRequest": balancer.LeastRequest{}, "Random": balancer.Random{}, "hash header=X-User": hash{"X-User"},
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
