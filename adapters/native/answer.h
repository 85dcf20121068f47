/* The lines of an answer, turned into what the Agent knows. */
#ifndef ANSWER_H
#define ANSWER_H

#include "agent.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>

/* A longer line is left out, and a longer answer ends the run. */
#define LINE_MAX_BYTES ((size_t)1 << 20)
#define ANSWER_MAX_BYTES ((size_t)64 << 20)
/* As many lines that cannot be used are told of. */
#define COMPLAINTS_MAX 20

struct answer {
	/* Set by the caller; secrets are taken out of all texts. */
	char *check_id;
	const aggregator_t *agent;
	const struct list *secrets;

	/* Whether there was a result, and its error, empty where that is null. */
	bool complete;
	struct text error;

	/* The line that is being read. */
	struct text line;
	bool too_long;
	long long number;
	int complaints;
	size_t size;
};

/* Takes the next bytes; false where there were too many. A line is handed to the
 * Agent as soon as it is whole. */
bool answer_take(struct answer *a, const char *bytes, size_t length);
/* Takes the last line, where no line break follows it. */
void answer_end(struct answer *a);
void answer_free(struct answer *a);

#endif
