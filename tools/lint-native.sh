#!/usr/bin/env bash
# Vets and lints the Go of adapters/native, tests all of it: tools/lint-native.sh
# LINTER. It is half C, so that takes Linux and a C compiler.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../adapters/native"
go mod tidy -diff
if [ "$(go env GOOS)" != linux ] || ! command -v cc >/dev/null; then
	echo "lint: adapters/native is left out: it needs Linux and a C compiler" >&2
	exit 0
fi
export CGO_ENABLED=1
go vet ./...
"$1" run ./...
