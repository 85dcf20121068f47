#!/usr/bin/env bash
# Prints the version of this checkout, in a form that dpkg and rpm sort as git
# does: 1.2.0~rc.1 at the tag v1.2.0-rc.1, then 1.2.0 at v1.2.0, then
# 1.2.0+5.gabc1234 five commits later; 0.0.0+N.g… where there is no tag yet.
set -euo pipefail

if ! commit=$(git rev-parse --short=7 HEAD 2>/dev/null); then
	echo dev # not a checkout
	exit
fi
dirty=""
if ! git diff --quiet HEAD --; then dirty=.dirty; fi

if tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
	version=${tag#v}
	version=${version/-/\~} # a pre-release comes before its release
	version=${version//-/.}
	commits=$(git rev-list --count "$tag..HEAD")
else
	version=0.0.0
	commits=$(git rev-list --count HEAD)
fi
if [ "$commits" -gt 0 ]; then
	version+="+$commits.g$commit$dirty"
elif [ -n "$dirty" ]; then
	version+="+0.g$commit$dirty"
fi
echo "$version"
