/* One run of the program on Unix.
 *
 * The host's signals are left alone: no handler, no change of a mask, and only
 * our own child is waited for. Standard input is a socket, not a pipe: writing to
 * a pipe that nobody reads sends the host a SIGPIPE, and a socket can be told not to. */
#include "platform.h"

#include "oldest.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

/* How long a killed process may take to be gone. One that hangs in a system call
 * of a dead disk takes longer: it is then left to the system. */
static const long long KILL_MS = 10000;
/* How often a process that says nothing is looked at: what it left behind when
 * it ended may hold its streams open. */
static const int LOOK_MS = 100;

enum { STDIN, STDOUT, STDERR, STREAMS };

static long long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Moves a descriptor above the standard ones, where a host that closed those
 * would have put it: what the host still writes to them must not reach us, and
 * dup2 must not meet itself. */
static int above_standard(int *fd)
{
	if (*fd > STDERR_FILENO)
		return 0;
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (moved < 0)
		return errno;
	close(*fd);
	*fd = moved;
	return 0;
}

/* Opens our ends and the child's; all are closed on exec, and ours never block.
 * Returns 0, or an error with everything that was opened in place. */
static int open_streams(int ours[STREAMS], int childs[STREAMS])
{
	for (int s = STDIN; s < STREAMS; s++) {
		int pair[2], error = 0;
		if (s == STDIN ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) : pipe2(pair, O_CLOEXEC))
			return errno;
		ours[s] = pair[0];
		childs[s] = pair[1];
		if ((error = above_standard(&ours[s])) != 0 || (error = above_standard(&childs[s])) != 0)
			return error;
		if (fcntl(ours[s], F_SETFL, O_NONBLOCK) != 0)
			return errno;
	}
	return 0;
}

/* Has the child close a descriptor of the host's that would stay open in it.
 * What is closed on exec by itself is left out; so is, by that, what is ours. */
static int close_in_child(posix_spawn_file_actions_t *actions, int fd)
{
	int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;
	return flags < 0 || (flags & FD_CLOEXEC) ? 0 : posix_spawn_file_actions_addclose(actions, fd);
}

/* Has the child close every descriptor that the host left open to its children.
 * One that another thread opens so between this look and the start slips
 * through; the program closes such a one before it does anything else. */
static int close_inherited(posix_spawn_file_actions_t *actions)
{
	int error = 0;
	DIR *open_ones = opendir("/proc/self/fd");
	if (open_ones != NULL) {
		struct dirent *entry;
		while (error == 0 && (entry = readdir(open_ones)) != NULL) {
			int fd = 0;
			for (const char *c = entry->d_name; *c >= '0' && *c <= '9'; c++)
				fd = fd * 10 + (*c - '0');
			error = close_in_child(actions, fd);
		}
		closedir(open_ones);
		return error;
	}
	struct rlimit limit; /* no /proc: try each that there may be */
	int top = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536 ? (int)limit.rlim_cur : 65536;
	for (int fd = STDERR_FILENO + 1; error == 0 && fd < top; fd++)
		error = close_in_child(actions, fd);
	return error;
}

/* A process group of its own, no signal blocked, and none ignored. Signals that
 * cannot be set are not named: glibc 2.17 would fail on them. */
static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigemptyset(&all);
	for (int signal = 1; signal < 32; signal++)
		if (signal != SIGKILL && signal != SIGSTOP)
			sigaddset(&all, signal);
	for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++)
		sigaddset(&all, signal);
	int error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (error == 0)
		error = posix_spawnattr_setpgroup(attributes, 0);
	if (error == 0)
		error = posix_spawnattr_setsigmask(attributes, &none);
	return error != 0 ? error : posix_spawnattr_setsigdefault(attributes, &all);
}

static int start(const struct order *order, const int childs[STREAMS], pid_t *pid)
{
	char *arguments[] = {(char *)order->program, (char *)"collect", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return error;
	if ((error = posix_spawnattr_init(&attributes)) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return error;
	}
	for (int s = STDIN; error == 0 && s < STREAMS; s++)
		error = posix_spawn_file_actions_adddup2(&actions, childs[s], s);
	if (error == 0)
		error = close_inherited(&actions);
	if (error == 0)
		error = set_attributes(&attributes);
	if (error == 0)
		error = posix_spawn(pid, order->program, &actions, &attributes, arguments, order->environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Sends what is left of the request; the stream is closed at its end, or where
 * the program does not want it. */
static void feed(int *fd, const struct order *order, size_t *sent)
{
	while (*sent < order->input_length) {
		ssize_t n = send(*fd, order->input + *sent, order->input_length - *sent, MSG_NOSIGNAL);
		if (n >= 0)
			*sent += (size_t)n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			break;
	}
	close_one(fd);
}

/* Reads what there is, at most once round the buffer so that neither stream
 * starves; false where nobody wants more. The stream is closed at its end. */
static bool drink(int *fd, int stream, const struct order *order, struct outcome *outcome)
{
	char part[16384];
	ssize_t n = read(*fd, part, sizeof part);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	if (n <= 0) {
		close_one(fd);
		return true;
	}
	if (stream == STDOUT)
		return order->output(order->context, part, (size_t)n);
	size_t room = ERRORS_KEPT - outcome->errors.length;
	text_add(&outcome->errors, part, (size_t)n < room ? (size_t)n : room);
	return true;
}

/* Whether the child has ended; it stays to be waited for, so that its number and
 * that of its group are still its own. */
static bool has_ended(pid_t pid)
{
	siginfo_t info;
	info.si_pid = 0;
	int failed;
	while ((failed = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT)) != 0 && errno == EINTR)
		;
	return failed || info.si_pid == pid;
}

/* Speaks with the program until its streams are closed, it has ended, nobody
 * wants more, or its time is over. Answers whether it may go on by itself. */
static bool converse(const struct order *order, int ours[STREAMS], pid_t pid, long long deadline, struct outcome *outcome)
{
	size_t sent = 0;
	bool ended = false;
	while (ours[STDOUT] >= 0 || ours[STDERR] >= 0) {
		struct pollfd fds[STREAMS];
		for (int s = STDIN; s < STREAMS; s++)
			fds[s] = (struct pollfd){.fd = ours[s], .events = s == STDIN ? POLLOUT : POLLIN};
		long long left = deadline - now_ms();
		if (left <= 0) {
			outcome->ending = LATE;
			return false;
		}
		int ready = poll(fds, STREAMS, ended ? 0 : left < LOOK_MS ? (int)left : LOOK_MS);
		if (ready < 0)
			continue; /* EINTR; nothing else can happen to three valid descriptors */
		if (ready == 0 && ended)
			return true; /* the rest is held open by what it left behind */
		if (ready == 0)
			ended = has_ended(pid);
		if (ready > 0 && fds[STDIN].revents != 0)
			feed(&ours[STDIN], order, &sent);
		for (int s = STDOUT; ready > 0 && s <= STDERR; s++) {
			if (fds[s].revents != 0 && !drink(&ours[s], s, order, outcome)) {
				outcome->ending = STOPPED;
				return false;
			}
		}
	}
	return true;
}

/* Waits until the child has ended, with growing pauses, at most until then. */
static bool await(pid_t pid, long long until)
{
	for (int pause = 0; !has_ended(pid); pause = pause < 50 ? pause * 2 + 1 : 50) {
		if (now_ms() >= until)
			return false;
		poll(NULL, 0, pause);
	}
	return true;
}

/* Kills what is left of the group and takes the child's exit status. */
static void bury(pid_t pid, struct outcome *outcome)
{
	siginfo_t info;
	info.si_pid = 0;
	int failed = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	if (failed && errno == ECHILD) { /* somebody else has, and the number may be anybody's now */
		if (outcome->ending == EXITED)
			outcome->ending = UNKNOWN;
		return;
	}
	kill(-pid, SIGKILL);
	if (info.si_pid == 0) {
		kill(pid, SIGKILL); /* where it was not yet in its group */
		if (!await(pid, now_ms() + KILL_MS))
			return;
	}
	int status;
	pid_t taken;
	while ((taken = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (outcome->ending != EXITED)
		return;
	if (taken != pid)
		outcome->ending = UNKNOWN;
	else if (WIFSIGNALED(status))
		*outcome = (struct outcome){.ending = SIGNALLED, .number = WTERMSIG(status), .errors = outcome->errors};
	else
		outcome->number = WEXITSTATUS(status);
}

void run_program(const struct order *order, struct outcome *outcome)
{
	int ours[STREAMS] = {-1, -1, -1}, childs[STREAMS] = {-1, -1, -1};
	long long deadline = now_ms() + order->deadline_ms;
	pid_t pid = 0;
	outcome->ending = NOT_STARTED;
	outcome->number = open_streams(ours, childs);
	if (outcome->number == 0)
		outcome->number = start(order, childs, &pid);
	for (int s = STDIN; s < STREAMS; s++)
		close_one(&childs[s]);
	if (outcome->number == 0) {
		outcome->ending = EXITED;
		bool well = converse(order, ours, pid, deadline, outcome);
		close_one(&ours[STDIN]);
		if (well && !await(pid, deadline))
			outcome->ending = LATE;
		bury(pid, outcome);
	}
	for (int s = STDIN; s < STREAMS; s++)
		close_one(&ours[s]);
}
