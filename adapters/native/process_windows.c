/* One run of the program on Windows: in a job, which ends all that it started, and
 * with three handles and no other. */
#include "platform.h"

#include "wide_windows.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

/* How long a process that says nothing is left alone between two looks: pipes
 * without a name cannot be waited for. */
#define LOOK_MS 20
#define KILL_MS 10000

enum { STDIN, STDOUT, STDERR, STREAMS };

struct child {
	HANDLE process, job;
	HANDLE ours[STREAMS], theirs[STREAMS];
};

/* The request, which a thread of its own writes: the program may not read it. */
struct feed {
	HANDLE pipe;
	const char *bytes;
	size_t length;
};

static void close_one(HANDLE *h)
{
	if (*h != NULL)
		CloseHandle(*h);
	*h = NULL;
}

static bool open_streams(struct child *c)
{
	SECURITY_ATTRIBUTES inherited = {.nLength = sizeof inherited, .bInheritHandle = TRUE};
	for (int s = STDIN; s < STREAMS; s++) {
		HANDLE reader, writer;
		if (!CreatePipe(&reader, &writer, &inherited, 0))
			return false;
		c->ours[s] = s == STDIN ? writer : reader;
		c->theirs[s] = s == STDIN ? reader : writer;
		if (!SetHandleInformation(c->ours[s], HANDLE_FLAG_INHERIT, 0))
			return false;
	}
	return true;
}

static bool open_job(struct child *c)
{
	JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {.BasicLimitInformation = {.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE}};
	c->job = CreateJobObjectW(NULL, NULL);
	return c->job != NULL && SetInformationJobObject(c->job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
}

/* The environment as one block: each entry with its NUL, and a NUL at the end. */
static wchar_t *environment_block(char **environment)
{
	size_t length = 2;
	for (char **e = environment; *e != NULL; e++)
		length += strlen(*e) + 1; /* UTF-16 has never more units than UTF-8 has bytes */
	wchar_t *block = calloc(length, sizeof *block), *at = block;
	for (char **e = environment; block != NULL && *e != NULL; e++) {
		wchar_t *entry = wide(*e);
		if (entry == NULL)
			continue;
		wcscpy(at, entry);
		at += wcslen(entry) + 1;
		free(entry);
	}
	return block;
}

static wchar_t *command_line(const char *program)
{
	struct text line = {0};
	text_puts(&line, "\""); /* no file's name holds a quote */
	text_puts(&line, program);
	text_puts(&line, "\" collect");
	wchar_t *out = line.lost ? NULL : wide(line.bytes);
	text_free(&line);
	return out;
}

/* Starts it suspended, so that nothing of it runs outside of the job. */
static bool create(struct child *c, const struct order *order, LPPROC_THREAD_ATTRIBUTE_LIST attributes)
{
	STARTUPINFOEXW how = {.StartupInfo = {.cb = sizeof how,
					      .dwFlags = STARTF_USESTDHANDLES,
					      .hStdInput = c->theirs[STDIN],
					      .hStdOutput = c->theirs[STDOUT],
					      .hStdError = c->theirs[STDERR]},
			      .lpAttributeList = attributes};
	PROCESS_INFORMATION made = {0};
	const DWORD flags = CREATE_NO_WINDOW | CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
	wchar_t *program = wide(order->program), *line = command_line(order->program), *block = environment_block(order->environment);
	bool ok = program != NULL && line != NULL && block != NULL &&
		  UpdateProcThreadAttribute(attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, c->theirs, sizeof c->theirs, NULL, NULL) &&
		  CreateProcessW(program, line, NULL, NULL, TRUE, flags, block, NULL, &how.StartupInfo, &made);
	c->process = made.hProcess;
	if (ok && (!AssignProcessToJobObject(c->job, made.hProcess) || ResumeThread(made.hThread) == (DWORD)-1)) {
		DWORD error = GetLastError();
		TerminateProcess(made.hProcess, 1);
		SetLastError(error);
		ok = false;
	}
	DWORD error = GetLastError();
	close_one(&made.hThread);
	free(program);
	free(line);
	free(block);
	SetLastError(error);
	return ok;
}

static bool start(struct child *c, const struct order *order)
{
	SIZE_T size = 0;
	InitializeProcThreadAttributeList(NULL, 1, 0, &size);
	LPPROC_THREAD_ATTRIBUTE_LIST attributes = malloc(size);
	if (attributes == NULL || !InitializeProcThreadAttributeList(attributes, 1, 0, &size)) {
		free(attributes);
		return false;
	}
	bool ok = create(c, order, attributes);
	DWORD error = GetLastError();
	DeleteProcThreadAttributeList(attributes);
	free(attributes);
	SetLastError(error);
	return ok;
}

static DWORD WINAPI write_request(LPVOID context)
{
	struct feed *f = context;
	while (f->length > 0) {
		DWORD part = f->length > 65536 ? 65536 : (DWORD)f->length, written = 0;
		if (!WriteFile(f->pipe, f->bytes, part, &written, NULL))
			break;
		f->bytes += written;
		f->length -= written;
	}
	CloseHandle(f->pipe);
	return 0;
}

/* Reads what there is; *some tells whether there was. False where nobody wants
 * more. The stream is closed at its end. */
static bool drink(HANDLE *h, int stream, const struct order *order, struct outcome *outcome, bool *some)
{
	char part[16384];
	DWORD there = 0, n = 0;
	if (*h == NULL)
		return true;
	if (!PeekNamedPipe(*h, NULL, 0, NULL, &there, NULL)) {
		close_one(h);
		return true;
	}
	if (there == 0)
		return true;
	if (!ReadFile(*h, part, there < sizeof part ? there : sizeof part, &n, NULL) || n == 0) {
		close_one(h);
		return true;
	}
	*some = true;
	if (stream == STDOUT)
		return order->output(order->context, part, n);
	size_t room = ERRORS_KEPT - outcome->errors.length;
	text_add(&outcome->errors, part, n < room ? n : room);
	return true;
}

/* Speaks with the program until it has ended and said all, nobody wants more, or
 * its time is over. */
static void converse(struct child *c, const struct order *order, ULONGLONG deadline, struct outcome *outcome)
{
	for (;;) {
		bool ended = WaitForSingleObject(c->process, 0) == WAIT_OBJECT_0, some = false;
		if (!drink(&c->ours[STDOUT], STDOUT, order, outcome, &some) || !drink(&c->ours[STDERR], STDERR, order, outcome, &some)) {
			outcome->ending = STOPPED;
			return;
		}
		if (ended && !some)
			return;
		if (GetTickCount64() >= deadline) {
			outcome->ending = LATE;
			return;
		}
		if (!some)
			WaitForSingleObject(c->process, LOOK_MS);
	}
}

static void converse_to_the_end(struct child *c, const struct order *order, ULONGLONG deadline, struct outcome *outcome)
{
	struct feed feed = {c->ours[STDIN], order->input, order->input_length};
	HANDLE writer = CreateThread(NULL, 0, write_request, &feed, 0, NULL);
	outcome->ending = EXITED;
	if (writer == NULL) {
		outcome->ending = NOT_STARTED;
		outcome->number = (int)GetLastError();
	} else {
		c->ours[STDIN] = NULL; /* the thread closes it */
		converse(c, order, deadline, outcome);
	}
	/* All that is in the job, so that nobody holds the thread's pipe. */
	DWORD code = 0;
	bool known = outcome->ending == EXITED && GetExitCodeProcess(c->process, &code);
	TerminateJobObject(c->job, 1);
	WaitForSingleObject(c->process, KILL_MS);
	if (writer != NULL) {
		CancelSynchronousIo(writer);
		WaitForSingleObject(writer, INFINITE);
		CloseHandle(writer);
	}
	if (outcome->ending == EXITED) {
		outcome->number = (int)code;
		if (!known)
			outcome->ending = UNKNOWN;
	}
}

void run_program(const struct order *order, struct outcome *outcome)
{
	struct child c = {0};
	ULONGLONG deadline = GetTickCount64() + (ULONGLONG)order->deadline_ms;
	bool started = open_streams(&c) && open_job(&c) && start(&c, order);
	outcome->ending = NOT_STARTED;
	outcome->number = started ? 0 : (int)GetLastError();
	for (int s = STDIN; s < STREAMS; s++)
		close_one(&c.theirs[s]);
	if (started)
		converse_to_the_end(&c, order, deadline, outcome);
	for (int s = STDIN; s < STREAMS; s++)
		close_one(&c.ours[s]);
	close_one(&c.process);
	close_one(&c.job);
}
