#!/bin/sh
# After the files are gone. Removal keeps what was configured and collected; only
# `purge`, which rpm does not know, takes it away, and only from the default places.
set -e

configured="/etc/datadog-agent/conf.d/atlassian_audit_records.d /etc/atlassian-audit-records"
collected="/opt/datadog-agent/run/atlassian_audit_records /var/lib/atlassian-audit-records"

# dpkg takes away folders that are empty now, and the Agent has use for this one.
checks=/etc/datadog-agent/checks.d
if [ ! -e "$checks" ] && [ -d /etc/datadog-agent/conf.d ] && getent passwd dd-agent >/dev/null; then
	mkdir -m 0755 "$checks"
	chown -h dd-agent:dd-agent "$checks"
fi

case "$1" in
purge)
	# shellcheck disable=SC2086 # two lists of paths without blanks
	rm -rf -- $configured $collected
	;;
remove | 0)
	for path in $configured $collected; do
		if [ -e "$path" ]; then echo "atlassian-audit-records: $path is kept."; fi
	done
	;;
esac
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
