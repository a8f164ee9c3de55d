// Package splice moves bytes between sockets without taking them out of the kernel, by splice(2) through pipes that are pooled. Only
// Linux has it.
package splice
