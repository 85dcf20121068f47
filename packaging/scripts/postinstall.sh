#!/bin/sh
# After the files are in their places. dpkg calls it with `configure` and the
# version that was there before, rpm with the number of versions that there are now.
set -e

case "$1" in
configure) upgrade=$2 ;;
1) upgrade= ;;
[0-9]*) upgrade=yes ;;
*) exit 0 ;; # dpkg goes back after something failed: the files are as they were
esac

checks=/etc/datadog-agent/checks.d
folder=/etc/datadog-agent/conf.d/atlassian_audit_records.d
library=$checks/libdatadog-agent-atlassian_audit_records.so

# What the Agent demands to be its own. Where it is installed later, its own
# installation does the same with all of /etc/datadog-agent. -h: the Agent's user
# may write these folders, and must not lead root elsewhere by a link.
if getent passwd dd-agent >/dev/null; then
	chown -h dd-agent:dd-agent "$folder" "$folder/conf.yaml.example"
	if [ -e "$library" ]; then chown -h dd-agent:dd-agent "$library"; fi
fi

# For `run`: its user, who may read the configuration.
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers atlassian-audit-records.conf
	if getent group atlassian-audit-records >/dev/null; then
		chgrp atlassian-audit-records /etc/atlassian-audit-records
	fi
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if [ -n "$upgrade" ]; then systemctl try-restart atlassian-audit-records.service; fi
fi

if [ -e /usr/local/bin/atlassian-audit-records ]; then
	echo "atlassian-audit-records: /usr/local/bin/atlassian-audit-records, installed by hand, is used in the place of the package's: remove it." >&2
fi
if [ -z "$upgrade" ] && [ ! -e "$folder/conf.yaml" ]; then
	echo "atlassian-audit-records: run \`sudo atlassian-audit-records setup\`, then \`sudo systemctl restart datadog-agent\`. To go without an Agent: /usr/share/doc/atlassian-audit-records/docs/run.md"
fi
