package field_test

import (
	"testing"

	"github.com/breakwater-gateway/breakwater/proxy/field"
)

func TestIsName(t *testing.T) {
	for s, want := range map[string]bool{
		"X-Id": true, "a": true, "!#$%&'*+-.^_`|~09az": true,
		"": false, "a b": false, "a:": false, "a\r": false, "é": false, "a(": false, "a\x7f": false, "\"a\"": false, "a\x00": false,
	} {
		if got := field.IsName(s); got != want {
			t.Errorf("IsName(%q) = %v", s, got)
		}
	}
}

func TestIsValue(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "a": true, "a b\tc": true, "é": true, "\xff": true,
		" a": false, "a ": false, "\ta": false, "a\r\nb": false, "a\nb": false, "a\x00b": false, "a\x7fb": false,
	} {
		if got := field.IsValue(s); got != want {
			t.Errorf("IsValue(%q) = %v", s, got)
		}
	}
}

func TestIsReserved(t *testing.T) {
	for s, want := range map[string]bool{
		"host": true, "content-length": true, "transfer-encoding": true, "connection": true, "upgrade": true, "te": true,
		"x-id": false, "cookie": false, "": false,
	} {
		if got := field.IsReserved(s); got != want {
			t.Errorf("IsReserved(%q) = %v", s, got)
		}
	}
}

func TestIsMatchable(t *testing.T) {
	for s, want := range map[string]bool{"X-Id": true, "Host": true, "Upgrade": true, "Content-Length": false, "TE": false, "connection": false} {
		if got := field.IsMatchable(s); got != want {
			t.Errorf("IsMatchable(%q) = %v", s, got)
		}
	}
}
