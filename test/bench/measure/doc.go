// Package measure reads what a process costs from Linux's /proc (CPU time, proportional set size) and summarises series
// of figures. It starts nothing and keeps no state; every function may be called concurrently.
package measure
