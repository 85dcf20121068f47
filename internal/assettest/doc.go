// Package assettest is what Datadog does with our logs, as far as the assets
// need it: pipelines, the log search language, the queries of dashboards and
// the evaluation of detection rules. It lets a test, or a person without a
// Datadog account, see what an asset makes of given log lines.
//
// The command `preview` draws with it what it finds.
//
// It promises to refuse what it does not understand rather than to pass over
// it: an unknown processor, aggregation or operator is an error, so that no
// asset counts as tested because its meaning was not noticed.
//
// It is not Datadog. Written from the documentation, it differs at least in
// these: a search is exact on every attribute, whether or not a facet exists for
// it; addresses are looked up in a made-up table of places; signals are neither
// grouped over time nor rate limited; new values are learned per group from the
// first log on.
package assettest
