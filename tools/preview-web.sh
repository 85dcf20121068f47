#!/usr/bin/env bash
# Brings what the page of `preview` is made of from npm: the charting library as
# it is published, and the shapes of countries, projected and thinned out. The
# results are committed, so that a build needs neither npm nor the network.
# Needs node and npm. Prints
# the checksums that docs/dependencies.md states.
set -euo pipefail
cd "$(dirname "$0")/.."
web=cmd/atlassian-audit-records/internal/preview/web
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

npm install --silent --no-audit --no-fund --ignore-scripts --no-save --prefix "$work" \
	uplot@1.6.32 world-atlas@2.0.2 topojson-client@3.1.0 d3-geo@3.1.1 i18n-iso-countries@7.14.0
cp "$work/node_modules/uplot/dist/uPlot.iife.min.js" "$web/uplot.min.js"
cp "$work/node_modules/uplot/dist/uPlot.min.css" "$web/uplot.min.css"
cp "$work/node_modules/uplot/LICENSE" "$web/uplot.LICENSE"
cp "$work/node_modules/world-atlas/LICENSE" "$web/world.LICENSE"
cp tools/preview-world.mjs "$work/"
node "$work/preview-world.mjs" > "$web/world.json"
(cd "$web" && sha256sum uplot.min.js uplot.min.css world.json)
