// Package assets carries the dashboards and log pipelines that lie beside it
// into the program. It promises their bytes, and reads nothing into them.
package assets

import "embed"

// Dashboards holds dashboards/*.json.
//
//go:embed dashboards/*.json
var Dashboards embed.FS

// Pipelines holds logs/*.yaml: the pipelines, and beside each its samples in
// <source>_tests.yaml.
//
//go:embed logs/*.yaml
var Pipelines embed.FS
