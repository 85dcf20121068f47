#!/usr/bin/env bash
# Builds the native adapter for every platform that it is for, beside the programs
# in bin/<platform>. A compiler that is missing is installed where there is apt-get;
# what cannot be built without one is left out, and said.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# have COMPILER PACKAGE... makes sure of a compiler.
have() {
	local compiler=$1
	shift
	if ! command -v "$compiler" >/dev/null && command -v apt-get >/dev/null; then
		apt-get install -y -q --no-install-recommends "$@" >/dev/null || true
	fi
	command -v "$compiler" >/dev/null
}

# build PLATFORM SUFFIX COMPILER PACKAGE... builds one library, or says why not.
build() {
	local platform=$1 suffix=$2 compiler=$3
	local out=$PWD/bin/$platform/libdatadog-agent-atlassian_audit_records.$suffix
	rm -f "$out"
	if ! have "${@:3}"; then
		echo "native: $platform is left out: no $compiler here" >&2
		return
	fi
	mkdir -p "bin/$platform"
	tools/native.sh "$platform" "$out"
	echo "native: ${out#"$PWD/"}"
}

for arch in amd64 arm64; do
	case $arch-$(uname -m) in
	amd64-x86_64 | arm64-aarch64) build linux-$arch so cc gcc libc6-dev ;;
	amd64-*) build linux-$arch so x86_64-linux-gnu-gcc gcc-x86-64-linux-gnu libc6-dev-amd64-cross ;;
	*) build linux-$arch so aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
	esac
done
build windows-amd64 dll x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-win32
