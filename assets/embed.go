// Package assets carries into the program what lies beside it and is looked at or
// installed in Datadog: log pipelines, dashboards, monitors and detection rules,
// in the layout of integrations-core. It promises their bytes, and reads nothing
// into them.
package assets

import "embed"

// Files are the assets, by their paths below this folder: dashboards/*.json,
// monitors/*.json, security/*.json with the text of each rule in *.md, and
// logs/*.yaml, the pipelines, beside each its samples in <source>_tests.yaml.
//
//go:embed dashboards/*.json monitors/*.json security/*.json security/*.md logs/*.yaml
var Files embed.FS
