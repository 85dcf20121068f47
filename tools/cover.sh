#!/usr/bin/env bash
# Prints the statement coverage of each package by its own tests and by all tests
# together, and fails when one of the packages that must not be wrong has less
# than COVER_MIN percent of the latter. With packages as arguments only their
# tests are run.
set -euo pipefail

critical="pkg/collect pkg/spool pkg/state"
module=$(go list -m)
mkdir -p bin
[ $# -gt 0 ] || set -- ./...

# A file holds what one test binary reached in all packages: the summary line of
# go test tells of all packages together, and is not wanted here.
rm -rf bin/cover
mkdir bin/cover
for package in $(go list "$@"); do
	own=bin/cover/$(tr / _ <<<"${package#"$module"/}").out
	go test -coverpkg=./... -coverprofile="$own" -timeout 30m "$package" | sed 's/[[:space:]]coverage:.*//'
done

# A block counts as reached where any binary reached it.
awk -v module="$module/" -v critical="$critical" -v minimum="${COVER_MIN:-95}" '
	FNR == 1 {
		own = FILENAME
		sub(/.*\//, "", own); sub(/\.out$/, "", own)
		next
	}
	{
		at = $1
		package = at; sub(/\/[^\/]*$/, "", package); sub("^" module, "", package)
		if (!(at in statements)) { statements[at] = $2; of[at] = package; total[package] += $2 }
		if ($3 == 0) next
		name = package; gsub(/\//, "_", name)
		if (name == own && !(at in self)) { self[at] = 1; alone[package] += $2 }
		if (!(at in all)) { all[at] = 1; reached[package] += $2 }
	}
	END {
		split(critical, names, " "); for (i in names) must[names[i]] = 1
		printf "%-52s %10s %10s %10s\n", "package", "statements", "own tests", "all tests"
		for (p in total) {
			percent = 100 * reached[p] / total[p]
			line = sprintf("%-52s %10d %9.1f%% %9.1f%%", p, total[p], 100 * alone[p] / total[p], percent)
			if (p in must) {
				line = line (percent < minimum ? "  less than " minimum "%" : "  must have " minimum "%")
				if (percent < minimum) low = low " " p
			}
			print line | "sort"
		}
		close("sort")
		if (low != "") { print "cover: too little of" low; exit 1 }
	}
' bin/cover/*.out
