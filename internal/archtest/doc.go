// Package archtest holds the test of which package may import which. It
// promises that the arrows drawn in docs/architecture.md are those of the code:
//
//	cmd -> check -> {collect, atlassian, auth, state, spool, agent} -> audit
//
// and that each of them says why it does not turn round. It looks at imports
// and at a few names of the standard library, on every platform that is built
// for; it says nothing about how well the packages do their work.
package archtest
