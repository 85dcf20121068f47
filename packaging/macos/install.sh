#!/bin/sh
# Installs the check for the Datadog Agent of this Mac, or a newer version of it
# over an older one; what was configured and collected stays. Run it as root in
# the folder that the archive was unpacked to.
#
# DESTDIR, for tests and packagers: another root, with the same folders below it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}
bin=$root/opt/atlassian-audit-records/bin
agent=$root/opt/datadog-agent/etc
checks=$agent/checks.d
folder=$agent/conf.d/atlassian_audit_records.d

if [ "$(id -u)" != 0 ]; then
	echo "Run it as root: sudo $0" >&2
	exit 1
fi
if [ ! -d "$agent" ]; then
	echo "$agent is not there: install the Datadog Agent first." >&2
	exit 1
fi

# The adapter starts the program only where nobody but root could have written it
# or a folder above it. That is not so of /usr/local/bin where Homebrew has made
# it a person's own; so only links are there.
install -d -o 0 -g 0 -m 0755 "$root/opt/atlassian-audit-records" "$bin" "$root/usr/local/bin"
for program in atlassian-audit-records atlassian-audit-records-run atlassian-audit-records-shared; do
	# Beside it and renamed: a run that is under way keeps the file that it started with.
	install -o 0 -g 0 -m 0755 "$here/$program" "$bin/.$program.new"
	mv -f "$bin/.$program.new" "$bin/$program"
	ln -sf "/opt/atlassian-audit-records/bin/$program" "$root/usr/local/bin/$program"
done
# A downloaded program that is not notarised is not started by macOS while it is marked so.
if command -v xattr >/dev/null; then
	xattr -d com.apple.quarantine "$bin"/* 2>/dev/null || true
fi

# The Agent's folders are its user's: _dd-agent, or the person who installed it.
# shellcheck disable=SC2012 # stat has other options on every system; ls -n is in POSIX
owner=$(ls -nd "$agent" | awk '{print $3 ":" $4}')
for path in "$checks" "$folder"; do
	if [ ! -d "$path" ]; then
		mkdir -p "$path"
		chown "$owner" "$path"
		chmod 0755 "$path"
	fi
done
install -o 0 -g 0 -m 0644 "$here/atlassian_audit_records.py" "$checks/atlassian_audit_records.py"
install -o 0 -g 0 -m 0644 "$here/conf.yaml.example" "$folder/conf.yaml.example"

echo "Installed. Next: sudo atlassian-audit-records setup, then restart the Agent."
