// Package check is the check as the Agent sees it: it reads the configuration
// (Parse, ParseFile), speaks the adapters' protocol (ReadRequest, Writer), and
// runs one instance once (Run), which is a short process that may be killed at
// any instant. Failures is the list of all that can go wrong, by code, and
// Diagnose looks for it.
//
// A run, in its order:
//
//  1. The folders are made safe, and each product's state is opened. A state in
//     use means that another run is in progress: that product is left to it.
//  2. The last batch of each product is completed (collect.Open).
//  3. A product that Atlassian asked to leave alone is not asked about anything,
//     nor is a site whose products all are. A full spool pauses all of them.
//  4. The live edges are read first, each product with a fair share of the
//     budget; what is left of it goes to gaps and second readings, in turn.
//  5. What happened becomes service checks, metrics, warnings and one sentence.
//
// It promises that Run always comes back with a Result, whatever fails, and
// that nothing secret is in it. It decides nothing about records: what is read,
// kept and repeated is the business of package collect. It takes no identity
// and ends no process: that is for the commands.
package check
