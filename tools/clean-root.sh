#!/usr/bin/env bash
# Makes bin/clean-root, a small Debian for the tests that install packages, once.
# Needs root and apt-get; where they are missing, it says so and makes none.
set -euo pipefail
cd "$(dirname "$0")/.."
root=bin/clean-root
release=bookworm

if [ -e "$root/made" ]; then exit; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "test-install: LEFT OUT, since it takes root and apt-get to make a clean Debian" >&2
	exit
fi
command -v debootstrap >/dev/null || apt-get install -y --no-install-recommends debootstrap
rm -rf "$root"
mkdir -p bin
unset TMPDIR TMP TEMP # they name a folder out here, and there is none of that name inside
debootstrap --variant=minbase "$release" "$root" http://deb.debian.org/debian
# The Agent brings a Python; rpm and Ansible are for their own tests. debootstrap
# itself does not know the packages that others provide.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
chroot "$root" apt-get update
chroot "$root" apt-get install -y --no-install-recommends python3 python3-apt rpm ansible-core
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
touch "$root/made"
