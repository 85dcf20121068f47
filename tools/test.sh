#!/usr/bin/env bash
# Runs go test on the packages named, with the race detector where the machine
# can build it: that takes a C compiler.
set -euo pipefail

if CGO_ENABLED=1 go build -race -o /dev/null runtime/cgo >/dev/null 2>&1; then
	CGO_ENABLED=1 exec go test -race -timeout 20m "$@"
fi
echo "test: no C compiler here, so the race detector is left out" >&2
exec go test -timeout 20m "$@"
