#!/usr/bin/env bash
# What the Agent's log pipeline would cost the program that collects, were it
# linked into it: the size, and the start of `version`, with and without it.
# This is why `run` is a program of its own (docs/run.md).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
sender=cmd/atlassian-audit-records-run
scratch=$(mktemp -d "$sender/internal/weight.XXXXXX")
modules=$(mktemp -d) # may change here, not in the checkout
trap 'rm -rf "$scratch" "$modules"' EXIT
cp -R cmd/atlassian-audit-records/. "$scratch"
find "$scratch" -name '*_test.go' -delete
# Its own packages are for it alone: the copy takes copies.
find "$scratch" -name '*.go' -exec sed -i.bak "s|\"atlassian_audit_records/cmd/atlassian-audit-records/|\"atlassian_audit_records/$scratch/|" {} +
cp "$sender/go.mod" "$sender/go.sum" "$modules"
build() {
	CGO_ENABLED=0 go build -C "$sender" -mod=mod -modfile="$modules/go.mod" -trimpath -ldflags '-s -w' -o "$PWD/bin/weight-$1" "./internal/${scratch##*/}"
}
mkdir -p bin
build without
cat >"$scratch/weight.go" <<'GO'
package main

import (
	_ "atlassian_audit_records/cmd/atlassian-audit-records-run/internal/datadog"
	_ "atlassian_audit_records/cmd/atlassian-audit-records-run/internal/pipeline"
)
GO
build with
python3 - bin/weight-without bin/weight-with <<'PY'
import os, resource, statistics, subprocess, sys, time

for path in sys.argv[1:]:
    times = []
    for _ in range(40):
        began = time.perf_counter()
        subprocess.run([path, "version"], check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - began) * 1000)
    print("%-20s %5.1f MiB, starts in %4.1f ms (median of 40)" % (os.path.basename(path), os.path.getsize(path) / 2**20, statistics.median(times)))
PY
rm -f bin/weight-with bin/weight-without
