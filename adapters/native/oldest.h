/* How the library keeps to what glibc 2.17 has, though it is built with a newer one.
 *
 * A function that is the same in all versions is linked to the oldest by itself.
 * Some are not, and are not used: stat and fstat (inline before 2.33, symbols
 * since), fcntl64, strtol and sscanf (other symbols under newer standards), dladdr
 * and the pthread functions (moved into libc.so in 2.34). In the place of stat
 * stands the system call, whose struct is glibc's on the platforms that are built.
 * TestSymbols fails where a newer symbol comes in. */
#ifndef OLDEST_H
#define OLDEST_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(__linux__) || !defined(__LP64__) || !(defined(__x86_64__) || defined(__aarch64__))
#error "the library is built for Linux on amd64 and arm64, and for Windows"
#endif

static inline int oldest_stat(const char *path, struct stat *st)
{
	return (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

#endif
