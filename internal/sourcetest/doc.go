// Package sourcetest is every kind of source that records come from, each over a
// simulated Atlassian and through the real client, and a comparison of what such a
// site held with what a spool holds: what is lost, repeated or changed.
//
// It is for the tests of what stands above the client. It promises that a record is
// told from every other one by what it says, whatever the client made of it; it
// collects nothing itself, and keeps no disk.
package sourcetest
