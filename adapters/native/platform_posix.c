#include "platform.h"

#include "oldest.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

const char *const PROGRAM_FOLDERS[] = {"/usr/local/bin", "/usr/bin", NULL};
const char *const PROGRAM_FILE = "atlassian-audit-records";
const char *const DATADOG_CONF = "/etc/datadog-agent/datadog.yaml";
const char PATH_SEPARATOR = ':', FOLDER_SEPARATOR = '/';

extern char **environ;

bool parse_double(const char *text, double *number)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (c == (locale_t)0)
		return false;
	*number = strtod_l(text, NULL, c);
	freelocale(c);
	return fabs(*number) <= DBL_MAX; /* not so for infinity, nor for what is no number */
}

char *copy_for_agent(const char *string) { return strdup(string); }

static void copy_environ(struct list *out)
{
	for (char **e = environ; e != NULL && *e != NULL; e++)
		list_add(out, *e, strlen(*e));
}

/* The kernel's copy of the environment cannot change under our hands: another
 * thread of the host may be in setenv, which frees what we would read. It is
 * what the host was started with. */
void host_environment(struct list *out)
{
	int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
	struct text all = {0};
	char part[4096];
	ssize_t n = fd < 0 ? -1 : 0;
	while (fd >= 0 && ((n = read(fd, part, sizeof part)) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			text_add(&all, part, (size_t)n);
	if (fd >= 0)
		close(fd);
	if (n < 0 || all.lost) /* not mounted, or this process is not to be looked into */
		copy_environ(out);
	else
		for (size_t at = 0; at < all.length; at += strlen(all.bytes + at) + 1)
			list_add(out, all.bytes + at, strlen(all.bytes + at));
	text_free(&all);
}

void report(const char *level, const char *message)
{
	struct text line = {0};
	struct pollfd host = {.fd = STDERR_FILENO, .events = POLLOUT};
	text_puts(&line, "atlassian_audit_records | ");
	text_puts(&line, level);
	text_puts(&line, " | ");
	for (const char *c = message; *c != '\0'; c++)
		text_putc(&line, (unsigned char)*c < 0x20 ? ' ' : *c);
	text_putc(&line, '\n');
	/* Never wait for somebody who does not read: the line is then left out. */
	if (!line.lost && poll(&host, 1, 0) == 1 && (host.revents & (POLLERR | POLLNVAL)) == 0) {
		ssize_t ignored = write(STDERR_FILENO, line.bytes, line.length);
		(void)ignored;
	}
	text_free(&line);
}

struct here {
	uintptr_t address;
	struct text *path;
};

static int note_object(struct dl_phdr_info *object, size_t size, void *context)
{
	struct here *here = context;
	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		uintptr_t start = (uintptr_t)(object->dlpi_addr + part->p_vaddr);
		if (part->p_type == PT_LOAD && here->address >= start && here->address - start < part->p_memsz) {
			text_puts(here->path, object->dlpi_name);
			return 1;
		}
	}
	return 0;
}

/* The file of this library; empty where it is part of a program. */
static void library_file(struct text *out)
{
	struct here here = {(uintptr_t)(void *)&PROGRAM_FOLDERS, out};
	dl_iterate_phdr(note_object, &here);
}

void library_folder(struct text *out)
{
	struct text file = {0};
	library_file(&file);
	char *slash = file.lost || file.length == 0 ? NULL : strrchr(file.bytes, '/');
	if (slash != NULL)
		text_add(out, file.bytes, (size_t)(slash - file.bytes));
	text_free(&file);
}

bool is_absolute(const char *path) { return path[0] == '/'; }

bool is_program(const char *path)
{
	struct stat st;
	return oldest_stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool refuse(struct text *why, const char *program, const char *reason, const char *at, const char *rest)
{
	text_puts(why, program);
	text_puts(why, reason);
	text_puts(why, at);
	text_puts(why, rest);
	text_puts(why, at);
	text_puts(why, "`.");
	return false;
}

/* Judges one file or folder of the way to the program. */
static bool trusted(const char *program, const char *at, uid_t library_owner, struct text *why)
{
	struct stat st;
	if (oldest_stat(at, &st) != 0)
		return refuse(why, program, " was not started: nothing is known of ", at, ". Run `ls -ld ");
	if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != library_owner)
		return refuse(why, program, " was not started: another user owns ", at, ". Run `chown root ");
	/* In a sticky folder nobody replaces the files of others; for folders the group of root counts as root. */
	bool folder = S_ISDIR(st.st_mode);
	mode_t others = folder && st.st_gid == 0 ? S_IWOTH : S_IWGRP | S_IWOTH;
	if ((st.st_mode & others) != 0 && !(folder && (st.st_mode & S_ISVTX)))
		return refuse(why, program, " was not started: others may write ", at, ". Run `chmod go-w ");
	return true;
}

bool trust_program(const char *path, struct text *real, struct text *why)
{
	struct stat st;
	struct text library = {0};
	uid_t owner = geteuid();
	library_file(&library);
	if (library.length > 0 && !library.lost && oldest_stat(library.bytes, &st) == 0)
		owner = st.st_uid;
	text_free(&library);

	char *at = realpath(path, NULL);
	if (at == NULL) {
		text_puts(why, path);
		text_puts(why, " cannot be followed to a file: ");
		add_system_error(why, errno);
		return false;
	}
	text_puts(real, at);
	bool ok = true;
	for (bool more = true; ok && more;) {
		ok = trusted(text_string(real), at, owner, why);
		char *slash = strrchr(at, '/');
		more = slash[1] != '\0'; /* else it was the root */
		slash[slash == at] = '\0';
	}
	free(at);
	return ok && !real->lost;
}

void add_system_error(struct text *out, int number)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (c != (locale_t)0) {
		text_puts(out, strerror_l(number, c));
		freelocale(c);
	}
}
