package peer

import (
	"fmt"
	"net"
)

// oneRoute is the manifest of the common job: every path of Host goes to the backend.
func oneRoute(backend string) (string, error) {
	address, port, err := net.SplitHostPort(backend)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: breakwater
spec:
  controller: breakwater-gateway.io/controller
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: bench
  namespace: default
spec:
  ingressClassName: breakwater
  rules:
  - host: %s
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: backend
            port:
              number: 80
---
apiVersion: v1
kind: Service
metadata:
  name: backend
  namespace: default
spec:
  clusterIP: 10.96.0.10
  ports:
  - name: http
    port: 80
    targetPort: %s
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: backend-1
  namespace: default
  labels:
    kubernetes.io/service-name: backend
addressType: IPv4
ports:
- name: http
  port: %s
  protocol: TCP
endpoints:
- addresses: ["%s"]
  conditions:
    ready: true
    serving: true
    terminating: false
`, Host, port, port, address), nil
}
