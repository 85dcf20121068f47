#!/usr/bin/env bash
# The whole day of internal/soak. Its files lie in memory where there is such a file
# system with room for them, some 500 MiB: two gigabytes are written and synced.
set -euo pipefail

if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "$(df -Pk /dev/shm | awk 'NR == 2 {print $4}')" -gt 1500000 ]; then
	TMPDIR=$(mktemp -d /dev/shm/soak.XXXXXX)
	trap 'rm -rf "$TMPDIR"' EXIT
	export TMPDIR
fi
go test -count 1 -timeout 90m -v ./internal/soak -soak.records "${RECORDS:-2000000}" -soak.length 24h
