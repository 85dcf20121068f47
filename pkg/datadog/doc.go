// Package datadog puts assets (log pipelines, dashboards, monitors, detection
// rules) into an organisation of Datadog's, and takes them out again.
//
// It promises to touch only what it owns. Each thing that it makes bears a mark:
// in the description of a dashboard, in the tags of anything else. The mark names
// the asset and seals the title, so that neither a copy under another title nor
// something that a person renamed is taken for ours; where a copy has the same
// title, the oldest is ours. Nothing else is ever changed or removed, whatever it
// is called.
//
// It promises to be idempotent: what is as the assets say is left alone, what
// Datadog adds by itself is no difference, and a run that was cut short is
// finished by the next. What people set (whether a rule or pipeline is enabled,
// whom a rule notifies, who may edit a dashboard) is kept.
//
// It does not watch, does not lock against another one at the same time, and does
// not know what an organisation's plan contains.
package datadog
