#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME, one after the other, and
# fails at the end when one of them found something.
set -euo pipefail

failed=0
count=0
for package in $(go list ./...); do
	listed=$(go test -list '^Fuzz' "$package")
	for target in $(grep '^Fuzz' <<<"$listed" || true); do
		count=$((count + 1))
		echo "fuzz: $package $target for ${FUZZTIME:-1m}"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" "$package" || failed=$((failed + 1))
	done
done
echo "fuzz: $count targets, $failed failed"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]
