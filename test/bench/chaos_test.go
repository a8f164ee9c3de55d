package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnExperimentMustMatchAndTouchNothing(t *testing.T) {
	for _, test := range []struct {
		matched, injected string
		ok                bool
	}{{"5", "0", true}, {"1e+06", "0", true}, {"0", "0", false}, {"5", "1", false}, {"", "", false}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "# TYPE other counter")
			if test.matched != "" {
				fmt.Fprintf(w, "breakwater_chaos_matched_total{experiment=\"default/bench\"} %s\n", test.matched)
				fmt.Fprintf(w, "breakwater_chaos_injected_total{experiment=\"default/bench\"} %s\n", test.injected)
			}
		}))
		if err := matches(t.Context(), strings.TrimPrefix(server.URL, "http://")); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
		server.Close()
	}
}
