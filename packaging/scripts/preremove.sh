#!/bin/sh
# Before the files go. dpkg says `remove` or `upgrade`, rpm how many versions will be left.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now atlassian-audit-records.service || true # it may never have been enabled
fi
rm -f /etc/datadog-agent/checks.d/__pycache__/atlassian_audit_records.*.pyc
