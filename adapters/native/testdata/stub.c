/* A program that answers as it was told, for the tests of the library. Beside it
 * lie NAME.out and NAME.err, which it writes to its streams, and NAME.play, words
 * that say how it behaves:
 *
 *   deaf        does not read its request
 *   seen        writes what it was given to NAME.seen
 *   hang        never ends
 *   mute        closes its output first, and then hangs for 200 ms
 *   orphan      leaves a process behind that holds its streams
 *   flood       writes without end
 *   status=N    ends with that status
 *   signal=N    ends by that signal
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What hangs ends by itself at last, should a test be killed before it ends it. */
enum { LEFT_S = 120 };

static char request[16 << 20];
static size_t length;
static char play[4096];

static FILE *open_beside(const char *program, const char *suffix, const char *mode)
{
	char path[4096];
	snprintf(path, sizeof path, "%s%s", program, suffix);
	return fopen(path, mode);
}

static int told(const char *word)
{
	char *at = strstr(play, word);
	return at == NULL ? 0 : word[strlen(word) - 1] == '=' ? atoi(at + strlen(word)) : 1;
}

static void copy_to(const char *program, const char *suffix, FILE *to)
{
	char part[65536];
	FILE *from = open_beside(program, suffix, "r");
	for (size_t n; from != NULL && (n = fread(part, 1, sizeof part, from)) > 0;)
		fwrite(part, 1, n, to);
	if (from != NULL)
		fclose(from);
	fflush(to);
}

/* Writes lines of "what: value". */
static void note(const char *program, char **argv, char **environment)
{
	DIR *open_ones = opendir("/proc/self/fd"); /* before any other is opened */
	char fds[4096] = "";
	for (struct dirent *e; (e = readdir(open_ones)) != NULL;)
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(open_ones))
			snprintf(fds + strlen(fds), sizeof fds - strlen(fds), " %s", e->d_name);
	closedir(open_ones);
	char line[4096];
	FILE *seen = open_beside(program, ".seen", "w"), *status = fopen("/proc/self/status", "r");
	fprintf(seen, "descriptors:%s\n", fds);
	while (fgets(line, sizeof line, status) != NULL)
		if (strncmp(line, "SigBlk:", 7) == 0 || strncmp(line, "SigIgn:", 7) == 0)
			fputs(line, seen);
	fclose(status);
	fprintf(seen, "group: %s\n", getpgrp() == getpid() ? "own" : "the host's");
	for (char **a = argv + 1; *a != NULL; a++)
		fprintf(seen, "argument: %s\n", *a);
	for (char **e = environment; *e != NULL; e++)
		fprintf(seen, "environment: %s\n", *e);
	fprintf(seen, "request: %.*s\n", (int)length, request);
	fclose(seen);
}

int main(int argc, char **argv, char **environment)
{
	(void)argc;
	FILE *how = open_beside(argv[0], ".play", "r");
	if (how != NULL) {
		play[fread(play, 1, sizeof play - 1, how)] = '\0';
		fclose(how);
	}
	if (!told("deaf"))
		for (ssize_t n; (n = read(0, request + length, sizeof request - length)) > 0;)
			length += (size_t)n;
	if (told("seen"))
		note(argv[0], argv, environment);
	if (told("mute")) {
		close(1);
		close(2);
		usleep(200000);
	}
	copy_to(argv[0], ".err", stderr);
	copy_to(argv[0], ".out", stdout);
	while (told("flood") && puts("flood") >= 0)
		;
	if (told("orphan") && fork() == 0) {
		alarm(LEFT_S);
		pause();
	}
	if (told("hang")) {
		alarm(LEFT_S);
		pause();
	}
	if (told("signal="))
		raise(told("signal="));
	return told("status=");
}
