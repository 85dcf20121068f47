// Package datadogtest is the part of Datadog's API that assets are installed
// through, for tests: log pipelines, dashboards, monitors and detection rules of
// one organisation, over HTTP.
//
// It promises to answer as the API is documented to, or known from Datadog's own
// client and Terraform provider to: with fields that the server adds, ids of its
// own, paging, sorted tags, its reasons for 400, 403, 404 and 429, and with
// faults that a test asks for. It stores everything in memory, checks neither
// queries nor widgets, and shares no code with what talks to it.
package datadogtest
