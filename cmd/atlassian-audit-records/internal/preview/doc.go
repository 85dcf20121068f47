// Package preview draws the dashboards of assets/ over log lines into one HTML
// page, for a person who has no Datadog at hand.
//
// It promises that the page is whole: script, style, shapes of countries and
// data are in it, and its content security policy forbids it any network. A
// widget that cannot be drawn from what there is says why in its place, and is
// never left out or filled in.
//
// It is not Datadog: internal/assettest evaluates queries and says where it
// differs. Template variables are chosen when the page is made, not in it.
package preview
