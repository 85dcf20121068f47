// Package sharedtest helps to test what shares a site: a store in memory, and the
// suite that each kind of store must pass.
package sharedtest
