#!/usr/bin/env bash
# Tests what tools/native-all.sh has built, the library for this machine also in a
# process that looks at every access to memory. Needs a C compiler, and Linux.
# Flags go to go test.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "$(go env GOOS)" != linux ] || ! command -v cc >/dev/null; then
	echo "native: its tests are left out: they need Linux and a C compiler" >&2
	exit 0
fi
export CGO_ENABLED=1
NATIVE_LIBRARIES=$(find "$PWD/bin" -name 'libdatadog-agent-*' | tr '\n' ' ')
export NATIVE_LIBRARIES
export ATLASSIAN_AUDIT_RECORDS_PROGRAM=$PWD/bin/atlassian-audit-records
# The tests build from files that go test does not know of, so its cached results do not count.
go test -C adapters/native -count 1 -timeout 20m "$@" ./...
NATIVE_SANITIZE=address go test -C adapters/native -count 1 -timeout 20m "$@" ./...
