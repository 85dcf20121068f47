// Package agent holds what the check knows of the Datadog Agent on whose
// machine it runs: where things are, whose they are, whether the process that
// started us is still there, and what it remembers of the files it has read.
//
// It makes folders safe before anything is written to them, and refuses what
// others could have prepared. Of the Agent's configuration it reads what concerns
// the check. It starts nothing and talks to no Agent.
package agent
