// Package e2e tests the whole of Breakwater against a real API server: objects are created through the API, and requests,
// statuses and Events show what becomes of them. The API server comes from test/cluster; controllers and proxy run in
// the test's process, with the rights that config/rbac gives them.
//
// The first run on a machine builds etcd and kube-apiserver, which takes some minutes.
package e2e
