#!/usr/bin/env bash
# Runs the tests of every package that has properties with CHECKS cases each
# instead of the hundred of an ordinary run.
set -euo pipefail

uses='{{range .TestImports}}{{if eq . "pgregory.net/rapid"}}{{$.ImportPath}}{{"\n"}}{{end}}{{end}}{{range .XTestImports}}{{if eq . "pgregory.net/rapid"}}{{$.ImportPath}}{{"\n"}}{{end}}{{end}}'
packages=$(go list -f "$uses" ./... | sort -u)
if [ -z "$packages" ]; then
	echo "properties: no package imports pgregory.net/rapid" >&2
	exit 1
fi
echo "$packages" | xargs -I{} go test -count=1 -timeout 3h {} -rapid.checks="${CHECKS:-10000}"
