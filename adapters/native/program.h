/* Which program is started, and with which environment. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "text.h"

#include <stdbool.h>

/* Finds the program: the path that was configured, or where that is empty, beside
 * this library, in the usual folders, in PATH. path is the real one, without
 * links. False, with the reason, where there is none, or one that others may write. */
bool find_program(const char *configured, struct text *path, struct text *why);

/* Adds what of the host's environment the program may have: never a key. */
void program_environment(struct list *out);

#endif
