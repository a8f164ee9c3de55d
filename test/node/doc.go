// Package node tests Breakwater as a user installs it: "kubectl apply -k" of what config/ holds, on a real Kubernetes node with
// kubelet, containerd, kube-proxy and the control plane, in pods that are made from static binaries of this tree.
//
// It has tests only, for Linux, with the rights of root, and they run only when asked for ("make test-node"):
//
//	apt-get install -y --no-install-recommends runc containernetworking-plugins nftables iproute2
//	cd test/node && BREAKWATER_TEST_NODE=1 go test -v -timeout 60m .
//
// The programs of Kubernetes and containerd are built from the Go modules that go.mod and containerd/go.mod pin, once, into the
// cache folder; that takes ten minutes on two processors. No image is pulled and nothing outside is talked to after that. The node
// is ready in ten seconds, and the tests take five minutes.
//
// The node is a tree of processes in namespaces of its own for processes, mounts and network, with /run and /var/log of its
// own: nothing of it can meet anything else on the machine, and all of it is gone when the test ends, however that happens.
// The first process in there is the test itself (TestMain starts itself once more), so that tests reach pods and Services. Only
// control groups are the machine's, below one named for the test.
//
// There is no DNS in it, and no load balancer: tests say which address a Service has got (balance), and kube-proxy serves it.
// "-args -hold" keeps the node and says how to look around in it.
package node
