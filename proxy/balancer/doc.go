// Package balancer holds the policies that choose an Endpoint of a Backend, one file each, and the choice of a Backend
// by weight.
//
// A policy is a comparable value; New makes its Picker for one set of Endpoints. Pickers are called by any number of
// goroutines at once, do not lock and do not allocate. A new policy is one file and one line in All.
package balancer
