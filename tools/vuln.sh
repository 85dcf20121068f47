#!/usr/bin/env bash
# Looks for known vulnerabilities in what the modules of this repository use
# (govulncheck: only those whose code is reached are a finding). It needs the Go
# vulnerability database, https://vuln.go.dev or the one that VULNDB names (a
# mirror's URL, or file:///a/folder). Where that cannot be reached it says that
# nothing was checked; with VULN=required it then fails.
set -euo pipefail

govulncheck=$PWD/$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT

failed=0
unchecked=0
for module in "$@"; do
	status=0
	(cd "$module" && "$govulncheck" ${VULNDB:+-db "$VULNDB"} ./...) >"$log" 2>&1 || status=$?
	sed "s|^|vuln: $module: |" "$log"
	case $status in
	0) ;;
	3) failed=$((failed + 1)) ;; # vulnerabilities that are reached
	*)
		if grep -qE 'no such host|dial tcp|connection refused|i/o timeout|server misbehaving|fetching vulnerabilities|Forbidden' "$log"; then
			unchecked=$((unchecked + 1))
		else
			failed=$((failed + 1))
		fi
		;;
	esac
done
if [ "$unchecked" -gt 0 ]; then
	echo "vuln: NOT CHECKED: $unchecked of $# modules, since the vulnerability database ${VULNDB:-https://vuln.go.dev} cannot be reached from here"
	[ "${VULN:-}" != required ] || exit 1
fi
echo "vuln: $failed of $# modules with findings, $unchecked not checked"
[ "$failed" -eq 0 ]
