// Package crd holds the definitions of our custom resources, for those who check objects without an API server. It is data
// and may be read by any number of goroutines.
package crd

import _ "embed" // for NetworkChaos

// NetworkChaos is the definition of NetworkChaos, as YAML.
//
//go:embed breakwater-gateway.io_networkchaos.yaml
var NetworkChaos []byte
