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
# What a minimal Debian has, and: the Agent brings a Python, and the rpm is tried, too.
debootstrap --variant=minbase --include=python3,rpm "$release" "$root" http://deb.debian.org/debian
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
touch "$root/made"
