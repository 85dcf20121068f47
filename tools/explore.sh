#!/usr/bin/env bash
# Lets the worlds of internal/explore live, as the flags say: see docs/explore.md.
# The state of each lies in memory where there is such a file system: a sync of it
# proves nothing here, and would take most of the time.
set -euo pipefail

mkdir -p bin
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ]; then
	TMPDIR=$(mktemp -d /dev/shm/explore.XXXXXX)
	trap 'rm -rf "$TMPDIR"' EXIT
	export TMPDIR
fi
args=()
for arg in "$@"; do
	case $arg in bin/*) arg=$PWD/$arg ;; esac # the test runs in its own folder
	args+=("$arg")
done
go test -count 1 -timeout 0 -v -run '^TestExplore$' ./internal/explore "${args[@]}" | grep -Ev '^=== (RUN|PAUSE|CONT|NAME)'
