// Package assets carries the dashboards and log pipelines that lie beside it
// into the program. It promises their bytes, and reads nothing into them.
package assets

import "embed"

// Dashboards holds dashboards/*.json.
//
//go:embed dashboards/*.json
var Dashboards embed.FS

// Pipelines holds the pipelines of logs/*.yaml, without their samples.
//
//go:embed logs/*-records.yaml
var Pipelines embed.FS
