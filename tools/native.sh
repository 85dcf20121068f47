#!/usr/bin/env bash
# Builds the native adapter: tools/native.sh PLATFORM FILE [FLAG...], where PLATFORM
# is linux-amd64, linux-arm64 or windows-amd64, and flags go to the compiler.
# Compilers are those of Debian's names; CC overrules, for Linux. VERSION is stamped.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../adapters/native"
platform=$1 out=$2
shift 2

common=(run.c answer.c config.c json.c program.c text.c)
flags=(-std=c11 -O2 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wvla -Werror
	-fvisibility=hidden "-ffile-prefix-map=$PWD=." "-DVERSION=\"${VERSION:-dev}\"")
case $platform in
linux-amd64 | linux-arm64)
	case $platform-$(uname -m) in
	linux-amd64-x86_64 | linux-arm64-aarch64) cc=${CC:-cc} ;;
	linux-amd64-*) cc=${CC:-x86_64-linux-gnu-gcc} ;;
	*) cc=${CC:-aarch64-linux-gnu-gcc} ;;
	esac
	# -z nodelete: the Agent closes the library of a check that it takes off its
	# schedule without waiting for its run. -z defs: a symbol that libc has not is an error here.
	exec "$cc" "${flags[@]}" -D_GNU_SOURCE -fPIC -fstack-protector-strong -shared -Wl,--version-script=exports.map \
		-Wl,-z,nodelete,-z,now,-z,relro,-z,noexecstack,-z,defs,--build-id=none "$@" -o "$out" "${common[@]}" \
		platform_posix.c process_posix.c
	;;
windows-amd64)
	# The linker would work the base address out from the path of its output: other bytes in every checkout.
	exec x86_64-w64-mingw32-gcc "${flags[@]}" -D_WIN32_WINNT=0x0A00 -shared -static-libgcc -Wl,--no-insert-timestamp,--image-base,0x180000000 "$@" -o "$out" \
		"${common[@]}" platform_windows.c process_windows.c memory_windows.c
	;;
*)
	echo "native: there is no library for $platform" >&2
	exit 2
	;;
esac
