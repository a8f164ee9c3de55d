package router

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy"
)

func TestExplainAgreesWithMatch(t *testing.T) {
	for seed := range uint64(60) {
		g := newGenerator(seed)
		table, err := Compile(nil, g.listeners(), itself)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			r := g.request()
			route, listener, ok := table.Match(r)
			e := table.Explain(r)
			var selected []proxy.RouteID
			for _, c := range e.Candidates {
				if c.Reason == "" || c.Match == "" {
					t.Fatalf("seed %d: candidate without words: %+v", seed, c)
				}
				if c.Verdict == Selected {
					selected = append(selected, c.Route)
				}
			}
			if (listener != nil) != (e.Listener != "") || ok != (len(selected) == 1) || ok && selected[0] != route.ID {
				t.Fatalf("seed %d: Match found %v, Explain says\n%s", seed, route, e)
			}
		}
	}
}

func shopListener() *proxy.Listener {
	id := func(name string, rule, match int) proxy.RouteID {
		return proxy.RouteID{Object: proxy.ObjectID{Kind: "HTTPRoute", Namespace: "shop", Name: name}, Rule: rule, Match: match}
	}
	return &proxy.Listener{
		ID:       proxy.ListenerID{Object: proxy.ObjectID{Kind: "Gateway", Namespace: "infra", Name: "web"}, Section: "http"},
		Hostname: "*.example.com",
		Hosts: []*proxy.Host{
			{Name: "shop.example.com", Routes: []*proxy.Route{
				{ID: id("cart", 0, 0), Match: proxy.Match{Path: proxy.PathMatch{Value: "/cart"}}},
				{ID: id("cart", 0, 1), Match: proxy.Match{Path: proxy.PathMatch{Value: "/cart"}, Method: "POST"}},
				{ID: id("cart", 1, 0), Match: proxy.Match{Path: proxy.PathMatch{Value: "/cart"},
					Headers: []proxy.ValueMatch{{Name: "X-Beta", Value: "yes"}}}},
				{ID: id("other", 0, 0), Match: proxy.Match{Path: proxy.PathMatch{Type: proxy.PathExact, Value: "/other"}}},
				{ID: id("shop", 0, 0)},
			}},
			{Name: "*.example.com", Routes: []*proxy.Route{{ID: id("wild", 0, 0)}}},
		},
		Default: &proxy.Route{ID: proxy.RouteID{Object: proxy.ObjectID{Kind: "Ingress", Namespace: "s", Name: "web"}, Rule: -1}},
	}
}

const shopExplanation = `request   GET shop.example.com/cart/1
listener  Gateway/infra/web:http (*.example.com)
result    route HTTPRoute/shop/cart/0, match 0

    ROUTE                     HOST              MATCH                                    VERDICT    REASON
    HTTPRoute/shop/other/0#0  shop.example.com  exact "/other"                           no match   the path is not exactly "/other"
    HTTPRoute/shop/cart/0#1   shop.example.com  prefix "/cart", method "POST"            no match   the method is not "POST"
    HTTPRoute/shop/cart/1#0   shop.example.com  prefix "/cart", header "X-Beta" = "yes"  no match   there is no header "X-Beta"
->  HTTPRoute/shop/cart/0#0   shop.example.com  prefix "/cart"                           selected   it matches and takes precedence over all that follow
    HTTPRoute/shop/shop/0#0   shop.example.com  prefix "/"                               outranked  it matches, but the selected route takes precedence
    HTTPRoute/shop/wild/0#0   *.example.com     prefix "/"                               not tried  a more specific host was chosen, and its choice is final on this listener
    Ingress/s/web/default#0   default           everything                               outranked  it serves only what no other route matches
`

func TestExplanationReadsWell(t *testing.T) {
	table := compile(t, shopListener())
	got := table.Explain(request("GET", "shop.example.com", "/cart/1")).String()
	if got != shopExplanation {
		t.Errorf("got\n%s\nwant\n%s", got, shopExplanation)
	}
}

func TestExplanationSurvivesJSON(t *testing.T) {
	e := compile(t, shopListener()).Explain(request("GET", "shop.example.com", "/cart/1"))
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Explanation
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(e, back) {
		t.Errorf("%v\n%+v\n%+v", err, e, back)
	}
}

func TestExplainWithoutListener(t *testing.T) {
	e := compile(t, shopListener()).Explain(request("GET", "elsewhere.org", "/"))
	if e.Listener != "" || !strings.Contains(e.Summary, "no listener") || !strings.Contains(e.String(), "404") {
		t.Errorf("%+v", e)
	}
}

func TestExplainKeepsListShort(t *testing.T) {
	h := &proxy.Host{}
	for i := range 1000 {
		h.Routes = append(h.Routes, &proxy.Route{
			ID:    proxy.RouteID{Rule: i},
			Match: proxy.Match{Path: proxy.PathMatch{Value: fmt.Sprintf("/path/%03d", i)}},
		})
	}
	e := compile(t, &proxy.Listener{Hosts: []*proxy.Host{h}}).Explain(request("GET", "a", "/path/999"))
	if len(e.Candidates) != maxOthers+1 || e.Omitted != 1000-maxOthers-1 {
		t.Errorf("%d candidates, %d omitted", len(e.Candidates), e.Omitted)
	}
	if last := e.Candidates[maxOthers]; last.Verdict != Selected || last.Route.Rule != 999 {
		t.Errorf("last candidate: %+v", last)
	}
}

func TestExplanationCannotSteerTerminal(t *testing.T) {
	l := &proxy.Listener{Hosts: []*proxy.Host{{Routes: []*proxy.Route{
		{Match: proxy.Match{Method: "\x1b[2J", Headers: []proxy.ValueMatch{{Name: "a", Value: "\x1b[31m"}}}, Invalid: "\x1b"},
		{Invalid: "\x1b[0m\u009b"},
	}}}}
	text := compile(t, l).Explain(request("\x1b[2J", "a", "/\x1b")).String()
	if strings.ContainsAny(text, "\x1b\u009b") {
		t.Errorf("%q", text)
	}
}
