// Command comparison gives the same scripted stretches of a site's life to this
// check and to collectors of others, and counts what each of them lost, repeated,
// asked for and used.
//
// It promises that all of them meet the same records, faults and moments: the
// site is simulated (pkg/atlassian/atlassiantest), each collector runs in
// processes of its own on its own schedule, and the clock of every one of them is
// that of the script. What counts as delivered is what a collector handed on: a
// line in the spool or in a file, a request to Log Analytics, an event for Splunk.
//
// It does not hold the others' code. A reader fetches their scripts, and
// tools/comparison/shim.py stands in for what they need around them. It does not
// measure a machine: CPU and memory are those of the collectors' processes alone.
package main
