#!/bin/sh
# Takes away what install.sh has installed. What was configured and collected
# stays; with --purge that goes, too, from the default places.
set -eu

root=${DESTDIR:-}
agent=$root/opt/datadog-agent
if [ "$(id -u)" != 0 ]; then
	echo "Run it as root: sudo $0" >&2
	exit 1
fi
case "${1:-}" in
"" | --purge) ;;
*)
	echo "$0 takes no argument but --purge." >&2
	exit 2
	;;
esac

rm -f "$root/usr/local/bin/atlassian-audit-records" "$root/usr/local/bin/atlassian-audit-records-run" "$root/usr/local/bin/atlassian-audit-records-shared"
rm -rf "$root/opt/atlassian-audit-records"
rm -f "$agent/etc/checks.d/atlassian_audit_records.py" "$agent"/etc/checks.d/__pycache__/atlassian_audit_records.*.pyc
rm -f "$agent/etc/conf.d/atlassian_audit_records.d/conf.yaml.example"
for path in "$agent/etc/conf.d/atlassian_audit_records.d" "$agent/run/atlassian_audit_records"; do
	if [ "${1:-}" = --purge ]; then
		rm -rf "$path"
	elif [ -e "$path" ]; then
		echo "$path is kept."
	fi
done
