package authority

import "testing"

func TestKnown(t *testing.T) {
	names := NewNames("Ops.Example.com")
	for authority, want := range map[string]bool{
		"localhost": true, "localhost:9901": true, "LocalHost:9901": true, "127.0.0.1": true, "192.0.2.1:9901": true, "[::1]": true,
		"[::1]:9901": true, "[fe80::1%eth0]:9901": true, "ops.example.com:9901": true, "OPS.example.com": true,
		"": false, ":9901": false, "page.example.com:9901": false, "localhost.example.com": false, "127.0.0.1.example.com": false,
	} {
		if got := names.Known(authority); got != want {
			t.Errorf("%q: %v", authority, got)
		}
	}
}
