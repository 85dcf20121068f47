/* What the host hands to the library: the Agent's table of callbacks, to its last
 * field, and the call of Run and Version by their addresses. */
#include "../agent.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The table as newer Agents have it: with a callback more than the library knows. */
struct table {
	aggregator_t known;
	void (*log)(char *message, int level);
};

extern const struct table host_table;

void host_run(void *run, char *check_id, char *init_config, char *instance, const char **error);
const char *host_version(void *version, const char **error);
