// Package test drives the built weir from outside, with real programs at both ends.
package test
