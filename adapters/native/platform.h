/* What differs between Unix and Windows: platform_posix.c and process_posix.c,
 * platform_windows.c and process_windows.c. Texts are UTF-8 on both. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

/* Where the program is looked for after the folder of this library, and before
 * PATH; the first is where to install it. */
extern const char *const PROGRAM_FOLDERS[];
extern const char *const PROGRAM_FILE;
/* The Agent's own configuration, where it is installed the usual way. */
extern const char *const DATADOG_CONF;
extern const char PATH_SEPARATOR, FOLDER_SEPARATOR;

/* A decimal number as JSON has it, whatever the locale; false where it is not finite. */
bool parse_double(const char *text, double *number);

/* Adds what the host's environment holds, as NAME=value. It is a look at all of
 * it, so the caller takes what the program may have. */
void host_environment(struct list *out);

/* A copy that the Agent's free() can free; NULL where there is no memory. */
char *copy_for_agent(const char *string);

/* Writes one line to the host's standard error. */
void report(const char *level, const char *message);

/* The folder that this library was loaded from, empty where it is not known. */
void library_folder(struct text *out);
bool is_absolute(const char *path);
/* Whether this is a file that this process may execute. */
bool is_program(const char *path);
/* Finds out where the file really is, links followed, and whether nobody may
 * have written it but root, the Agent's user and the owner of this library.
 * On Windows, where rights are inherited from the folder, the second is not asked. */
bool trust_program(const char *path, struct text *real, struct text *why);

/* What one run of the program is about. */
struct order {
	const char *program;
	/* NAME=value, ending with a NULL. */
	char **environment;
	const char *input;
	size_t input_length;
	long long deadline_ms;
	/* Takes what the program writes to standard output, as it comes; false ends it. */
	bool (*output)(void *context, const char *bytes, size_t length);
	void *context;
};

enum ending {
	NOT_STARTED, /* number is the system's error */
	EXITED,	     /* number is its exit status */
	SIGNALLED,   /* number is the signal that ended it */
	LATE,	     /* it was killed after the deadline */
	STOPPED,     /* it was killed because output wanted no more */
	UNKNOWN,     /* somebody else took its exit status */
};

struct outcome {
	enum ending ending;
	int number;
	/* The beginning of what it wrote to standard error. */
	struct text errors;
};

/* As much of it is kept. */
#define ERRORS_KEPT 4096

/* Runs the program to its end, and everything that it left behind in its process
 * group with it. The program has three descriptors and nothing else of the
 * host's, no signal is blocked or ignored in it, and it is waited for. */
void run_program(const struct order *order, struct outcome *outcome);

/* Adds the system's words for its error. */
void add_system_error(struct text *out, int number);

#endif
