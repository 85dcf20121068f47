#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME, one after the other, and
# fails at the end when one of them found something. What it finds is written
# to the package's testdata/fuzz, from where every later test run reads it. An
# input that reaches something new is made smaller by no more than a hundred
# tries: go's minute for each would be more than the time that there is.
set -euo pipefail

log=$(mktemp)
trap 'rm -f "$log"' EXIT

failed=0
count=0
for package in $(go list ./...); do
	listed=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$listed" || true); do
		count=$((count + 1))
		echo "fuzz: $package $target for ${FUZZTIME:-30s}"
		status=0
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 100x "$package" >"$log" 2>&1 || status=$?
		tail -n 40 "$log" # a finding, or how many inputs were tried
		if [ "$status" -eq 0 ]; then
			continue
		fi
		# Where its time ends amid an input, go test calls that a failure without
		# an input that fails (golang.org/issue/75804).
		if grep -q 'context deadline exceeded' "$log" && ! grep -qE 'Failing input|panic:|fatal error:' "$log"; then
			echo "fuzz: $target: its time ended amid an input; nothing was found"
			continue
		fi
		failed=$((failed + 1))
	done
done
echo "fuzz: $count targets, $failed failed"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]
